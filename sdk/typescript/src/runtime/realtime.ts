/**
 * Live queries, channels and the inbox over one WebSocket, or by long-poll where there is none:
 * docs/realtime.md has the frames. Whatever breaks, every watch and channel goes on where it was.
 */

import type { Auth } from './auth.js'
import { callBack } from './callbacks.js'
import { BaasError } from './errors.js'
import { Http, pauseOf } from './http.js'
import { random } from './ids.js'
import { Abort, Socket } from './platform.js'
import { decode, encode } from './values.js'

export interface DocumentChange<D> {
  /** `init` of a first or fresh result; `enqueue` came into the result, `dequeue` left it. */
  queueType: 'init' | 'enqueue' | 'update' | 'dequeue'
  dataType: 'init' | 'add' | 'update' | 'remove'
  docId: string
  /** As it is now; of one that left, as it was last seen. */
  doc: D
  /** Top-level names. */
  updatedFields?: string[]
  removedFields?: string[]
}

export interface Snapshot<D> {
  /** `init`: a whole result, also after a gap; else undefined. */
  type?: 'init'
  /** Grows by one each time. */
  id: number
  /** The result, in order. */
  docs: D[]
  docChanges: Array<DocumentChange<D>>
}

export interface WatchHandlers<D> {
  onChange(snapshot: Snapshot<D>): void
  /** The watch has ended, refused by the rules for one; nothing follows. */
  onError?(error: BaasError): void
}

export interface Watcher {
  close(): void
}

export interface Message {
  event: string
  data: any
  /** Who sent it, as far as it was signed in. */
  from: string | null
}

export interface PresenceEntry {
  uid: string | null
  session: string
  state: any
  since: Date
}

export interface ChannelHandlers {
  onMessage?(message: Message): void
  /** Who is here, whenever that changes. */
  onPresence?(entries: PresenceEntry[]): void
  /** Some messages may be missing: the history did not reach back far enough. */
  onGap?(): void
  onError?(error: BaasError): void
  /** Be seen by others, with this state. */
  presence?: any
}

export interface InboxHandlers {
  /** Kept on the server until this returns (or its promise is fulfilled). */
  onMessage(message: Message): void | Promise<void>
  onError?(error: BaasError): void
}

export interface Inbox {
  close(): void
}

type Frame = Record<string, any>
type Transport = 'socket' | 'poll'

/** Sockets that fail this often in a row, without one that worked, are given up for polling. */
const SOCKET_TRIES = 3
const POLL_WAIT = 25
/** A poll's answer is waited for this long. Milliseconds. */
const POLL_TIMEOUT = 40_000
/** Closed by the server for good reason: coming back with the same would end the same. */
const CLOSE_BAD_FRAME = 4400
/** The token was refused; as reasons of `bye` too, since some platforms tell no close code. */
const CLOSE_TOKEN = 4401
const TOKEN_REASONS = ['unauthenticated', 'expired', 'revoked']
const CLOSE_LIMITS = 4429
const LIMITS_PAUSE = 10_000
/** A connection that has slept answers within this. Milliseconds. */
const PROBE = 4000

/** One watch or channel, through every connection. */
abstract class Entry {
  readonly id: string
  cursor: string | null = null
  /** Whether the connection of the moment has said yes. */
  open = false

  constructor(number: number, prefix: string) {
    this.id = prefix + number
  }

  /** The frame that opens it, or goes on from `cursor`. */
  abstract opening(): Frame
  /** With all that has to be said again on every connection. */
  openings(): Frame[] {
    return [this.opening()]
  }
  abstract readonly closing: 'unwatch' | 'leave'
  abstract take(frame: Frame): void
  abstract fail(error: BaasError): void
}

export class Realtime {
  private readonly entries = new Map<string, Entry>()
  /** What was published and has no answer yet. */
  private readonly acks = new Map<
    string,
    { id: string; resolve(): void; reject(error: BaasError): void }
  >()
  private readonly session = random(20)
  private count = 0
  private socket: Socket | null = null
  private ready = false
  private tries = 0
  private worked = false
  private timers: any[] = []
  private retry: any = null
  private poll: Abort | null = null
  /** Something was opened since the last poll: what is no news to the server is one to the app. */
  private fresh = false
  /** What the connection was opened with, and whether the server would not have it. */
  private token: string | null = null
  private refused = false
  private heard = 0
  private frames = 0

