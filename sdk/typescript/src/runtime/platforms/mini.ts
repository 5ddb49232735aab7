/** Mini-programs whose API is in the manner of `wx`: callbacks, temporary paths, one socket task. */

import { BaasError } from '../errors.js'
import {
  Downloaded,
  DownloadRequest,
  HttpAnswer,
  HttpRequest,
  Platform,
  Signal,
  Socket,
  SocketHandlers,
  UploadRequest,
} from '../platform.js'

/** The part of `wx` (uni, Taro) that is used. */
export interface MiniApi {
  request(options: any): any
  uploadFile(options: any): any
  downloadFile(options: any): any
  connectSocket(options: any): any
  getStorageSync(key: string): any
  setStorageSync(key: string, value: string): void
  removeStorageSync(key: string): void
  login?(options: any): any
  onNetworkStatusChange?(call: (state: { isConnected: boolean }) => void): void
  onAppShow?(call: () => void): void
  getFileSystemManager?(): any
}

export function mini(name: string, api: MiniApi, method: string): Platform {
  return {
    name,
    request: (wanted) => request(api, wanted),
    upload: (wanted) => upload(api, wanted),
    download: (wanted) => download(api, wanted),
    connect: (url, handlers) => connect(api, url, handlers),
    storage: {
      get: (key) => api.getStorageSync(key) || null,
      set: (key, value) => api.setStorageSync(key, value),
      remove: (key) => api.removeStorageSync(key),
    },
    login: () =>
      new Promise((resolve, reject) => {
        const { login } = api
        if (login === undefined) return reject(new BaasError('NOT_SUPPORTED', `${name} has no login`))
        login.call(api, {
          success: (found: any) => resolve({ method, code: found.code }),
          fail: (fault: any) => reject(faultOf(fault)),
        })
      }),
    onResume: (call) => {
      if (api.onAppShow) api.onAppShow(call)
      if (api.onNetworkStatusChange) api.onNetworkStatusChange((state) => state.isConnected && call())
    },
  }
}

function request(api: MiniApi, wanted: HttpRequest): Promise<HttpAnswer> {
  return ended(wanted.signal, (resolve, reject) =>
    api.request({
      url: wanted.url,
      method: wanted.method,
      header: wanted.headers,
      data: wanted.body,
      timeout: wanted.timeout,
      // Anything but json: the text as it is.
      dataType: 'text',
      responseType: 'text',
      success: (answer: any) => resolve(answerOf(answer)),
      fail: (fault: any) => reject(faultOf(fault)),
    }),
  )
}

function upload(api: MiniApi, wanted: UploadRequest): Promise<HttpAnswer> {
  if (typeof wanted.file !== 'string') {
    return Promise.reject(new BaasError('INVALID_ARGUMENT', 'filePath: a path is needed here'))
  }
  // What type it is, the platform says by the path's ending; there is no way to say it better.
  const { fields, onProgress } = wanted
  return ended(wanted.signal, (resolve, reject) => {
    const task = api.uploadFile({
      url: wanted.url,
      filePath: wanted.file,
      name: 'file',
      formData: fields,
      header: wanted.headers,
      timeout: wanted.timeout,
      success: (answer: any) => resolve(answerOf(answer)),
      fail: (fault: any) => reject(faultOf(fault)),
    })
    if (onProgress && task && task.onProgressUpdate) {
      task.onProgressUpdate((state: any) =>
        onProgress({ loaded: state.totalBytesSent, total: state.totalBytesExpectedToSend }),
      )
    }
    return task
  })
}

function download(api: MiniApi, wanted: DownloadRequest): Promise<Downloaded> {
  const { onProgress } = wanted
  return ended(wanted.signal, (resolve, reject) => {
    const task = api.downloadFile({
      url: wanted.url,
      header: wanted.headers,
      timeout: wanted.timeout,
      success: (answer: any) => {
        const { status, headers, body } = answerOf(answer)
        const file = answer.tempFilePath
        if (status >= 200 && status < 300) return resolve({ status, headers, file, text: '' })
        const failed = (text: string) => resolve({ status, headers, file: null, text })
        // Whatever came is in the file: here the problem that says why.
        if (body === '' && file) readText(api, file).then(failed)
        else failed(body)
      },
      fail: (fault: any) => reject(faultOf(fault)),
    })
    if (onProgress && task && task.onProgressUpdate) {
      task.onProgressUpdate((state: any) =>
        onProgress({ loaded: state.totalBytesWritten, total: state.totalBytesExpectedToWrite }),
      )
    }
    return task
  })
}

/** The text of a temporary file, which is removed; empty where it cannot be read. */
function readText(api: MiniApi, filePath: string): Promise<string> {
  return new Promise((resolve) => {
    if (api.getFileSystemManager === undefined) return resolve('')
    const files = api.getFileSystemManager()
    files.readFile({
      filePath,
      encoding: 'utf8',
      success: ({ data }: any) => {
        resolve(String(data))
        files.unlink({ filePath, fail: () => undefined })
      },
      fail: () => resolve(''),
    })
  })
}

function connect(api: MiniApi, url: string, handlers: SocketHandlers): Socket {
  let over = false
  const closed = (code: number, reason: string) => {
    if (over) return
    over = true
    handlers.closed(code, reason)
  }
  const task = api.connectSocket({ url, fail: (fault: any) => closed(1006, faultOf(fault).message) })
  // One socket too many: there is no task, and `fail` says so in a moment.
  if (!task) return { send: () => undefined, close: () => undefined }
  task.onOpen(() => handlers.open())
  task.onMessage((message: any) => handlers.message(String(message.data)))
  task.onClose((end: any) => closed((end && end.code) || 1006, (end && end.reason) || ''))
  task.onError((fault: any) => closed(1006, faultOf(fault).message))
  return { send: (data) => task.send({ data }), close: () => task.close({}) }
}

/** A call with callbacks as a promise; its task is aborted with the signal. */
function ended<T>(
  signal: Signal | undefined,
  call: (resolve: (value: T) => void, reject: (fault: BaasError) => void) => any,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const task = call(resolve, reject)
    // Taro gives a promise beside the callbacks: its refusal is told already.
    if (task && typeof task.then === 'function') task.then(null, () => undefined)
    if (signal) {
      signal.addEventListener('abort', () => {
        if (task && task.abort) task.abort()
        reject(new BaasError('ABORTED', 'The call was aborted.'))
      })
    }
  })
}

function answerOf(answer: any): HttpAnswer {
  const headers: Record<string, string> = {}
  const given = answer.header || answer.headers || {}
  Object.keys(given).forEach((name) => (headers[name.toLowerCase()] = String(given[name])))
  const { data } = answer
  const body = typeof data === 'string' ? data : data === undefined ? '' : JSON.stringify(data)
  return { status: answer.statusCode, headers, body }
}

export function faultOf(fault: any): BaasError {
  const message = String((fault && (fault.errMsg || fault.errorMessage || fault.message)) || fault)
  return new BaasError(/timeout|timed out/i.test(message) ? 'TIMEOUT' : 'NETWORK', message)
}
