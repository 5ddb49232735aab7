/**
 * A fake of WeChat's `wx`, from its documentation: callbacks and error texts, the kinds of bodies and
 * answers, limits on calls and sockets, temporary files, and what it does not tell (a download's or
 * an upload's headers). Any status is a success; only what never came fails.
 */

import WebSocket from 'ws'
import { asQuery, Broken, Files, form, send, Sending, Sent, Turns } from './transport.js'

/** Documented: so many requests, uploads, downloads at once; the rest waits. And so many sockets. */
const CALLS_AT_ONCE = 10
const SOCKETS_AT_ONCE = 5
const TIMEOUT = 60_000
const KEY_BYTES = 1024 * 1024
const STORAGE_BYTES = 10 * 1024 * 1024

export interface FakeWx {
  wx: any
  files: Files
  /** Breaks every open socket, as a lost network does. */
  cut(): void
  /** To the background: what is under way is interrupted. */
  hide(): void
  /** To the front again. */
  show(): void
  /** Every call, by name. */
  readonly called: string[]
  close(): void
}

interface Callbacks {
  success?(result: any): void
  fail?(fault: any): void
  complete?(result: any): void
}

export function createWx(options: { code?: string; kept?: Map<string, string> } = {}): FakeWx {
  const files = new Files('wxfile://')
  const calls = new Calls()
  const sockets = new Sockets()
  const kept = options.kept || new Map<string, string>()
  const listeners: Record<string, Array<(state?: any) => void>> = { show: [], hide: [], network: [] }
  const wx = {
    env: { USER_DATA_PATH: 'wxfile://usr' },
    request: (wanted: any) => calls.request(wanted),
    uploadFile: (wanted: any) => calls.upload(wanted, files),
    downloadFile: (wanted: any) => calls.download(wanted, files),
    connectSocket: (wanted: any) => sockets.connect(wanted),
    getFileSystemManager: () => fileSystem(files),
    ...storage(kept),
    login: (wanted: Callbacks = {}) =>
      later(() => ok(wanted, 'login', { code: options.code || 'fake-code' })),
    onAppShow: (call: () => void) => void listeners.show.push(call),
    onAppHide: (call: () => void) => void listeners.hide.push(call),
    onNetworkStatusChange: (call: (state: any) => void) => void listeners.network.push(call),
    /** As on a phone: there, but not to be assigned. */
    get cloud(): any {
      throw new Error("WeChat's own wx.cloud was asked")
    },
    getAppBaseInfo: () => ({ SDKVersion: '3.3.0', language: 'zh_CN', theme: 'light' }),
  }
  return {
    wx: watched(wx, calls.called),
    files,
    called: calls.called,
    cut: () => sockets.cut(),
    hide: () => {
      listeners.hide.forEach((call) => call())
      calls.interrupt()
      sockets.cut()
    },
    show: () => listeners.show.forEach((call) => call({ path: 'pages/index' })),
    close: () => {
      sockets.cut()
      files.close()
    },
  }
}

/** Notes every call; a member that there is not, is an error with its name, not `undefined`. */
function watched(wx: Record<string, any>, called: string[]): any {
  return new Proxy(wx, {
    get(target, name) {
      if (typeof name === 'string' && name in target) called.push(name)
      return (target as any)[name]
    },
  })
}

function later(call: () => void): void {
  setImmediate(call)
}

function ok(callbacks: Callbacks, api: string, result: object): void {
  const told = { ...result, errMsg: `${api}:ok` }
  if (callbacks.success) callbacks.success(told)
  if (callbacks.complete) callbacks.complete(told)
}

function failed(callbacks: Callbacks, api: string, why: string, errno?: number): void {
  const told = { errMsg: `${api}:fail ${why}`, ...(errno === undefined ? {} : { errno }) }
  if (callbacks.fail) callbacks.fail(told)
  if (callbacks.complete) callbacks.complete(told)
}

const WHY: Record<Broken, string> = {
  timeout: 'timeout',
  abort: 'abort',
  interrupted: 'interrupted',
  network: 'errcode:-101 cronet_error_code:-101 error_msg:net::ERR_CONNECTION_RESET',
}

// -- requests ----------------------------------------------------------------------------------

class Calls {
  readonly called: string[] = []
  private readonly turns: Record<string, Turns> = {}
  private readonly open = new Set<Sending>()

  interrupt(): void {
    this.open.forEach((one) => one.stop('interrupted'))
  }

  request(wanted: any): any {
    const fault = badRequest(wanted)
    if (fault !== undefined) return later(() => failed(wanted, 'request', fault, 600009))
    const method = wanted.method || 'GET'
    const headers = headersOf(wanted.header, 'application/json')
    const { url, body } = bodyOf(wanted, method, headers)
    return this.run(wanted, 'request', { method, url, headers, body }, (answer) => ({
      data: read(answer, wanted),
      statusCode: answer.status,
      header: answer.headers,
      cookies: [],
    }))
  }

