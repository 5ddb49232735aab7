/** `node in-flaky.js URL [CASE]`: the SDK over a network that fails (fakes/flaky.ts). All cases, side by
 * side, each behind a proxy of its own: most of their time is pauses. */

import { strict as assert } from 'node:assert'
import WebSocket from 'ws'
import {
  Abort,
  BaasError,
  Cloud,
  CloudOptions,
  command as _,
  createCloud,
  memoryStorage,
  Platform,
  QueuedWrite,
} from '../../../sdk/baas_sdkgen/runtime/ts/index.js'
import { node } from '../../../sdk/baas_sdkgen/runtime/ts/platforms/node.js'
import { Fault, Flaky } from '../fakes/flaky.js'

const PATIENCE = 20_000

type More = Partial<CloudOptions>

/** What a case works with. */
class Place {
  constructor(readonly flaky: Flaky) {}

  client = (more: More = {}, storage = memoryStorage()): Cloud =>
    createCloud({ url: this.flaky.url, platform: node({ WebSocket, storage }), ...more })

  signedIn = async (more: More = {}, storage = memoryStorage()): Promise<Cloud> => {
    const cloud = this.client(more, storage)
    await cloud.auth().signInAnonymously()
    return cloud
  }
}

function drafts(cloud: Cloud): any {
  return cloud.database().collection('drafts')
}

async function until(test: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE
  while (!(await test())) {
    assert.ok(Date.now() < end, 'it did not come to that')
    await new Promise((go) => setTimeout(go, 20))
  }
}

async function fails(call: Promise<unknown>, code: string): Promise<BaasError> {
  const fault = await call.then(
    (answer) => assert.fail(`it did not fail: ${JSON.stringify(answer)}`),
    (fault) => fault,
  )
  assert.equal(fault.code, code, fault.message)
  return fault
}

const HARD: Fault[] = ['refuse', 'lose', 'half', 'twice', 'page']

async function revoked({ client, flaky }: Place, transport: 'socket' | 'poll'): Promise<void> {
  const person = { username: `revoked-${transport}-${Date.now()}`, password: 'correct horse' }
  const cloud = client({ app: 'here', transport })
  await cloud.auth().signUp(person)
  const users: unknown[] = []
  cloud.auth().onAuthStateChange((user) => users.push(user && user.username))
  let told = 0
  const ended: string[] = []
  drafts(cloud).where({ _openid: cloud.auth().currentUser!.uid }).watch({
    onChange: () => told++,
    onError: (fault: BaasError) => ended.push(fault.code),
  })
  await until(() => told === 1)
  const other = client({ app: 'there' })
  await other.auth().signInWithPassword(person)
  await other.auth().revokeSession({ all: true })
  await until(() => cloud.auth().currentUser === null)
  await until(() => ended.length === 1)
  assert.deepEqual(users, [person.username, null])
  assert.deepEqual(ended, ['PERMISSION_DENIED'])
  assert.ok(flaky.count(/refresh$/) <= 2)
  cloud.close()
}

