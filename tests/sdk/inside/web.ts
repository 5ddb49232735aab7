/** Bundled as a page's own code is, and run in a real browser. */

import { command, createCloud } from '../../../sdk/baas_sdkgen/runtime/ts/index.js'
import { web } from '../../../sdk/baas_sdkgen/runtime/ts/platforms/web.js'
import { run } from '../node/runner.js'

const sockets: WebSocket[] = []
const Plain = window.WebSocket

window.WebSocket = class extends Plain {
  constructor(url: string) {
    super(url)
    sockets.push(this)
  }
} as typeof WebSocket

export function client(url: string, offline = false) {
  return createCloud({ url, platform: web(), offline })
}

/** So many changes of one document, all at once. */
export function marks(cloud: any, id: string, letters: string[]) {
  const document = cloud.database().collection('drafts').doc(id)
  return Promise.all(letters.map((letter) => document.update({ log: command.push([letter]) }, { retries: 0 })))
}

export function scenario(url: string, text: string, transport: 'socket' | 'poll') {
  return run(createCloud({ url, platform: web(), transport }), JSON.parse(text), {
    file: (content) => new File([content], 'note', { type: 'image/png' }),
    read: (found) => found.data.text(),
    cut: () => sockets.forEach((socket) => socket.close()),
  })
}

/** How far an upload of so many bytes said that it was. */
export async function upload(cloudPath: string, bytes: number) {
  const cloud = client(location.origin)
  const file = new File([new Uint8Array(bytes)], 'big', { type: 'image/png' })
  const told: number[] = []
  const stored = await cloud.uploadFile({
    cloudPath,
    file,
    onProgress: ({ loaded, total }) => void (total !== undefined && told.push(loaded / total)),
  })
  const parts: number[] = []
  const { data } = await cloud.downloadFile({ fileID: stored.fileID, onProgress: ({ loaded }) => parts.push(loaded) })
  return { size: stored.size, told, parts, back: data.size }
}