  constructor(
    private readonly http: Http,
    private readonly auth: Auth,
    private transport: Transport,
  ) {
    if (http.platform.connect === undefined) this.transport = 'poll'
    auth.onToken(() => this.renew())
    if (http.platform.onResume) http.platform.onResume(() => this.resume())
  }

  watch(query: Frame, handlers: WatchHandlers<any>): Watcher {
    return this.add(new WatchEntry(++this.count, query, handlers))
  }

  channel(name: string): Channel {
    return new Channel(this, name)
  }

  /** One message after the other: what is acknowledged, is so with all that came before it. */
  inbox(handlers: InboxHandlers): Inbox {
    let last: Promise<unknown> = Promise.resolve()
    let failed = false
    const entry: ChannelEntry = new ChannelEntry(++this.count, 'inbox', {
      onError: handlers.onError,
      onMessage: (message, cursor) => {
        last = last
          .then(() => handlers.onMessage(message))
          .then(
            () => void (failed || this.acknowledge(entry, cursor)),
            (fault) => {
              // It comes again, the next time that the inbox is opened. The fault is the app's.
              failed = true
              void Promise.reject(fault)
            },
          )
      },
    })
    return this.add(entry)
  }

  private acknowledge(entry: ChannelEntry, cursor: string | null): void {
    entry.acknowledged = cursor
    if (this.transport === 'poll') this.pollAgain()
    else this.send({ type: 'ack', id: entry.id, cursor })
  }

  join(name: string, handlers: ChannelHandlers): ChannelEntry {
    const entry = new ChannelEntry(++this.count, name, handlers)
    this.add(entry)
    return entry
  }

  add(entry: Entry): { close(): void } {
    this.entries.set(entry.id, entry)
    if (this.transport === 'poll') this.pollAgain()
    else if (this.ready) entry.openings().forEach((frame) => this.send(frame))
    else this.connect()
    return { close: () => this.remove(entry) }
  }

  remove(entry: Entry): void {
    if (!this.entries.delete(entry.id)) return
    if (this.ready) this.send({ type: entry.closing, id: entry.id })
    if (this.transport === 'poll') this.pollAgain()
    else if (this.entries.size === 0) this.hangUp()
  }

  /** Opens it again, to change what it was opened with. */
  reopen(entry: Entry): void {
    if (this.transport === 'poll') this.pollAgain()
    else this.send(entry.opening())
  }

  /** Fulfilled once durable. Rejected where that is not known: it may or may not have been sent. */
  publish(entry: Entry, event: string, data: any): Promise<void> {
    const ref = random(12)
    const frame: Frame = { type: 'publish', id: entry.id, event, data: encode(data), ack: ref }
    return new Promise((resolve, reject) => {
      this.acks.set(ref, { id: entry.id, resolve, reject })
      if (this.transport === 'poll') this.publishByPoll(entry, frame)
      else if (this.ready) this.send(frame)
      else this.settle(ref, new BaasError('NETWORK', 'There is no connection at the moment.'))
    })
  }

  close(): void {
    this.entries.clear()
    this.hangUp()
    this.pollAgain()
  }

  // -- the socket ------------------------------------------------------------------------------

  private connect(): void {
    if (this.socket !== null || this.retry !== null || this.entries.size === 0) return
    const { connect } = this.http.platform
    if (connect === undefined) return
    let socket: Socket | null = null
    const mine = () => this.socket === socket && socket !== null
    socket = connect.call(this.http.platform, socketUrl(this.http.base), {
      open: () => void (mine() && this.sayWho()),
      message: (text) => void (mine() && this.received(text)),
      closed: (code, reason) => void (mine() && this.lost(code, reason)),
    })
    this.socket = socket
    this.after(this.http.timeout, () => void (mine() && !this.ready && this.hangUp(true)))
  }

  private async sayWho(): Promise<void> {
    const { socket } = this
    let token: string | null
    try {
      token = await this.freshToken()
    } catch {
      this.hangUp(true)
      return
    }
    if (socket !== null && this.socket === socket) {
      this.token = token
      socket.send(JSON.stringify({ type: 'auth', token }))
    }
  }

  private freshToken(): Promise<string | null> {
    const { token, refused } = this
    this.refused = false
    return refused && token !== null ? this.auth.renew(token) : this.auth.token()
  }

  /** The token changed, or somebody signed in or out. */
  private renew(): void {
    if (this.ready) void this.sayWho()
    else if (this.transport === 'poll') this.pollAgain()
  }

