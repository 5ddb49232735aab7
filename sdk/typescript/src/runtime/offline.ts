/**
 * Writes that outlive a lost network, where the app asks for it: `createCloud({ offline: true })`.
 *
 * Each write is kept on the device before it is sent, and sent in the order of the calls, once: a
 * repeat carries the Idempotency-Key of the first try. Where the server cannot be reached, the call
 * is fulfilled with `queued: true`; the write follows when the network is back, in this run of the
 * app or a later one. What the server then refuses is told to `onRefused`.
 */

import type { Auth } from './auth.js'
import { callBack } from './callbacks.js'
import { BaasError } from './errors.js'
import { CallOptions, databasePath, Http, pauseOf } from './http.js'
import { random } from './ids.js'
import { Platform } from './platform.js'

export interface QueuedWrite {
  id: string
  /** Whose it is: it is sent for this user alone. */
  uid: string
  collection: string
  verb: string
  body: any
  /** Milliseconds since 1970, by this device's clock. */
  at: number
}

export interface OfflineOptions {
  /** So many writes may wait, 200 unless given; one more is refused with LIMIT_EXCEEDED. */
  limit?: number
  /** The server refused a write whose call had been fulfilled as `queued`. It is not tried again. */
  onRefused?(write: QueuedWrite, error: BaasError): void
  /** How many wait, whenever that changes. */
  onChange?(waiting: number): void
}

interface Kept extends QueuedWrite {
  key: string
  /** Among those of one moment. */
  place: number
  /** When it was first sent. */
  sent?: number
}

interface Waiting {
  resolve(answer: any): void
  reject(error: BaasError): void
}

const LIMIT = 200
/** Characters in all: some devices keep no more under one name. */
const CHARACTERS = 150_000
/** Servers know a key for 24 hours; a change whose fate is unknown is not sent again after this. */
const KEY_LASTS = 23 * 3600_000
const LONGEST_PAUSE = 60_000
/** Who has not been back for so long is signed out on the server too: what waited for them goes. */
const FORGOTTEN = 30 * 24 * 3600_000
/** Answers that say that the server is away, or was not asked. */
const AWAY = ['NETWORK', 'TIMEOUT', 'UNAVAILABLE', 'RATE_LIMITED', 'BAD_ANSWER', 'IDEMPOTENCY_IN_PROGRESS']
/** The session is over: whoever signs in again as this user sends it. */
const NOBODY = ['UNAUTHENTICATED', 'TOKEN_EXPIRED', 'SESSION_REVOKED', 'INVALID_CREDENTIALS']

export class OfflineQueue {
  private readonly waiting = new Map<string, Waiting>()
  private running: Promise<void> | null = null
  private timer: any = null
  private tries = 0
  private count = 0
  private readonly kept: Store

  constructor(
    private readonly http: Http,
    private readonly auth: Auth,
    key: string,
    private readonly options: OfflineOptions,
  ) {
    const { platform } = http
    this.kept = new Store(platform.storage, key)
    this.forget()
    if (platform.onResume) platform.onResume(() => void this.flush())
    auth.onToken(() => void this.flush())
    if (this.mine().length > 0) this.later(0)
  }

  /** What waits on this device, of this user. */
  list(): QueuedWrite[] {
    return this.mine().map(publicly)
  }

  /** Takes a write that waits out of the queue; false where it is not there any more. */
  cancel(id: string): boolean {
    return this.take(id)
  }

  /** Sends what waits, now. Fulfilled when nothing waits any more, or the server is away. */
  flush(): Promise<void> {
    if (this.running === null) {
      clearTimeout(this.timer)
      this.timer = null
      this.running = this.send().finally(() => {
        this.running = null
        // Written as the last was ending.
        if (this.waiting.size > 0) void this.flush()
      })
    }
    return this.running
  }

  /** The server's answer, or `{queued: true}`. */
  write(collection: string, verb: string, body: any, options: CallOptions): Promise<any> {
    const user = this.auth.currentUser
    // Without a session there is no key, and so no way to send it once.
    if (user === null) return this.http.post(databasePath(collection, verb), body, 'key', options)
    const { signal } = options
    if (signal && signal.aborted) return Promise.reject(new BaasError('ABORTED', 'The call was aborted.'))
    const write: Kept = {
      ...{ id: random(12), uid: user.uid, collection, verb, body },
      ...{ at: Date.now(), place: this.count++, key: random(24) },
    }
    try {
      this.add(write)
    } catch (fault) {
      return Promise.reject(fault)
    }
    const told = new Promise((resolve, reject) => this.waiting.set(write.id, { resolve, reject }))
    if (signal) signal.addEventListener('abort', () => this.abort(write.id))
    void this.flush()
    return told
  }

  // -- sending ---------------------------------------------------------------------------------

  private async send(): Promise<void> {
    // Begins a moment later, so that whoever called has its promise first.
    await Promise.resolve()
    for (let write = this.next(); write !== undefined; write = this.next()) {
      if (!(await this.sendOne(write))) return this.away()
      this.tries = 0
    }
    // Another tab has sent it, or its user has gone: its fate is not this call's any more.
    this.answerQueued()
  }

