/**
 * A fake of Alipay's `my`, from its documentation: `headers`, `status`, errors as numbers, a failure
 * for every status that is no success, promises beside callbacks, storage by objects, downloads that
 * tell no status. `old`: before base library 2.3.1, where there is one socket with global events.
 */

import WebSocket from 'ws'
import { asQuery, Broken, Files, form, send, Sending, Sent } from './transport.js'

const TIMEOUT = 30_000
const KEY_CHARACTERS = 200 * 1024
/** Documented: what `fileType` may be. */
const FILE_TYPES = ['image', 'video', 'audio']

export interface FakeMy {
  my: any
  files: Files
  cut(): void
  hide(): void
  show(): void
  readonly called: string[]
  close(): void
}

interface Options {
  old?: boolean
  /** A failure tells its status, and nothing of what the answer was. */
  silent?: boolean
}

interface Callbacks {
  success?(result: any): void
  fail?(fault: any): void
  complete?(result: any): void
}

export function createMy(options: Options = {}): FakeMy {
  const files = new Files('https://resource/')
  const open = new Set<Sending>()
  const sockets = new Sockets(options.old === true)
  const kept = new Map<string, string>()
  const called: string[] = []
  const listeners: Record<string, Array<(state?: any) => void>> = { show: [], network: [] }
  const my = {
    request: (wanted: any) => request(wanted, open, options),
    uploadFile: (wanted: any) => upload(wanted, open, files),
    downloadFile: (wanted: any) => download(wanted, open, files),
    ...sockets.api(),
    getFileSystemManager: () => fileSystem(files),
    ...storage(kept),
    getAuthCode: (wanted: any) =>
      void setImmediate(() =>
        wanted.success({ authCode: 'fake-code', authSuccessScopes: [wanted.scopes], authErrorScopes: {} }),
      ),
    onAppShow: (call: () => void) => void listeners.show.push(call),
    onNetworkStatusChange: (call: () => void) => void listeners.network.push(call),
  }
  return {
    my: new Proxy(my, {
      get(target: any, name) {
        if (typeof name === 'string' && name in target) called.push(name)
        return target[name]
      },
    }),
    files,
    called,
    cut: () => sockets.cut(),
    hide: () => {
      open.forEach((one) => one.stop('interrupted'))
      sockets.cut()
    },
    show: () => listeners.show.forEach((call) => call()),
    close: () => {
      sockets.cut()
      files.close()
    },
  }
}

const FAULTS: Record<Broken, [number, string]> = {
  timeout: [13, 'timeout'],
  network: [12, 'network error'],
  interrupted: [12, 'network error'],
  abort: [9, 'request abort'],
}

/** Tells by callback and by promise; nobody who uses the one need care for the other. */
function told(wanted: Callbacks, outcome: Promise<any>): Promise<any> {
  return outcome.then(
    (result) => {
      if (wanted.success) wanted.success(result)
      if (wanted.complete) wanted.complete(result)
      return result
    },
    (fault) => {
      if (wanted.fail) wanted.fail(fault)
      if (wanted.complete) wanted.complete(fault)
      throw fault
    },
  )
}

function fault(error: number, errorMessage: string, more: object = {}): object {
  return { error, errorMessage, ...more }
}

function brokenBy(how: unknown): object {
  const found = FAULTS[how as Broken]
  return found === undefined ? (how as object) : fault(found[0], found[1])
}

function run(call: any, open: Set<Sending>): { done: Promise<Sent>; stop(how: Broken): void } {
  const sending = send(call)
  open.add(sending)
  const done = sending.done.finally(() => open.delete(sending))
  return { done, stop: sending.stop }
}

// -- requests ----------------------------------------------------------------------------------