  private greeted(frame: Frame): void {
    if (this.transport === 'poll') return // each poll is greeted
    this.worked = true
    this.tries = 0
    if (this.ready) return // an answer to a renewal
    this.ready = true
    this.entries.forEach((entry) => entry.openings().forEach((one) => this.send(one)))
    const beat = frame.pingSeconds * 1000
    const tick = () => {
      if (Date.now() - this.heard > 2 * beat + 5000) return this.hangUp(true)
      this.send({ type: 'ping' })
      void this.auth.token().catch(() => null) // renews what is about to run out
      this.after(beat, tick)
    }
    this.after(beat, tick)
  }

  private send(frame: Frame): void {
    if (this.socket !== null && this.ready) this.socket.send(JSON.stringify(frame))
  }

  private lost(code: number, reason: string): void {
    const refused = code === CLOSE_BAD_FRAME
    if (code === CLOSE_TOKEN) this.refused = true
    this.reset()
    this.drop(new BaasError('NETWORK', `The connection was closed: ${code} ${reason}`))
    if (refused) {
      this.entries.forEach((entry) => this.end(entry, new BaasError('BAD_ANSWER', reason)))
      return
    }
    this.tries++
    if (!this.worked && this.tries >= SOCKET_TRIES) {
      this.transport = 'poll'
      this.pollAgain()
      return
    }
    this.again(code === CLOSE_LIMITS ? LIMITS_PAUSE : pauseOf(null, this.tries - 1))
  }

  private again(pause: number): void {
    if (this.retry !== null || this.entries.size === 0) return
    this.retry = setTimeout(() => {
      this.retry = null
      this.connect()
    }, pause)
  }

  /** The app is in front again, or the network is back: do not wait. */
  private resume(): void {
    if (this.retry !== null) {
      clearTimeout(this.retry)
      this.retry = null
    }
    if (this.transport === 'poll') this.pollAgain()
    else if (this.ready) this.probe()
    else this.connect()
  }

  /** A connection that slept may be gone without a word: it has to answer at once. */
  private probe(): void {
    const { socket, frames } = this
    this.send({ type: 'ping' })
    this.after(PROBE, () => {
      if (this.socket === socket && this.frames === frames) this.hangUp(true)
    })
  }

  private hangUp(comeBack = false): void {
    const { socket } = this
    this.reset()
    if (socket !== null) socket.close()
    this.drop(new BaasError('NETWORK', 'The connection was closed.'))
    if (comeBack) this.lost(1006, 'no answer')
  }

  private reset(): void {
    this.socket = null
    this.ready = false
    this.timers.forEach((timer) => clearTimeout(timer))
    this.timers = []
    this.entries.forEach((entry) => (entry.open = false))
  }

  private after(ms: number, call: () => void): void {
    this.timers.push(setTimeout(call, ms))
    if (this.timers.length > 16) this.timers = this.timers.slice(-8)
  }

  // -- long-poll -------------------------------------------------------------------------------

  /** Begins to poll, or lets a poll that waits take note of what has changed. */
  private pollAgain(): void {
    this.fresh = true
    if (this.poll !== null) this.poll.abort()
    else if (this.transport === 'poll' && this.entries.size > 0) void this.pollOn()
  }

  private async pollOn(): Promise<void> {
    while (this.entries.size > 0) {
      const abort = new Abort()
      this.poll = abort
      try {
        const openings = Array.from(this.entries.values()).map((entry) => entry.openings())
        const wait = this.fresh ? 0 : POLL_WAIT
        this.fresh = false
        const frames = await this.pollOnce(([] as Frame[]).concat(...openings), wait, abort)
        if (!abort.aborted) frames.forEach((frame) => this.take(frame))
        this.tries = 0
      } catch (fault) {
        if (abort.aborted) continue
        // Who is here, for one, may have changed meanwhile.
        this.fresh = true
        await this.pollFailed(fault as BaasError, abort)
      }
    }
    this.poll = null
  }

  private async pollOnce(frames: Frame[], wait: number, signal?: Abort): Promise<Frame[]> {
    const token = await this.auth.token()
    const body = { session: this.session, frames: [{ type: 'auth', token }, ...frames], wait }
    const options = { timeout: POLL_TIMEOUT, signal, retries: 0 }
    return (await this.http.post('/v1/realtime/poll', body, 'once', options)).frames
  }