  /** Whether it is settled, one way or the other. */
  private async sendOne(write: Kept): Promise<boolean> {
    const old = write.sent !== undefined && Date.now() - write.sent > KEY_LASTS
    if (old && write.verb === 'update') {
      this.refuse(write, new BaasError('UNKNOWN_OUTCOME', 'It was sent too long ago to be sent again.'))
      return true
    }
    if (write.sent === undefined) this.mark(write)
    try {
      const { collection, verb, body, key } = write
      const answer = await this.http.post(databasePath(collection, verb), body, 'key', { key })
      this.take(write.id)
      this.settle(write.id, (one) => one.resolve(answer))
    } catch (fault) {
      const error = fault instanceof BaasError ? fault : new BaasError('BAD_ANSWER', String(fault))
      if (AWAY.indexOf(error.code) >= 0 || NOBODY.indexOf(error.code) >= 0) return false
      this.refuse(write, error)
    }
    return true
  }

  /** That it may have been carried out, from now on. A device that is full does without. */
  private mark(write: Kept): void {
    try {
      this.kept.put({ ...write, sent: Date.now() })
    } catch {
      // It is kept as it was.
    }
  }

  private refuse(write: Kept, error: BaasError): void {
    this.take(write.id)
    const told = this.settle(write.id, (one) => one.reject(error))
    if (!told) callBack(() => this.options.onRefused && this.options.onRefused(publicly(write), error))
  }

  /** Calls that wait are fulfilled; what they wrote follows later. */
  private away(): void {
    this.answerQueued()
    this.later(Math.min(pauseOf(null, this.tries++) * 5, LONGEST_PAUSE))
  }

  private answerQueued(): void {
    const ids = Array.from(this.waiting.keys())
    ids.forEach((id) => this.settle(id, (one) => one.resolve({ queued: true })))
  }

  private later(pause: number): void {
    if (this.timer === null) this.timer = setTimeout(() => void this.flush(), pause)
  }

  private settle(id: string, tell: (one: Waiting) => void): boolean {
    const one = this.waiting.get(id)
    if (one === undefined) return false
    this.waiting.delete(id)
    tell(one)
    return true
  }

  /** Only what has not been sent can be taken back for sure. */
  private abort(id: string): void {
    const write = this.kept.all().filter((one) => one.id === id)[0]
    if (write === undefined || write.sent !== undefined) return
    this.take(id)
    this.settle(id, (one) => one.reject(new BaasError('ABORTED', 'The call was aborted.')))
  }

  // -- what is kept ----------------------------------------------------------------------------

  private mine(): Kept[] {
    const user = this.auth.currentUser
    return user === null ? [] : this.kept.all().filter((write) => write.uid === user.uid)
  }

  private forget(): void {
    const user = this.auth.currentUser
    const old = this.kept.all().filter((write) => write.at < Date.now() - FORGOTTEN)
    old.filter((write) => user === null || write.uid !== user.uid).forEach((write) => this.kept.drop(write.id))
  }

  private next(): Kept | undefined {
    return this.mine()[0]
  }

  private add(write: Kept): void {
    const all = this.kept.all()
    const size = JSON.stringify(all).length + JSON.stringify(write).length
    if (this.mine().length >= (this.options.limit || LIMIT) || size > CHARACTERS) {
      throw new BaasError('LIMIT_EXCEEDED', 'Too many writes wait for the network.')
    }
    try {
      this.kept.put(write)
    } catch {
      throw new BaasError('LIMIT_EXCEEDED', 'This device can keep no more writes.')
    }
    this.changed()
  }

  private take(id: string): boolean {
    const there = this.kept.drop(id)
    if (there) this.changed()
    return there
  }

  private changed(): void {
    callBack(() => this.options.onChange && this.options.onChange(this.mine().length))
  }
}

/** Read anew each time: another tab may have added or sent something. Where tabs are, each write has
 * a key of its own, since two that change one text would lose what the other wrote. */
class Store {
  constructor(
    private readonly storage: Platform['storage'],
    private readonly key: string,
  ) {}

  all(): Kept[] {
    const { storage } = this
    if (storage.keys === undefined) return this.read(this.key) || []
    const own = storage.keys().filter((key) => key.indexOf(`${this.key}.`) === 0)
    const found = own.map((key) => this.read(key)).filter((write) => write !== null)
    return found.sort((one, other) => one.at - other.at || one.place - other.place)
  }

  put(write: Kept): void {
    const { storage } = this
    if (storage.keys !== undefined) return storage.set(`${this.key}.${write.id}`, JSON.stringify(write))
    const others = this.all().filter((one) => one.id !== write.id)
    const all = [...others, write].sort((one, other) => one.at - other.at || one.place - other.place)
    storage.set(this.key, JSON.stringify(all))
  }

  /** Whether it was there. */
  drop(id: string): boolean {
    const { storage } = this
    const all = this.all()
    const left = all.filter((one) => one.id !== id)
    if (left.length === all.length) return false
    if (storage.keys !== undefined) storage.remove(`${this.key}.${id}`)
    else if (left.length === 0) storage.remove(this.key)
    else storage.set(this.key, JSON.stringify(left))
    return true
  }

  private read(key: string): any {
    try {
      return JSON.parse(this.storage.get(key) || 'null')
    } catch {
      return null
    }
  }
}

function publicly({ key: _key, sent: _sent, place: _place, ...write }: Kept): QueuedWrite {
  return write
}

declare function setTimeout(call: () => void, ms: number): any
declare function clearTimeout(timer: any): void