function request(wanted: any, open: Set<Sending>, options: Options): any {
  const { method = 'GET' } = wanted
  if (method !== 'GET' && method !== 'POST') {
    return told(wanted, Promise.reject(fault(2, 'invalid parameter: method')))
  }
  const headers = headersOf(wanted.headers || wanted.header, 'application/json')
  const { url, body } = bodyOf(wanted, method, headers)
  const going = run({ method, url, headers, body, timeout: wanted.timeout || TIMEOUT }, open)
  const outcome = going.done.then(
    (answer) => {
      const result = {
        status: answer.status,
        statusCode: answer.status,
        headers: answer.headers,
        header: answer.headers,
        data: read(answer, wanted.dataType || 'json'),
      }
      if (answer.status >= 200 && answer.status < 300) return result
      throw fault(19, 'http status error', options.silent ? { status: answer.status } : result)
    },
    (how) => {
      throw brokenBy(how)
    },
  )
  return Object.assign(told(wanted, outcome), { abort: () => going.stop('abort') })
}

function headersOf(given: Record<string, any> = {}, type?: string): Record<string, string> {
  const headers: Record<string, string> = {}
  let typed = false
  for (const name of Object.keys(given)) {
    if (typeof given[name] !== 'string') throw new TypeError(`headers.${name} must be a string`)
    typed = typed || /^content-type$/i.test(name)
    if (!/^referer$/i.test(name)) headers[name] = given[name]
  }
  return typed || type === undefined ? headers : { ...headers, 'content-type': type }
}

function bodyOf(wanted: any, method: string, headers: Record<string, string>) {
  const { url, data } = wanted
  if (data === undefined) return { url }
  if (method === 'GET') return { url: `${url}${url.includes('?') ? '&' : '?'}${asQuery(data)}` }
  const type = headers[Object.keys(headers).find((name) => /^content-type$/i.test(name)) as string]
  const text = typeof data === 'string' ? data : /json/.test(type) ? JSON.stringify(data) : asQuery(data)
  return { url, body: Buffer.from(text) }
}

function read(answer: Sent, type: string): any {
  if (type === 'base64') return answer.body.toString('base64')
  if (type === 'arraybuffer') return new Uint8Array(answer.body).buffer
  const text = answer.body.toString()
  if (type === 'text') return text
  try {
    return JSON.parse(text)
  } catch {
    throw fault(14, 'JSON parse data error')
  }
}

// -- files -------------------------------------------------------------------------------------

function upload(wanted: any, open: Set<Sending>, files: Files): any {
  const content = files.read(wanted.filePath)
  if (content === undefined) return told(wanted, Promise.reject(fault(11, 'file does not exist')))
  if (!FILE_TYPES.includes(wanted.fileType)) {
    return told(wanted, Promise.reject(fault(2, `invalid parameter: fileType ${wanted.fileType}`)))
  }
  const { type, body } = form(wanted.formData || {}, wanted.name || wanted.fileName, wanted.filePath, content)
  const given = { ...headersOf(wanted.headers || wanted.header) }
  const onProgress: Array<(state: any) => void> = []
  const onSent = (sent: number, total: number) =>
    onProgress.forEach((call) =>
      call({ progress: (sent / total) * 100, totalBytesSent: sent, totalBytesExpectedToSend: total }),
    )
  const headers = { ...given, 'content-type': type }
  const going = run({ method: 'POST', url: wanted.url, headers, body, timeout: TIMEOUT, onSent }, open)
  const outcome = going.done.then(
    (answer) => ({ data: answer.body.toString(), statusCode: answer.status, header: answer.headers }),
    (how) => {
      throw brokenBy(how)
    },
  )
  return Object.assign(told(wanted, outcome), {
    abort: () => going.stop('abort'),
    onProgressUpdate: (call: (state: any) => void) => void onProgress.push(call),
  })
}

function download(wanted: any, open: Set<Sending>, files: Files): any {
  const headers = headersOf(wanted.header)
  const going = run({ method: 'GET', url: wanted.url, headers, timeout: TIMEOUT }, open)
  const outcome = going.done.then(
    (answer) => {
      // Nothing says which status it was.
      if (answer.status >= 300) throw fault(12, '下载失败')
      const path = files.make(answer.body, '.other')
      return { apFilePath: path, tempFilePath: path, headers: answer.headers, header: answer.headers }
    },
    (how) => {
      throw how === 'abort' ? brokenBy(how) : fault(12, '下载失败')
    },
  )
  return Object.assign(told(wanted, outcome), {
    abort: () => going.stop('abort'),
    onProgressUpdate: () => undefined,
  })
}