const CASES: Record<string, (place: Place) => Promise<void>> = {
  /** Each write meets each fault, and two of them in a row. */
  async 'writes-happen-once'({ flaky, signedIn }) {
    const cloud = await signedIn()
    const { _id } = await drafts(cloud).add({ title: 'a', n: 0 })
    let n = 0
    for (const faults of [...HARD.map((fault) => [fault]), ['lose', 'half'], ['page', 'lose']] as Fault[][]) {
      const before = flaky.seen.length
      flaky.next(/\/update$/, ...faults)
      await drafts(cloud).doc(_id).update({ n: _.inc(1) })
      n++
      const keys = flaky.seen.slice(before).map((one) => one.key)
      assert.equal(new Set(keys).size, 1, `${faults}: one key for all tries`)
      assert.equal((await drafts(cloud).doc(_id).get()).data.n, n, `${faults}: once`)
    }
    for (const fault of HARD) {
      flaky.next(/\/insert$/, fault)
      await drafts(cloud).add({ title: fault })
      flaky.next(/\/transaction$/, fault)
      await cloud.database().runTransaction(async (transaction) => {
        await transaction.collection('drafts').doc(_id).update({ n: _.inc(1) })
      })
      n++
    }
    assert.equal((await drafts(cloud).doc(_id).get()).data.n, n)
    const mine = { _openid: cloud.auth().currentUser!.uid }
    assert.equal((await drafts(cloud).where(mine).count()).total, HARD.length + 1)
    flaky.next(/\/delete$/, 'lose')
    assert.deepEqual(await drafts(cloud).where({ ...mine, title: 'half' }).remove(), { removed: 1 })
  },

  /** Without a session there is no key: what may have happened is not said again. */
  async 'what-has-no-key-is-said-once'({ flaky, client }) {
    const cloud = client()
    const person = { username: `once-${Date.now()}`, password: 'correct horse' }
    flaky.next(/sign-up$/, 'lose')
    await fails(cloud.auth().signUp(person), 'NETWORK')
    assert.equal(flaky.count(/sign-up$/), 1)
    // It had happened.
    await fails(cloud.auth().signUp(person), 'CONFLICT')
    flaky.next(/comments\/insert$/, 'lose')
    await fails(cloud.database().collection('comments').add({ post: 'p', text: 't' }), 'NETWORK')
    assert.equal(flaky.count(/comments\/insert$/), 1)
  },

  async 'reads-are-repeated'({ flaky, signedIn }) {
    const cloud = await signedIn()
    flaky.next(/posts\/find$/, 'half', 'page', 'refuse')
    await cloud.database().collection('posts').limit(1).get()
    assert.equal(flaky.count(/posts\/find$/), 4)
    flaky.next(/posts\/find$/, 'half', 'page', 'refuse', 'lose')
    await fails(cloud.database().collection('posts').limit(1).get(), 'NETWORK')
    flaky.next(/posts\/find$/, 'half')
    await fails(cloud.database().collection('posts').get({ retries: 0 }), 'NETWORK')
  },

  async 'one-refresh-for-many-callers'({ flaky, client, signedIn }) {
    const storage = memoryStorage()
    const first = await signedIn({ app: 'x' }, storage)
    const kept = JSON.parse(storage.get('baas.x') as string)
    storage.set('baas.x', JSON.stringify({ ...kept, expires: 0 }))
    const cloud = client({ app: 'x' }, storage)
    flaky.next(/refresh$/, 'lose', 'half')
    const users = await Promise.all(Array.from({ length: 20 }, () => cloud.auth().me()))
    assert.deepEqual(new Set(users.map((user) => user.uid)), new Set([first.auth().currentUser!.uid]))
    // Two tries were lost; the third came through, for all.
    assert.equal(flaky.count(/refresh$/), 3)
    const now = JSON.parse(storage.get('baas.x') as string)
    assert.notEqual(now.refreshToken, kept.refreshToken)
  },

  async 'no-network-ends-no-session'({ flaky, client, signedIn }) {
    const storage = memoryStorage()
    await signedIn({ app: 'x' }, storage)
    const kept = JSON.parse(storage.get('baas.x') as string)
    storage.set('baas.x', JSON.stringify({ ...kept, expires: 0 }))
    const cloud = client({ app: 'x', retries: 0 }, storage)
    flaky.away('page')
    await fails(cloud.auth().me(), 'UNAVAILABLE')
    flaky.away(null)
    assert.equal((await cloud.auth().me()).uid, kept.user.uid)
  },

  async 'abort-and-time-limits'({ flaky, signedIn }) {
    const cloud = await signedIn()
    const posts = cloud.database().collection('posts')
    flaky.next(/find$/, 'hang', 'hang', 'hang')
    const began = Date.now()
    await fails(posts.get({ timeout: 300 }), 'TIMEOUT')
    assert.ok(Date.now() - began < 2000)
    const abort = new Abort()
    setTimeout(() => abort.abort(), 100)
    await fails(posts.get({ signal: abort }), 'ABORTED')
    await fails(posts.get({ signal: abort }), 'ABORTED')
    const standard = new AbortController()
    setTimeout(() => standard.abort(), 100)
    await fails(posts.get({ signal: standard.signal }), 'ABORTED')
    // Between two tries as well.
    flaky.next(/find$/, 'page')
    const between = new Abort()
    const call = fails(posts.get({ signal: between }), 'ABORTED')
    await until(() => flaky.seen[flaky.seen.length - 1].status === 0)
    between.abort()
    await call
    flaky.next(/find$/, 'slow')
    await posts.limit(1).get({ timeout: 5000 })
  },

  /** Many writes beside a socket that is cut again and again. */
  async 'a-watch-goes-on-without-gap'({ flaky, signedIn }) {
    const cloud = await signedIn()
    const uid = cloud.auth().currentUser!.uid
    const known = new Map<string, number>()
    const faults: string[] = []
    let inits = 0
    let last: any[] = []
    drafts(cloud).where({ _openid: uid }).watch({
      onChange: (snapshot: any) => {
        if (snapshot.type === 'init') inits++
        for (const { queueType, docId, doc } of snapshot.docChanges) {
          if (queueType === 'enqueue' && known.has(docId)) faults.push(`${docId} came twice`)
          // What was missed may come as one change; nothing comes again, nothing goes back.
          if (queueType === 'update' && doc.n <= (known.get(docId) as number)) faults.push(`${docId}: back`)
          known.set(docId, doc.n)
        }
        last = snapshot.docs
      },
      onError: (fault: BaasError) => faults.push(fault.message),
    })
    await until(() => inits === 1)
    const ids = [0, 1, 2, 3].map((place) => `flaky-${uid}-${place}`)
    for (const id of ids) await drafts(cloud).doc(id).set({ title: id, n: 0 })
    for (let round = 1; round <= 15; round++) {
      if (round % 3 === 0) flaky.cut()
      await Promise.all(ids.map((id) => drafts(cloud).doc(id).update({ n: _.inc(1) })))
    }
    await until(() => last.length === 4 && last.every((doc) => doc.n === 15))
    assert.deepEqual(faults, [])
    assert.equal(inits, 1, 'it went on from its cursor')
    cloud.close()
  },

  /** Many messages beside a socket that is cut: each once, in order. */
  async 'a-channel-goes-on-without-gap'({ flaky, client, signedIn }) {
    const speaker = await signedIn()
    const { _id } = await speaker.database().collection('posts').add({ title: 'talk', text: 'x' })
    const heard: number[] = []
    const gaps: number[] = []
    const here: string[][] = []
    const listener = client()
    await listener.auth().signInAnonymously()
    const channel = `post:${_id}` as const
    await listener.channel(channel).join({
      presence: { listening: true },
      onMessage: ({ event, data }) => event === 'said' && heard.push(data),
      onPresence: (entries) => here.push(entries.map((entry) => String(entry.uid))),
      onGap: () => gaps.push(heard.length),
    })
    const direct = createCloud({ url, platform: node({ WebSocket }) })
    await direct.auth().signInAnonymously()
    const mouth = direct.channel(channel)
    await mouth.join()
    const wanted = Array.from({ length: 40 }, (_none, n) => n)
    for (const n of wanted) {
      if (n % 7 === 3) flaky.cut()
      await mouth.publish('said', n)
    }
    await until(() => heard.length >= wanted.length)
    assert.deepEqual(heard, wanted)
    assert.deepEqual(gaps, [])
    await until(() => here[here.length - 1].length === 1)
    listener.close()
    direct.close()
  },

  async 'where-sockets-are-refused-it-polls'({ flaky, signedIn }) {
    flaky.noSockets = true
    const cloud = await signedIn()
    let titles: string[] | null = null
    const mine = drafts(cloud).where({ _openid: cloud.auth().currentUser!.uid })
    mine.watch({ onChange: ({ docs }: any) => (titles = docs.map((doc: any) => doc.title)) })
    await until(() => titles !== null)
    await drafts(cloud).add({ title: 'polled' })
    await until(() => titles!.join() === 'polled')
    assert.ok(flaky.seen.some(({ path }) => path.endsWith('/poll')))
    cloud.close()
  },

  /** Their faults are told, as any that nobody caught, and neither stop what follows nor are lost. */
  async 'callbacks-that-fail-stop-nothing'({ client }) {
    const faults: string[] = []
    const caught = (fault: any) => void faults.push(String(fault.message))
    process.on('unhandledRejection', caught)
    const fail = (what: string) => {
      throw new Error(`in ${what}`)
    }
    for (const transport of ['socket', 'poll'] as const) {
      const cloud = client({ transport, offline: { onChange: () => fail('onChange of offline') } })
      let changes = -1 // it is told at once who it is
      cloud.auth().onAuthStateChange(() => void (++changes > 0 && fail('onAuthStateChange')))
      await cloud.auth().signInAnonymously()
      const { _id } = await cloud.database().collection('posts').add({ title: 'x', text: 'x' })
      const channel = cloud.channel(`post:${_id}`)
      await channel.join({ presence: {}, onPresence: () => fail('onPresence'), onMessage: () => fail('onMessage') })
      await channel.publish('said', 1)
      let seen = 0
      const mine = drafts(cloud).where({ _openid: cloud.auth().currentUser!.uid })
      const onChange = ({ docs }: any) => {
        seen = docs.length
        fail('onChange of watch')
      }
      mine.watch({ onChange })
      await drafts(cloud).add({ title: 'one' })
      await until(() => seen === 1)
      await drafts(cloud).add({ title: 'two' })
      await until(() => seen === 2)
      await until(() => faults.indexOf('in onMessage') >= 0)
      cloud.close()
    }
    process.off('unhandledRejection', caught)
    const places = ['onAuthStateChange', 'onChange of offline', 'onChange of watch', 'onMessage', 'onPresence']
    assert.deepEqual(Array.from(new Set(faults)).sort(), places.map((place) => `in ${place}`))
  },

  /** Nothing says that the network is gone; coming to the front finds it out. */
  async 'a-frozen-socket-is-found-out'({ flaky }) {
    let resume = () => undefined as void
    const platform: Platform = {
      ...node({ WebSocket }),
      onResume: (call) => {
        const before = resume
        resume = () => (before(), call())
      },
    }
    const cloud = createCloud({ url: flaky.url, platform })
    await cloud.auth().signInAnonymously()
    let docs: any[] = []
    const mine = drafts(cloud).where({ _openid: cloud.auth().currentUser!.uid })
    let told = 0
    mine.watch({ onChange: (snapshot: any) => ((docs = snapshot.docs), told++) })
    await until(() => told === 1)
    flaky.freeze()
    await drafts(cloud).add({ title: 'unseen' })
    flaky.thaw()
    // As if the tunnel stayed frozen: the old socket is told nothing, and new ones work.
    flaky.sockets.splice(0)
    resume()
    await until(() => docs.length === 1)
    cloud.close()
  },

  /** Signed out from another device: the watch is told, and the app asks to sign in again. */
  'a-revoked-session-ends-here-too': (place) => revoked(place, 'socket'),
  'a-revoked-session-ends-here-too-by-poll': (place) => revoked(place, 'poll'),

  // -- the offline queue -----------------------------------------------------------------------

  async 'offline-writes-follow-in-order'({ flaky, client, signedIn }) {
    const storage = memoryStorage()
    const counts: number[] = []
    const offline = { onChange: (waiting: number) => counts.push(waiting) }
    const cloud = await signedIn({ app: 'q', offline, retries: 0 }, storage)
    const _openid = cloud.auth().currentUser!.uid
    await drafts(cloud).doc(`q-${_openid}`).set({ title: 'a', log: [] })
    flaky.away()
    const told = []
    for (const letter of ['b', 'c', 'd', 'e']) {
      told.push(await drafts(cloud).doc(`q-${_openid}`).update({ log: _.push([letter]), title: letter }))
    }
    const added = await drafts(cloud).add({ title: 'new' })
    assert.deepEqual(told, Array(4).fill({ updated: 0, upsertedId: null, queued: true }))
    assert.equal(added.queued, true)
    assert.equal(cloud.offline!.list().length, 5)
    // The app ends, and begins again; meanwhile one answer is lost and one request comes twice.
    const again = client({ app: 'q', offline, retries: 0 }, storage)
    flaky.away(null)
    flaky.next(/update$/, 'lose', 'twice')
    await until(() => again.offline!.list().length === 0)
    const { data } = await drafts(again).doc(`q-${_openid}`).get()
    assert.deepEqual([data.title, data.log], ['e', ['b', 'c', 'd', 'e']])
    assert.equal((await drafts(again).doc(added._id).get()).data.title, 'new')
    assert.equal(Math.max(...counts), 5)
    assert.equal(counts[counts.length - 1], 0)
  },

  async 'offline-refusals-are-told'({ flaky, signedIn }) {
    const refused: Array<[string, string]> = []
    const offline = {
      limit: 3,
      onRefused: (write: QueuedWrite, error: BaasError) => void refused.push([write.verb, error.code]),
    }
    const cloud = await signedIn({ offline, retries: 0 })
    const posts = cloud.database().collection('posts')
    // While the server is there, a refusal is the call's own.
    await fails(posts.add({ title: '' }), 'VALIDATION_FAILED')
    const { _id } = await drafts(cloud).add({ title: 'x' })
    flaky.away('page')
    await drafts(cloud).doc('absent').update({ title: 'y' })
    await posts.add({ title: 'x', text: 'x', hidden: true })
    await drafts(cloud).add({ _id, title: 'again' })
    await fails(drafts(cloud).add({ title: 'one too many' }), 'LIMIT_EXCEEDED')
    assert.equal(cloud.offline!.list().length, 3)
    flaky.away(null)
    await cloud.offline!.flush()
    const order = [['update', 'NOT_FOUND'], ['insert', 'PERMISSION_DENIED'], ['insert', 'CONFLICT']]
    assert.deepEqual(refused, order)
    assert.deepEqual(cloud.offline!.list(), [])
  },

  async 'offline-writes-are-their-users-alone'({ flaky, client, signedIn }) {
    const storage = memoryStorage()
    const cloud = await signedIn({ app: 'u', offline: true, retries: 0 }, storage)
    const { uid } = cloud.auth().currentUser!
    const person = { username: `ann-${uid.toLowerCase()}`, password: 'correct horse' }
    await cloud.auth().link({ method: 'password', ...person })
    flaky.away()
    await drafts(cloud).doc(`u-${uid}`).set({ title: 'mine' })
    const cancelled = await drafts(cloud).add({ title: 'never' })
    const { id } = cloud.offline!.list()[1]
    assert.equal(cloud.offline!.cancel(id), true)
    assert.equal(cloud.offline!.cancel(id), false)
    await cloud.auth().signOut()
    flaky.away(null)
    await cloud.auth().signInAnonymously()
    await cloud.offline!.flush()
    await fails(drafts(cloud).doc(`u-${uid}`).get(), 'NOT_FOUND')
    assert.deepEqual(cloud.offline!.list(), [])
    // Of somebody who never came back, nothing is left after a month.
    storage.set('baas.v.writes', JSON.stringify([{ ...JSON.parse(storage.get('baas.u.writes')!)[0], at: 1 }]))
    client({ app: 'v', offline: true }, storage)
    assert.equal(storage.get('baas.v.writes'), null)
    await cloud.auth().signInWithPassword(person)
    await cloud.offline!.flush()
    assert.equal((await drafts(cloud).doc(`u-${uid}`).get()).data.title, 'mine')
    await fails(drafts(cloud).doc(cancelled._id).get(), 'NOT_FOUND')
    // A change that may have been made longer ago than keys are known, is not made again.
    flaky.away()
    await drafts(cloud).doc(`u-${uid}`).update({ n: _.inc(1) })
    const key = 'baas.u.writes'
    const old = JSON.parse(storage.get(key) as string).map((one: any) => ({ ...one, sent: 1 }))
    storage.set(key, JSON.stringify(old))
    flaky.away(null)
    const refused: string[] = []
    const offline = { onRefused: (_write: QueuedWrite, error: BaasError) => void refused.push(error.code) }
    const again = client({ app: 'u', offline }, storage)
    await again.offline!.flush()
    assert.deepEqual(refused, ['UNKNOWN_OUTCOME'])
    assert.equal('n' in (await drafts(again).doc(`u-${uid}`).get()).data, false)
  },
}

const [url, only] = process.argv.slice(2)

/** What it says of a case: `ok`, or the fault. */
async function said(name: string): Promise<string> {
  const flaky = await Flaky.before(url)
  try {
    await CASES[name](new Place(flaky))
    return 'ok'
  } catch (fault) {
    return fault instanceof Error ? `${fault.stack}` : String(fault)
  } finally {
    flaky.close()
  }
}

const names = only === undefined ? Object.keys(CASES) : [only]
const found = await Promise.all(names.map(async (name) => [name, await said(name)]))
console.log(JSON.stringify(Object.fromEntries(found)))
process.exit(0)
