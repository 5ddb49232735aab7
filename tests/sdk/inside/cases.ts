/** What a mini-program meets beyond the scenario; run inside the fakes, by in-cases.ts. */

import { Abort, BaasError, CloudOptions, createCloud, Platform } from '../../../sdk/baas_sdkgen/runtime/ts/index.js'
import { alipay } from '../../../sdk/baas_sdkgen/runtime/ts/platforms/alipay.js'
import { wechat } from '../../../sdk/baas_sdkgen/runtime/ts/platforms/wechat.js'

export interface Tools {
  url: string
  file(text: string): string
  /** A network that fails: fakes/flaky.ts. */
  flaky: { next(path: RegExp, ...faults: string[]): void; away(fault?: string | null): void }
  hide(): void
  show(): void
  /** Takes every socket that the platform allows; what frees them again. */
  takeSockets(): () => void
}

type Case = (tools: Tools, open: (more?: Partial<CloudOptions>) => any) => Promise<void>

const PATIENCE = 15_000

async function fails(call: Promise<unknown>, code: string): Promise<void> {
  let said: any = null
  await call.catch((fault) => (said = fault))
  if (!(said instanceof BaasError) || said.code !== code) throw new Error(`${code} was expected, not ${said}`)
}

async function until(what: string, test: () => unknown): Promise<void> {
  const end = Date.now() + PATIENCE
  while (!test()) {
    if (Date.now() > end) throw new Error(`it did not come to: ${what}`)
    await new Promise<void>((go) => setTimeout(go, 20))
  }
}

function same(found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`)
}

const CASES: Record<string, Case> = {
  async 'a session outlives the app'(_tools, open) {
    const { uid } = await open().auth().signInAnonymously()
    same((await open().auth().me()).uid, uid)
    await open().auth().signOut()
    same(open().auth().currentUser, null)
  },

  async 'abort and time limits'({ flaky }, open) {
    const cloud = open()
    await cloud.auth().signInAnonymously()
    flaky.next(/me$/, 'hang', 'hang')
    const abort = new Abort()
    setTimeout(() => abort.abort(), 100)
    await fails(cloud.http.get('/v1/auth/me', { signal: abort }), 'ABORTED')
    await fails(cloud.http.get('/v1/auth/me', { timeout: 300 }), 'TIMEOUT')
    await fails(cloud.http.get('/v1/auth/me', { signal: abort }), 'ABORTED')
  },

  async 'what the background interrupts is asked again'({ flaky, hide, show }, open) {
    const cloud = open()
    const { uid } = await cloud.auth().signInAnonymously()
    flaky.next(/me$/, 'hang')
    const asked = cloud.auth().me()
    await new Promise<void>((go) => setTimeout(go, 200))
    hide()
    show()
    same((await asked).uid, uid)
  },

  /** Some clients of Alipay tell no more of a failure. */
  async 'a status alone says what is wrong'(_tools, open) {
    const cloud = open()
    const posts = cloud.database().collection('posts')
    await fails(posts.doc('absent').get(), 'NOT_FOUND')
    await fails(posts.add({ title: 'x', text: 'x' }), 'PERMISSION_DENIED')
    await cloud.auth().signInAnonymously()
    await fails(cloud.downloadFile({ fileID: 'avatars/nobody/none.png' }), 'NOT_FOUND')
  },

  async 'a fault names its field'(_tools, open) {
    const cloud = open()
    await cloud.auth().signInAnonymously()
    let paths: string[] = []
    const told = (fault: any) => void (paths = fault.errors.map((one: any) => one.path))
    await cloud.database().collection('drafts').add({ title: 7 }).catch(told)
    same(paths, ['document.title'])
    await cloud.database().collection('drafts').addMany([{ title: 'x' }, { title: 7 }]).catch(told)
    same(paths, ['documents.1.title'])
  },

  async 'the name of a collection is no address'(_tools, open) {
    await fails(open().database().collection('posts/find?').get(), 'NOT_FOUND')
  },

  async 'uploads tell how far they are, and stop'({ file, flaky }, open) {
    const cloud = open()
    const { uid } = await cloud.auth().signInAnonymously()
    const told: number[] = []
    const text = 'x'.repeat(200_000)
    const cloudPath = `avatars/${uid}/big.png`
    const onProgress = ({ loaded, total }: any) => void told.push(loaded / total)
    const stored = await cloud.uploadFile({ cloudPath, filePath: file(text), onProgress })
    same([stored.size, told[told.length - 1]], [200_000, 1])
    same(told.slice().sort((one, other) => one - other), told)
    flaky.next(/upload$/, 'hang')
    const abort = new Abort()
    setTimeout(() => abort.abort(), 100)
    await fails(cloud.uploadFile({ cloudPath, filePath: file('y'), signal: abort }), 'ABORTED')
    await fails(cloud.uploadFile({ cloudPath, filePath: 'nowhere.png' }), 'NETWORK')
    await fails(cloud.uploadFile({ cloudPath, file: new Uint8Array(3) }), 'INVALID_ARGUMENT')
    await fails(cloud.downloadFile({ fileID: 'cloud://board/../../auth/me' }), 'INVALID_ARGUMENT')
  },

  async 'writes wait for the network, through the end of the app'({ flaky }, open) {
    const cloud = open({ offline: true, retries: 0 })
    await cloud.auth().signInAnonymously()
    const drafts = cloud.database().collection('drafts')
    flaky.away('refuse')
    const { _id, queued } = await drafts.add({ title: 'waits' })
    await drafts.doc(_id).update({ text: 'and more' })
    same(queued, true)
    const again = open({ offline: true, retries: 0 })
    flaky.away(null)
    await until('all is sent', () => again.offline.list().length === 0)
    const { title, text } = (await again.database().collection('drafts').doc(_id).get()).data
    same([title, text], ['waits', 'and more'])
  },

  /** Where other parts of the program hold all sockets, or a proxy lets none through. */
  async 'without a socket it polls'({ takeSockets }, open) {
    const free = takeSockets()
    const cloud = open()
    await cloud.auth().signInAnonymously()
    const mine = cloud.database().collection('drafts').where({ _openid: cloud.auth().currentUser.uid })
    let titles: string[] = []
    let told = 0
    const watcher = mine.watch({ onChange: ({ docs }: any) => ((titles = docs.map((doc: any) => doc.title)), told++) })
    await until('a first result', () => told === 1)
    await cloud.database().collection('drafts').add({ title: 'polled' })
    await until('a change', () => titles.join() === 'polled')
    watcher.close()
    free()
  },
}

export const names = Object.keys(CASES)

/** What it says: `ok`, or the fault. */
export async function run(name: string, place: string, tools: Tools): Promise<string> {
  const platform: Platform = place === 'alipay' ? alipay() : wechat()
  const opened: any[] = []
  const open = (more: Partial<CloudOptions> = {}) => {
    const cloud = createCloud({ url: tools.url, app: name, platform, ...more })
    opened.push(cloud)
    return cloud
  }
  try {
    await CASES[name](tools, open)
    return 'ok'
  } catch (fault) {
    return String((fault as Error).stack || fault)
  } finally {
    opened.forEach((cloud) => cloud.close())
  }
}

declare function setTimeout(call: () => void, ms: number): any
