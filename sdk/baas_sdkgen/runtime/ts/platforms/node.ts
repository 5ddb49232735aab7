/** Node 18 and later: fetch; sockets where there is a WebSocket (Node 22, or the package `ws`). */

import { HttpAnswer, memoryStorage, Platform, UploadRequest } from '../platform.js'
import { connect, headersOf, limited } from './web.js'

export interface NodeOptions {
  /** A WebSocket class, where Node has none by itself. Without one the SDK polls. */
  WebSocket?: unknown
  /** Sessions are kept in memory unless given. */
  storage?: Platform['storage']
}

export function node(options: NodeOptions = {}): Platform {
  const Socket = (options.WebSocket || (globalThis as any).WebSocket) as typeof WebSocket | undefined
  return {
    name: 'node',
    request: (wanted) =>
      limited(wanted, async (signal) => {
        const { method, headers, body } = wanted
        const answer = await fetch(wanted.url, { method, headers, body, signal })
        return { status: answer.status, headers: headersOf(answer), body: await answer.text() }
      }),
    upload,
    download: (wanted) =>
      limited(wanted, async (signal) => {
        const answer = await fetch(wanted.url, { headers: wanted.headers, signal })
        const [status, headers] = [answer.status, headersOf(answer)]
        if (!answer.ok) return { status, headers, file: null, text: await answer.text() }
        const file = new Uint8Array(await answer.arrayBuffer())
        if (wanted.onProgress) wanted.onProgress({ loaded: file.length, total: file.length })
        return { status, headers, file, text: '' }
      }),
    connect: Socket && ((url, handlers) => connect(url, handlers, Socket)),
    storage: options.storage || memoryStorage(),
  }
}

/** `file` as text is a path. */
async function upload(wanted: UploadRequest): Promise<HttpAnswer> {
  const data = new FormData()
  Object.keys(wanted.fields).forEach((name) => data.append(name, wanted.fields[name]))
  const file = await blobOf(wanted.file, wanted.contentType)
  data.append('file', file, 'file')
  return limited(wanted, async (signal) => {
    const { headers } = wanted
    const answer = await fetch(wanted.url, { method: 'POST', headers, body: data, signal })
    if (wanted.onProgress) wanted.onProgress({ loaded: file.size, total: file.size })
    return { status: answer.status, headers: headersOf(answer), body: await answer.text() }
  })
}

async function blobOf(file: unknown, type: string | undefined): Promise<Blob> {
  if (file instanceof Blob && (type === undefined || file.type === type)) return file
  if (typeof file !== 'string') return new Blob([file as BlobPart], { type })
  const files: any = await import('node:fs' as string)
  const opened: Blob = files.openAsBlob
    ? await files.openAsBlob(file, { type })
    : new Blob([await files.promises.readFile(file)], { type })
  return opened
}
