/** Browsers: fetch, XMLHttpRequest for progress of uploads, WebSocket, localStorage. */

import { BaasError } from '../errors.js'
import {
  Downloaded,
  DownloadRequest,
  HttpAnswer,
  HttpRequest,
  memoryStorage,
  Platform,
  Signal,
  Socket,
  SocketHandlers,
  UploadRequest,
} from '../platform.js'

export function web(): Platform {
  return {
    name: 'web',
    request,
    upload,
    download,
    connect: (url, handlers) => connect(url, handlers),
    storage: storage(),
    onResume: (call) => {
      window.addEventListener('online', call)
      document.addEventListener('visibilitychange', () => {
        if (document.visibilityState === 'visible') call()
      })
    },
  }
}

async function request(wanted: HttpRequest): Promise<HttpAnswer> {
  const { method, body } = wanted
  return limited(wanted, async (signal) => {
    const answer = await fetch(wanted.url, { method, headers: wanted.headers, body, signal })
    return { status: answer.status, headers: headersOf(answer), body: await answer.text() }
  })
}

/** XMLHttpRequest, since fetch tells nothing of how far an upload is. */
function upload(wanted: UploadRequest): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest()
    call.open('POST', wanted.url)
    Object.keys(wanted.headers).forEach((name) => call.setRequestHeader(name, wanted.headers[name]))
    call.timeout = wanted.timeout
    call.onload = () =>
      resolve({
        status: call.status,
        headers: lines(call.getAllResponseHeaders()),
        body: call.responseText,
      })
    call.onerror = () => reject(new BaasError('NETWORK', 'The upload was broken off.'))
    call.ontimeout = () => reject(new BaasError('TIMEOUT', 'No answer in time.'))
    call.onabort = () => reject(new BaasError('ABORTED', 'The upload was aborted.'))
    const { onProgress, signal } = wanted
    if (onProgress) {
      call.upload.onprogress = (event) =>
        onProgress({ loaded: event.loaded, total: event.lengthComputable ? event.total : undefined })
    }
    if (signal) signal.addEventListener('abort', () => call.abort())
    call.send(form(wanted))
  })
}

function form(wanted: UploadRequest): FormData {
  const data = new FormData()
  Object.keys(wanted.fields).forEach((name) => data.append(name, wanted.fields[name]))
  const { file, contentType } = wanted
  if (file instanceof Blob && (contentType === undefined || file.type === contentType)) {
    data.append('file', file)
  } else {
    data.append('file', new Blob([file as BlobPart], { type: contentType }))
  }
  return data
}

async function download(wanted: DownloadRequest): Promise<Downloaded> {
  return limited(wanted, async (signal) => {
    const answer = await fetch(wanted.url, { headers: wanted.headers, signal })
    const { status } = answer
    const headers = headersOf(answer)
    if (!answer.ok) return { status, headers, file: null, text: await answer.text() }
    return { status, headers, file: await content(answer, wanted.onProgress), text: '' }
  })
}

async function content(answer: Response, onProgress: DownloadRequest['onProgress']): Promise<Blob> {
  if (!onProgress || !answer.body) return answer.blob()
  const length = Number(answer.headers.get('content-length'))
  const reader = answer.body.getReader()
  const parts: BlobPart[] = []
  let loaded = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value as BlobPart)
    loaded += value.byteLength
    onProgress({ loaded, total: length || undefined })
  }
  return new Blob(parts, { type: answer.headers.get('content-type') || '' })
}

/** Runs `call` with a signal that the caller or the time limit sets off. */
export async function limited<T>(
  wanted: { timeout: number; signal?: Signal },
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  const stop = () => abort.abort()
  let late = false
  const timer = setTimeout(() => {
    late = true
    stop()
  }, wanted.timeout)
  if (wanted.signal) wanted.signal.addEventListener('abort', stop)
  try {
    return await call(abort.signal)
  } catch (fault) {
    throw late ? new BaasError('TIMEOUT', 'No answer in time.') : fault
  } finally {
    clearTimeout(timer)
    if (wanted.signal) wanted.signal.removeEventListener('abort', stop)
  }
}

export function headersOf(answer: Response): Record<string, string> {
  const found: Record<string, string> = {}
  answer.headers.forEach((value, name) => (found[name.toLowerCase()] = value))
  return found
}

function lines(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const line of text.split('\r\n')) {
    const at = line.indexOf(': ')
    if (at > 0) found[line.slice(0, at).toLowerCase()] = line.slice(at + 2)
  }
  return found
}

export function connect(
  url: string,
  handlers: SocketHandlers,
  Socket: typeof WebSocket = WebSocket,
): Socket {
  const socket = new Socket(url)
  socket.onopen = () => handlers.open()
  socket.onmessage = (event) => handlers.message(String(event.data))
  socket.onclose = (event) => handlers.closed(event.code, event.reason)
  // The close that follows says all. In Node an error that nobody hears ends the program.
  socket.onerror = () => undefined
  return { send: (text) => socket.send(text), close: () => socket.close() }
}

/** In a private window there may be none. */
function storage(): Platform['storage'] {
  try {
    const kept = window.localStorage
    kept.getItem('')
    return {
      get: (key) => kept.getItem(key),
      set: (key, value) => kept.setItem(key, value),
      remove: (key) => kept.removeItem(key),
      keys: () => Object.keys(kept),
      onChange: (call) => window.addEventListener('storage', (event) => call(event.key)),
    }
  } catch {
    return memoryStorage()
  }
}