  upload(wanted: any, files: Files): any {
    const content = files.read(wanted.filePath)
    if (content === undefined) {
      return later(() => failed(wanted, 'uploadFile', 'file not found'))
    }
    const { type, body } = form(wanted.formData || {}, wanted.name, wanted.filePath, content)
    const headers = headersOf(wanted.header, type, true)
    const call = { method: 'POST', url: wanted.url, headers, body }
    // No headers: the documentation knows none in this answer.
    return this.run(wanted, 'uploadFile', call, (answer) => ({
      data: answer.body.toString(),
      statusCode: answer.status,
    }))
  }

  /** Whatever came is in the file, an error's page too. */
  download(wanted: any, files: Files): any {
    const call = { method: 'GET', url: wanted.url, headers: headersOf(wanted.header) }
    return this.run(wanted, 'downloadFile', call, (answer) => ({
      tempFilePath: files.make(answer.body, extensionOf(wanted.url)),
      statusCode: answer.status,
    }))
  }

  private run(wanted: any, api: string, call: any, result: (answer: Sent) => object): any {
    const onProgress: Array<(state: any) => void> = []
    const turns = (this.turns[api] = this.turns[api] || new Turns(CALLS_AT_ONCE))
    let sending: Sending | null = null
    let aborted = false
    const told = (sent: number, total: number) => progress(api, sent, total, onProgress)
    const go = async () => {
      // A task begins after whoever asked for it has it in hand.
      await new Promise((begin) => setImmediate(begin))
      if (aborted) throw 'abort'
      sending = send({
        ...call,
        timeout: wanted.timeout || TIMEOUT,
        ...(api === 'uploadFile' ? { onSent: told } : api === 'downloadFile' ? { onReceived: told } : {}),
      })
      this.open.add(sending)
      const one = sending
      return one.done.finally(() => this.open.delete(one))
    }
    turns.take(go).then(
      (answer) => ok(wanted, api, result(answer)),
      (how: Broken) => failed(wanted, api, WHY[how] || String(how), how === 'timeout' ? 5 : undefined),
    )
    return {
      abort: () => {
        aborted = true
        if (sending !== null) sending.stop('abort')
      },
      onProgressUpdate: (listener: (state: any) => void) => void onProgress.push(listener),
      offProgressUpdate: () => void onProgress.splice(0),
      onHeadersReceived: () => undefined,
      offHeadersReceived: () => undefined,
    }
  }
}

function progress(api: string, done: number, total: number, listeners: Array<(state: any) => void>): void {
  const percent = total ? Math.round((done / total) * 100) : 0
  const state =
    api === 'uploadFile'
      ? { progress: percent, totalBytesSent: done, totalBytesExpectedToSend: total }
      : { progress: percent, totalBytesWritten: done, totalBytesExpectedToWrite: total }
  listeners.forEach((listener) => listener(state))
}

/** The SDK keeps to GET and POST, for platforms that have no more: so does this fake. */
function badRequest(wanted: any): string | undefined {
  if (typeof wanted.url !== 'string' || !/^https?:/.test(wanted.url)) return `invalid url "${wanted.url}"`
  const { method = 'GET' } = wanted
  return method === 'GET' || method === 'POST' ? undefined : 'method is invalid'
}

function headersOf(given: Record<string, any> = {}, type?: string, own = false): Record<string, string> {
  const headers: Record<string, string> = { Referer: 'https://servicewechat.com/wx0/devtools/page-frame.html' }
  let typed = false
  for (const name of Object.keys(given)) {
    if (/^referer$/i.test(name) || (own && /^content-type$/i.test(name))) continue
    typed = typed || /^content-type$/i.test(name)
    headers[name] = String(given[name])
  }
  return typed || type === undefined ? headers : { ...headers, 'content-type': type }
}

/** Text goes as it is; objects by the kind of request. */
function bodyOf(wanted: any, method: string, headers: Record<string, string>) {
  const { url, data } = wanted
  if (data === undefined) return { url }
  if (method === 'GET') {
    const query = typeof data === 'string' ? data : asQuery(data)
    return { url: query ? `${url}${url.includes('?') ? '&' : '?'}${query}` : url }
  }
  const type = headers[Object.keys(headers).find((name) => /^content-type$/i.test(name)) as string]
  const text = typeof data === 'string' ? data : /urlencoded/.test(type) ? asQuery(data) : JSON.stringify(data)
  return { url, body: Buffer.from(text) }
}

