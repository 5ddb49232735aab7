/**
 * The client of one app.
 *
 *     const cloud = createCloud<Board>({ url: 'https://board.example', platform: web() })
 *     await cloud.auth().signInAnonymously()
 *     const { data } = await cloud.database().collection('posts').limit(20).get()
 */

import { Auth } from './auth.js'
import { Database } from './database.js'
import { CallOptions, Http } from './http.js'
import { OfflineOptions, OfflineQueue } from './offline.js'
import { Platform } from './platform.js'
import { Channel, Inbox, InboxHandlers, Realtime } from './realtime.js'
import { Storage, TransferOptions, UploadOptions } from './storage.js'
import { AnyApp, AppShape } from './types.js'
import { decode, encode } from './values.js'

export interface CloudOptions {
  /** The gateway: `https://api.example.com`. */
  url: string
  platform: Platform
  /** Names what is kept on the device; two apps of one origin need two. */
  app?: string
  /** Milliseconds that a call may take, 15 s unless given. */
  timeout?: number
  /** Tries after the first, 3 unless given. */
  retries?: number
  /** `socket` unless the platform has none, or it fails again and again. */
  transport?: 'socket' | 'poll'
  /** Writes to the database wait on the device while the server is away: offline.ts. */
  offline?: boolean | OfflineOptions
}

const TIMEOUT = 15_000
const RETRIES = 3

export class Cloud<A extends AppShape = AnyApp> {
  readonly http: Http
  /** What waits for the network; null unless `offline` asked for it. */
  readonly offline: OfflineQueue | null
  private readonly accounts: Auth
  private readonly live: Realtime
  private readonly documents: Database<A>
  private readonly files: Storage

  constructor(options: CloudOptions) {
    const base = options.url.replace(/\/+$/, '')
    const retries = options.retries === undefined ? RETRIES : options.retries
    this.http = new Http(options.platform, base, options.timeout || TIMEOUT, retries)
    const kept = `baas.${options.app || base}`
    this.accounts = new Auth(this.http, kept)
    const { offline } = options
    this.offline = offline
      ? new OfflineQueue(this.http, this.accounts, `${kept}.writes`, offline === true ? {} : offline)
      : null
    this.http.queue = this.offline
    this.live = new Realtime(this.http, this.accounts, options.transport || 'socket')
    this.documents = new Database<A>(this.http, this.live)
    this.files = new Storage(this.http)
  }

  auth(): Auth {
    return this.accounts
  }

  database(): Database<A> {
    return this.documents
  }

  storage(): Storage {
    return this.files
  }

  /**
   * Calls a function by name. A repeat after a lost answer is safe for signed-in callers: the
   * gateway runs it once.
   */
  async callFunction<N extends keyof A['functions'] & string>(
    call: { name: N; data?: A['functions'][N]['event'] },
    options: CallOptions = {},
  ): Promise<{ result: A['functions'][N]['result'] }> {
    const body = call.data === undefined ? {} : encode(call.data)
    const path = `/v1/functions/${encodeURIComponent(call.name)}`
    return { result: decode(await this.http.post(path, body, 'key', options)) }
  }

  /** Hands a call over; it runs even if this device goes away. */
  async callFunctionLater<N extends keyof A['functions'] & string>(
    call: { name: N; data?: A['functions'][N]['event']; delay?: number },
    options: CallOptions = {},
  ): Promise<{ invocationId: string }> {
    const body = call.data === undefined ? {} : encode(call.data)
    const delay = call.delay === undefined ? '' : `&delay=${call.delay}`
    const path = `/v1/functions/${encodeURIComponent(call.name)}?mode=async${delay}`
    return this.http.post(path, body, 'key', options)
  }

  uploadFile(options: UploadOptions): ReturnType<Storage['uploadFile']> {
    return this.files.uploadFile(options)
  }

  downloadFile(options: TransferOptions & { fileID: string }): ReturnType<Storage['downloadFile']> {
    return this.files.downloadFile(options)
  }

  getTempFileURL(...given: Parameters<Storage['getTempFileURL']>): ReturnType<Storage['getTempFileURL']> {
    return this.files.getTempFileURL(...given)
  }

  deleteFile(...given: Parameters<Storage['deleteFile']>): ReturnType<Storage['deleteFile']> {
    return this.files.deleteFile(...given)
  }

  /** A channel by name; `join` it to hear and to speak. */
  channel(name: A['channels']): Channel {
    return this.live.channel(name)
  }

  /** Messages to this user alone; they wait for the user on the server. */
  inbox(handlers: InboxHandlers): Inbox {
    return this.live.inbox(handlers)
  }

  /** Ends the socket, and every watch and channel with it. */
  close(): void {
    this.live.close()
  }
}

export function createCloud<A extends AppShape = AnyApp>(options: CloudOptions): Cloud<A> {
  return new Cloud<A>(options)
}

export * from './auth.js'
export { Change, command, Condition } from './command.js'
export type { Command, Near, PushOptions, Within } from './command.js'
export * from './database.js'
export * from './errors.js'
export type { CallOptions } from './http.js'
export type { OfflineOptions, OfflineQueue, QueuedWrite } from './offline.js'
export * from './platform.js'
export * from './realtime.js'
export * from './storage.js'
export * from './types.js'
export * from './values.js'
