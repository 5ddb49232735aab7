/** Alipay mini-programs: `my.*`, brought into the manner of `wx`. */

import { Platform } from '../platform.js'
import { mini, MiniApi } from './mini.js'

declare const my: any

export function alipay(api: any = my): Platform {
  return { ...mini('alipay', inTheMannerOfWx(api), 'alipay'), login: () => login(api) }
}

/** An end that is not told is waited for this long. Milliseconds. */
const CLOSING = 3000

function inTheMannerOfWx(api: any): MiniApi {
  const one = new OneSocket(api)
  return {
    request: (options) =>
      api.request({
        ...options,
        headers: options.header,
        // An answer that is no success comes as a failure that carries it.
        success: (answer: any) => options.success(asAnswer(answer)),
        fail: (fault: any) =>
          fault && (fault.status || fault.statusCode)
            ? options.success(asAnswer(fault))
            : options.fail(fault),
      }),
    uploadFile: (options) =>
      api.uploadFile({
        ...options,
        fileName: options.name,
        fileType: typeOf(options.filePath),
        headers: options.header,
        success: (answer: any) => options.success(asAnswer(answer)),
      }),
    downloadFile: (options) =>
      api.downloadFile({
        ...options,
        headers: options.header,
        success: (answer: any) =>
          options.success({
            ...asAnswer(answer),
            statusCode: answer.statusCode || 200,
            tempFilePath: answer.apFilePath || answer.tempFilePath,
          }),
        fail: (fault: any) => whyNot(api, options, fault),
      }),
    connectSocket: (options) => {
      const open = () => api.connectSocket({ ...options, multiple: true })
      if (one.busy) return one.task(open)
      const task = open()
      return task ? inTask(task) : one.task()
    },
    getStorageSync: (key) => api.getStorageSync({ key }).data,
    setStorageSync: (key, data) => {
      const done = api.setStorageSync({ key, data })
      if (done && done.error) throw new Error(done.errorMessage)
    },
    removeStorageSync: (key) => void api.removeStorageSync({ key }),
    onNetworkStatusChange: api.onNetworkStatusChange && ((call) => api.onNetworkStatusChange(call)),
    onAppShow: api.onAppShow && ((call) => api.onAppShow(call)),
  }
}

/** A download that failed says no status: the first byte of the same, asked for as a request, does. */
function whyNot(api: any, options: any, fault: any): void {
  const task = api.request({
    url: options.url,
    method: 'GET',
    headers: { ...options.header, Range: 'bytes=0-0' },
    dataType: 'text',
    timeout: options.timeout,
    success: () => options.fail(fault),
    fail: (why: any) => {
      const status = why && (why.status || why.statusCode)
      if (!status) return options.fail(fault)
      const { statusCode, header, data } = asAnswer(why)
      options.success({ statusCode, header, data, tempFilePath: '' })
    },
  })
  quiet(task)
}

/** What `my` refuses, it refuses twice: to `fail`, and by its promise. Once is enough. */
function quiet(task: any): any {
  if (task && typeof task.then === 'function') task.then(null, () => undefined)
  return task
}

/** Events of a task carry what they tell under `data`. */
function inTask(task: any): any {
  const inner = (found: any) => (found && typeof found.data === 'object' ? found.data : found)
  return {
    onOpen: (call: any) => task.onOpen(call),
    onMessage: (call: any) => task.onMessage((found: any) => call(inner(found))),
    onClose: (call: any) => task.onClose((found: any) => call(inner(found))),
    onError: (call: any) => task.onError(call),
    send: (message: any) => task.send(message),
    close: (how: any) => quiet(task.close(how)),
  }
}

/** Before base library 2.3.1 there is one socket, and its events are the app's. The next one begins
 * when the one before has said that it ended: it would be told that end as its own. */
class OneSocket {
  private closing = false
  private next: (() => void) | null = null

  constructor(private readonly api: any) {}

  /** `start` where it waits for the one before; else it has been opened already. */
  task(start?: () => void): any {
    const { api } = this
    const told: Array<[string, any]> = []
    let begun = start === undefined
    const listen = (kind: string) => (call: any) => {
      told.push([kind, call])
      if (begun) api[`onSocket${kind}`](call)
    }
    if (start !== undefined) {
      this.next = () => {
        begun = true
        told.forEach(([kind, call]) => api[`onSocket${kind}`](call))
        start()
      }
    }
    const off = () => told.splice(0).forEach(([kind, call]) => api[`offSocket${kind}`](call))
    const onClose = listen('Close')
    return {
      onOpen: listen('Open'),
      onMessage: listen('Message'),
      onError: listen('Error'),
      onClose: (call: any) =>
        onClose((end: any) => {
          off()
          call(end)
        }),
      send: (message: any) => api.sendSocketMessage(message),
      close: () => {
        off()
        if (begun) this.close()
        else this.next = null
      },
    }
  }

  get busy(): boolean {
    return this.closing
  }

  private close(): void {
    const { api } = this
    this.closing = true
    const gone = () => {
      if (!this.closing) return
      this.closing = false
      clearTimeout(timer)
      api.offSocketClose(gone)
      const { next } = this
      this.next = null
      if (next !== null) next()
    }
    const timer = setTimeout(gone, CLOSING)
    api.onSocketClose(gone)
    api.closeSocket({})
  }
}

function asAnswer(answer: any): any {
  return {
    statusCode: answer.statusCode || answer.status,
    header: answer.headers || answer.header,
    data: answer.data,
  }
}

function typeOf(path: string): 'image' | 'video' | 'audio' | 'file' {
  if (/\.(jpe?g|png|gif|webp|heic)$/i.test(path)) return 'image'
  if (/\.(mp4|mov|m4v)$/i.test(path)) return 'video'
  return /\.(mp3|m4a|aac|wav)$/i.test(path) ? 'audio' : 'file'
}

function login(api: any): Promise<{ method: string; code: string }> {
  return new Promise((resolve, reject) =>
    api.getAuthCode({
      scopes: 'auth_base',
      success: (found: any) => resolve({ method: 'alipay', code: found.authCode }),
      fail: reject,
    }),
  )
}

declare function setTimeout(call: () => void, ms: number): any
declare function clearTimeout(timer: any): void