/** With `dataType` json (which it is unless given) parsed where that is possible, else text. */
function read(answer: Sent, wanted: any): any {
  if (wanted.responseType === 'arraybuffer') return new Uint8Array(answer.body).buffer
  const text = answer.body.toString()
  if (wanted.dataType !== undefined && wanted.dataType !== 'json') return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function extensionOf(url: string): string {
  const found = /\.[a-z0-9]{1,5}(?=$|\?)/i.exec(url)
  return found ? found[0] : '.unknown'
}

// -- sockets -----------------------------------------------------------------------------------

class Sockets {
  private readonly open = new Set<WebSocket>()

  cut(): void {
    this.open.forEach((socket) => socket.terminate())
  }

  connect(wanted: any): any {
    if (this.open.size >= SOCKETS_AT_ONCE) {
      return later(() => failed(wanted, 'connectSocket', 'exceed max task count'))
    }
    const socket = new WebSocket(wanted.url, wanted.protocols || [], { headers: headersOf(wanted.header) })
    this.open.add(socket)
    later(() => ok(wanted, 'connectSocket', { socketTaskId: String(this.open.size) }))
    socket.on('close', () => this.open.delete(socket))
    socket.on('error', () => this.open.delete(socket))
    return task(socket)
  }
}

/** One listener of a kind: a second takes the place of the first, as on a phone. */
function task(socket: WebSocket): any {
  socket.on('error', () => undefined)
  const only = (kind: string, call: (...given: any[]) => void) => {
    socket.listeners(kind).forEach((one: any) => one.theirs && socket.off(kind, one))
    socket.on(kind, Object.assign(call, { theirs: true }))
  }
  return {
    onOpen: (call: any) => only('open', () => call({ header: {}, profile: {} })),
    onMessage: (call: any) =>
      only('message', (data: Buffer, binary: boolean) =>
        call({ data: binary ? new Uint8Array(data).buffer : data.toString() }),
      ),
    onClose: (call: any) =>
      only('close', (code: number, reason: Buffer) => call({ code, reason: reason.toString() })),
    onError: (call: any) => only('error', () => call({ errMsg: 'connectSocket:fail connect failed' })),
    send: (wanted: any) => {
      if (socket.readyState !== WebSocket.OPEN) {
        return later(() => failed(wanted, 'sendSocketMessage', 'SocketTask.readyState is not OPEN'))
      }
      socket.send(wanted.data, () => ok(wanted, 'sendSocketMessage', {}))
    },
    close: (wanted: any = {}) => {
      const { code = 1000 } = wanted
      if (code !== 1000 && (code < 3000 || code > 4999)) {
        return later(() => failed(wanted, 'closeSocket', `invalid code ${code}`))
      }
      socket.close(code, wanted.reason)
      later(() => ok(wanted, 'closeSocket', {}))
    },
  }
}

// -- storage and files -------------------------------------------------------------------------

/** Absent is the empty text; a key and the whole are bounded. */
function storage(kept: Map<string, string>): object {
  return {
    getStorageSync: (key: string) => {
      const text = kept.get(named(key))
      return text === undefined ? '' : JSON.parse(text)
    },
    setStorageSync: (key: string, data: any) => {
      const text = JSON.stringify(data)
      if (text === undefined) throw new Error('setStorageSync:fail data is undefined')
      const others = [...kept].reduce((sum, [name, one]) => sum + (name === key ? 0 : one.length), 0)
      if (text.length > KEY_BYTES) throw new Error('setStorageSync:fail entry size limit reached')
      if (others + text.length > STORAGE_BYTES) throw new Error('setStorageSync:fail exceed storage max size')
      kept.set(named(key), text)
    },
    removeStorageSync: (key: string) => void kept.delete(named(key)),
  }
}

function named(key: string): string {
  if (typeof key !== 'string' || key === '') throw new Error('parameter error: parameter.key should be String')
  return key
}

function fileSystem(files: Files): object {
  const content = (path: string, encoding?: string): any => {
    const found = files.read(path)
    if (found === undefined) throw new Error(`no such file or directory, open '${path}'`)
    return encoding === undefined ? new Uint8Array(found).buffer : found.toString(encoding as BufferEncoding)
  }
  const told = (api: string, wanted: any, call: () => object) =>
    later(() => {
      try {
        ok(wanted, api, call())
      } catch (fault) {
        failed(wanted, api, (fault as Error).message)
      }
    })
  return {
    readFileSync: content,
    readFile: (wanted: any) =>
      told('readFile', wanted, () => ({ data: content(wanted.filePath, wanted.encoding) })),
    unlink: (wanted: any) =>
      told('unlink', wanted, () => {
        files.remove(wanted.filePath)
        return {}
      }),
    getFileInfo: (wanted: any) =>
      told('getFileInfo', wanted, () => ({ size: content(wanted.filePath).byteLength })),
  }
}