function fileSystem(files: Files): object {
  return {
    readFileSync: ({ filePath, encoding }: any) => {
      const found = files.read(filePath)
      if (found === undefined) return fault(10022, 'file does not exist')
      return { success: true, data: encoding ? found.toString(encoding) : new Uint8Array(found).buffer }
    },
  }
}

/** A refusal is an answer, nothing is thrown. */
function storage(kept: Map<string, string>): object {
  return {
    getStorageSync: ({ key }: { key: string }) => {
      const text = kept.get(key)
      return { success: true, data: text === undefined ? null : JSON.parse(text) }
    },
    setStorageSync: ({ key, data }: { key: string; data: any }) => {
      const text = JSON.stringify(data)
      if (text.length > KEY_CHARACTERS) return fault(14, 'the data is too long')
      kept.set(key, text)
      return { success: true }
    },
    removeStorageSync: ({ key }: { key: string }) => {
      kept.delete(key)
      return { success: true }
    },
  }
}

// -- sockets -----------------------------------------------------------------------------------

type Listener = (event?: any) => void

class Sockets {
  private readonly open = new Set<WebSocket>()
  private only: WebSocket | null = null
  private readonly global: Record<string, Listener[]> = { Open: [], Message: [], Close: [], Error: [] }

  constructor(private readonly old: boolean) {}

  cut(): void {
    this.open.forEach((socket) => socket.terminate())
  }

  api(): object {
    const api: Record<string, unknown> = {
      connectSocket: (wanted: any) => this.connect(wanted),
      sendSocketMessage: ({ data, success, fail }: any) => {
        if (this.only === null || this.only.readyState !== WebSocket.OPEN) {
          if (fail) fail(fault(10, 'no connection'))
        } else {
          this.only.send(data, () => success && success({ success: true }))
        }
      },
      closeSocket: () => this.only !== null && this.only.close(),
    }
    for (const kind of Object.keys(this.global)) {
      api[`onSocket${kind}`] = (call: Listener) => void this.global[kind].push(call)
      api[`offSocket${kind}`] = (call?: Listener) => {
        this.global[kind] = call === undefined ? [] : this.global[kind].filter((one) => one !== call)
      }
    }
    return api
  }

  private connect(wanted: any): any {
    const alone = this.old || wanted.multiple !== true
    // One more socket ends the one before.
    if (alone && this.only !== null) this.only.terminate()
    const socket = new WebSocket(wanted.url)
    socket.on('error', () => undefined)
    socket.on('close', () => this.open.delete(socket))
    this.open.add(socket)
    return alone ? this.tellAll(socket) : task(socket, String(this.open.size))
  }

  private tellAll(socket: WebSocket): undefined {
    this.only = socket
    const tell = (kind: string, event?: object) => this.global[kind].slice().forEach((call) => call(event))
    socket.on('open', () => tell('Open', { header: {} }))
    socket.on('message', (data: Buffer) => tell('Message', { data: data.toString(), isBuffer: false }))
    socket.on('close', () => {
      if (this.only === socket) this.only = null
      tell('Close', { reason: '' })
    })
    socket.on('error', () => tell('Error', fault(6, 'network error')))
    return undefined
  }
}

/** Events carry their data under `data`; the end of a socket says neither code nor reason. */
function task(socket: WebSocket, socketTaskID: string): object {
  return {
    onOpen: (call: Listener) => socket.on('open', () => call({ data: { socketTaskID } })),
    onMessage: (call: Listener) =>
      socket.on('message', (data: Buffer) =>
        call({ data: { socketTaskID, data: data.toString(), isBuffer: false } }),
      ),
    onClose: (call: Listener) => socket.on('close', () => call({ data: { socketTaskID } })),
    onError: (call: Listener) => socket.on('error', () => call({ data: { socketTaskID }, error: 6 })),
    send: ({ data, success, fail }: any) => {
      if (socket.readyState !== WebSocket.OPEN) return fail && fail(fault(10, 'no connection'))
      socket.send(data, () => success && success({ success: true }))
    },
    close: () => Promise.resolve(socket.close()).then(() => ({ message: '' })),
  }
}