  private pollFailed(fault: BaasError, abort: Abort): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pauseOf(fault, this.tries++))
      abort.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  /** By a poll of its own, so that none that is broken off can send it twice. What else comes with
   * the answer, the other poll brings too. */
  private async publishByPoll(entry: Entry, frame: Frame): Promise<void> {
    try {
      const frames = await this.pollOnce([entry.opening(), frame], 0)
      frames.filter((one) => one.type === 'ack' || one.type === 'error').forEach((one) => this.take(one))
      this.settle(frame.ack, new BaasError('BAD_ANSWER', 'The message was not acknowledged.'))
    } catch (fault) {
      this.settle(frame.ack, fault as BaasError)
    }
  }

  // -- frames ----------------------------------------------------------------------------------

  /** What makes no sense ends this connection alone; the next one goes on. */
  private received(text: string): void {
    try {
      this.take(JSON.parse(text))
    } catch {
      this.hangUp(true)
    }
  }

  private take(frame: Frame): void {
    this.heard = Date.now()
    this.frames++
    if (frame.type === 'ready') return this.greeted(frame)
    if (frame.type === 'ack') return this.settle(frame.ref)
    if (frame.type === 'bye' && TOKEN_REASONS.indexOf(frame.reason) >= 0) this.refused = true
    const entry = frame.id === undefined ? undefined : this.entries.get(frame.id)
    if (frame.type !== 'error') {
      if (entry !== undefined) entry.take(frame)
      return
    }
    const error = new BaasError(frame.code, frame.detail || '')
    if (frame.ref !== undefined) this.settle(frame.ref, error)
    else if (entry !== undefined) this.end(entry, error)
  }

  private end(entry: Entry, error: BaasError): void {
    this.entries.delete(entry.id)
    // No answer follows: it may have been published or not.
    this.acks.forEach((waiting, ref) => waiting.id === entry.id && this.settle(ref, error))
    entry.fail(error)
  }

  private settle(ref: string, error?: BaasError): void {
    const waiting = this.acks.get(ref)
    if (waiting === undefined) return
    this.acks.delete(ref)
    if (error === undefined) waiting.resolve()
    else waiting.reject(error)
  }

  private drop(error: BaasError): void {
    Array.from(this.acks.keys()).forEach((ref) => this.settle(ref, error))
  }
}

// -- live queries ------------------------------------------------------------------------------

class WatchEntry extends Entry {
  readonly closing = 'unwatch'
  private docs: any[] = []
  private number = 0

  constructor(
    number: number,
    private readonly query: Frame,
    private readonly handlers: WatchHandlers<any>,
  ) {
    super(number, 'w')
  }

  opening(): Frame {
    const frame = { type: 'watch', id: this.id, ...this.query }
    return this.cursor === null ? frame : { ...frame, cursor: this.cursor }
  }

  take(frame: Frame): void {
    const { cursor = this.cursor } = frame
    // Where the frame turns out to make no sense, nobody knows where this is: it begins anew.
    this.cursor = null
    if (frame.type === 'resync') return
    if (frame.type === 'snapshot') this.begin(frame.documents.map(decode))
    else if (frame.type === 'change') this.change(frame.changes)
    this.cursor = cursor
  }

  fail(error: BaasError): void {
    callBack(() => this.handlers.onError && this.handlers.onError(error))
  }

  private begin(docs: any[]): void {
    this.docs = docs
    const changes = docs.map((doc): DocumentChange<any> => {
      return { queueType: 'init', dataType: 'init', docId: doc._id, doc }
    })
    this.tell(changes, 'init')
  }

  private change(changes: Frame[]): void {
    const docs = this.docs.slice()
    const told = changes.map((change) => apply(docs, change))
    this.docs = docs
    this.tell(told)
  }

  private tell(docChanges: Array<DocumentChange<any>>, type?: 'init'): void {
    const snapshot: Snapshot<any> = { id: this.number++, docs: this.docs.slice(), docChanges }
    if (type !== undefined) snapshot.type = type
    callBack(() => this.handlers.onChange(snapshot))
  }
}

/** One change, applied to the result in place. */
function apply(docs: any[], change: Frame): DocumentChange<any> {
  const { docId } = change
  const at = docs.findIndex((doc) => doc._id === docId)
  const [before] = at < 0 ? [undefined] : docs.splice(at, 1)
  if (change.op === 'leave') {
    return { queueType: 'dequeue', dataType: 'remove', docId, doc: before }
  }
  const doc = decode(change.document)
  if (doc._id === undefined) Object.defineProperty(doc, '_id', { value: docId })
  docs.splice(change.index, 0, doc)
  if (change.op === 'enter') return { queueType: 'enqueue', dataType: 'add', docId, doc }
  const { updated: updatedFields, removed: removedFields } = change
  return { queueType: 'update', dataType: 'update', docId, doc, updatedFields, removedFields }
}

// -- channels ----------------------------------------------------------------------------------

interface EntryHandlers extends Omit<ChannelHandlers, 'onMessage'> {
  onMessage?(message: Message, cursor: string | null): void
  onJoined?(): void
}

class ChannelEntry extends Entry {
  readonly closing = 'leave'
  /** Of an inbox: up to here everything has arrived. */
  acknowledged: string | null = null
  private here: PresenceEntry[] = []

  constructor(
    number: number,
    private readonly channel: string,
    readonly handlers: EntryHandlers,
  ) {
    super(number, 'c')
  }

  opening(): Frame {
    const frame: Frame = { type: 'join', id: this.id, channel: this.channel }
    if (this.handlers.presence !== undefined) frame.presence = encode(this.handlers.presence)
    if (this.cursor !== null) frame.cursor = this.cursor
    return frame
  }

  override openings(): Frame[] {
    const { id, acknowledged } = this
    const ack = { type: 'ack', id, cursor: acknowledged }
    return acknowledged === null ? [this.opening()] : [this.opening(), ack]
  }

  take(frame: Frame): void {
    if (frame.type === 'joined') {
      this.open = true
      if (this.cursor === null) this.cursor = frame.cursor
      if (frame.presence) this.present(frame.presence.map(decode))
      if (this.handlers.onJoined) this.handlers.onJoined()
    } else if (frame.type === 'message') {
      if (frame.cursor !== undefined) this.cursor = frame.cursor
      const message = { event: frame.event, data: decode(frame.data), from: frame.from }
      callBack(() => this.handlers.onMessage && this.handlers.onMessage(message, frame.cursor))
    } else if (frame.type === 'presence') {
      this.moved(frame)
    } else if (frame.type === 'resync') {
      // The cursor stays: what is still there comes next, and a new connection goes on from it.
      callBack(() => this.handlers.onGap && this.handlers.onGap())
    }
  }

  fail(error: BaasError): void {
    callBack(() => this.handlers.onError && this.handlers.onError(error))
  }

  private moved(frame: Frame): void {
    const gone = [...(frame.leave || []), ...(frame.join || [])].map((entry) => entry.session)
    const left = this.here.filter((entry) => gone.indexOf(entry.session) < 0)
    this.present([...left, ...(frame.join || []).map(decode)])
  }

  private present(entries: PresenceEntry[]): void {
    this.here = entries
    callBack(() => this.handlers.onPresence && this.handlers.onPresence(entries.slice()))
  }
}

/** A channel by name. */
export class Channel {
  private entry: ChannelEntry | null = null

  constructor(
    private readonly realtime: Realtime,
    readonly name: string,
  ) {}

  /** Fulfilled once joined; rejected where the rules refuse. */
  join(handlers: ChannelHandlers = {}): Promise<void> {
    this.leave()
    return new Promise((resolve, reject) => {
      const { onError } = handlers
      this.entry = this.realtime.join(this.name, {
        ...handlers,
        onError: (error) => {
          this.entry = null
          reject(error)
          if (onError) onError(error)
        },
        ...{ onJoined: resolve },
      } as ChannelHandlers)
    })
  }

  /** To everybody in the channel, this client too. */
  publish(event: string, data: any = null): Promise<void> {
    if (this.entry === null) {
      return Promise.reject(new BaasError('INVALID_ARGUMENT', 'join the channel first'))
    }
    return this.realtime.publish(this.entry, event, data)
  }

  /** A new state, for others to see. */
  setPresence(state: any): void {
    if (this.entry === null) return
    this.entry.handlers.presence = state
    this.realtime.reopen(this.entry)
  }

  leave(): void {
    if (this.entry !== null) this.realtime.remove(this.entry)
    this.entry = null
  }
}

function socketUrl(base: string): string {
  return `${base.replace(/^http/, 'ws')}/v1/realtime`
}

declare function setTimeout(call: () => void, ms: number): any
declare function clearTimeout(timer: any): void
