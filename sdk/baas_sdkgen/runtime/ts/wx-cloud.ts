/**
 * The face of `wx.cloud`: an existing mini-program changes its import and its `init`.
 *
 *     import { cloud } from './baas/wx-cloud.js'
 *     cloud.init({ url: 'https://board.example' })      // instead of wx.cloud.init({ env })
 *     const db = cloud.database()
 *     db.collection('posts').add({ data: { title: 'Hello' }, success: (res) => ... })
 *
 * Calls, results, callbacks and errCode are those of `wx.cloud`. The first call signs in by
 * `wx.login`; where the gateway has no WeChat set up, anonymously.
 */

import { command as commands } from './command.js'
import { Collection as Documents, DocumentReference, Query as Documentation } from './database.js'
import { BaasError } from './errors.js'
import { Cloud } from './index.js'
import { Platform } from './platform.js'
import { wechat } from './platforms/wechat.js'
import { Watcher } from './realtime.js'
import { Geo, RegExpValue, ServerDate } from './values.js'

export interface InitOptions {
  /** The gateway. */
  url: string
  /** Taken and not needed: one gateway is one environment. */
  env?: string
  traceUser?: boolean
  /** `wx` unless given. */
  platform?: Platform
  /** How the first call signs in. */
  signIn?: 'wechat' | 'anonymous' | 'none'
}

export interface Callbacks<R> {
  success?(result: R): void
  fail?(error: WxCloudError): void
  complete?(result: R | WxCloudError): void
}

/** `errCode` and `errMsg` as `wx.cloud` gives them, `code` and `requestId` as the gateway does. */
export class WxCloudError extends Error {
  readonly errCode: number
  readonly errMsg: string
  readonly code: string
  readonly requestId: string

  constructor(api: string, area: Area, fault: BaasError) {
    const errMsg = `${api}:fail ${numberOf(area, fault)} ${fault.message}`
    super(errMsg)
    Object.setPrototypeOf(this, WxCloudError.prototype)
    this.name = 'WxCloudError'
    this.errCode = numberOf(area, fault)
    this.errMsg = errMsg
    this.code = fault.code
    this.requestId = fault.requestId
  }
}

type Area = 'database' | 'storage' | 'functions' | 'cloud'

/** Numbers by the kind of fault; `database`, `storage` and `functions` have some of their own. */
const NUMBERS: Record<string, number> = {
  INVALID_ARGUMENT: -501007,
  VALIDATION_FAILED: -501007,
  RATE_LIMITED: -501004,
  QUOTA_EXCEEDED: -501003,
  TIMEOUT: -501002,
  QUERY_TIMEOUT: -501002,
  NETWORK: -601003,
  UNAUTHENTICATED: -601004,
  UNAVAILABLE: -501001,
  INTERNAL: -501001,
}
const OWN: Record<Area, Record<string, number>> = {
  cloud: {},
  database: { PERMISSION_DENIED: -502003, NOT_FOUND: -1, NOT_SUPPORTED: -502002, CONFLICT: -502001 },
  storage: {
    PERMISSION_DENIED: -503002,
    NOT_FOUND: -503003,
    PAYLOAD_TOO_LARGE: -403001,
    QUOTA_EXCEEDED: -503001,
  },
  functions: {
    PERMISSION_DENIED: -601004,
    NOT_FOUND: -504001,
    FUNCTION_FAILED: -504002,
    FUNCTION_TIMEOUT: -504002,
  },
}
const OTHERS: Record<Area, number> = {
  cloud: -1,
  database: -502001,
  storage: -503001,
  functions: -504002,
}

function numberOf(area: Area, fault: BaasError): number {
  const own = OWN[area][fault.code]
  return own !== undefined ? own : NUMBERS[fault.code] || OTHERS[area]
}

// -- calls -------------------------------------------------------------------------------------

/** Runs a call for its callbacks, or for its promise where there are none. */
function told<R extends object>(
  api: string,
  area: Area,
  callbacks: Callbacks<R & { errMsg: string }> | undefined,
  call: () => Promise<R>,
): any {
  const promise = Promise.resolve()
    .then(call)
    .then(
      (result) => ({ ...result, errMsg: `${api}:ok` }),
      (fault) => {
        if (fault instanceof TypeError || fault instanceof RangeError) {
          fault = new BaasError('INVALID_ARGUMENT', fault.message)
        }
        throw fault instanceof BaasError ? new WxCloudError(api, area, fault) : fault
      },
    )
  const { success, fail, complete } = callbacks || {}
  if (!success && !fail && !complete) return promise
  promise.then(
    (result) => {
      if (success) success(result)
      if (complete) complete(result)
    },
    (fault) => {
      if (fail) fail(fault)
      if (complete) complete(fault)
    },
  )
  return undefined
}

class WxCloud {
  private opened: Cloud | null = null
  private how: InitOptions['signIn'] = 'wechat'
  private entering: Promise<unknown> | null = null

  init(options: InitOptions): void {
    const { url } = options
    if (typeof url !== 'string') throw new TypeError('cloud.init: url is missing')
    this.how = options.signIn || 'wechat'
    this.opened = new Cloud({ url, platform: options.platform || wechat() })
    this.entering = null
  }

  /** The client behind this face, for all that `wx.cloud` has no word for. */
  get client(): Cloud {
    if (this.opened === null) {
      throw new BaasError('INVALID_ARGUMENT', 'Cloud API is not enabled: call cloud.init({ url })')
    }
    return this.opened
  }

  /** The client, once somebody is signed in. */
  async entered(): Promise<Cloud> {
    const { client } = this
    if (this.entering === null) {
      this.entering = this.enter(client).catch((fault) => {
        this.entering = null
        throw fault
      })
    }
    await this.entering
    return client
  }

  private async enter(client: Cloud): Promise<void> {
    const auth = client.auth()
    if (this.how === 'none' || auth.currentUser !== null) return
    if (this.how === 'wechat') {
      try {
        await auth.signInWithWeChat()
        return
      } catch (fault) {
        if (!(fault instanceof BaasError) || fault.code !== 'NOT_SUPPORTED') throw fault
      }
    }
    await auth.signInAnonymously()
  }

  database(_options?: { env?: string }): WxDatabase {
    return new WxDatabase(this)
  }

  callFunction(options: { name: string; data?: any } & Callbacks<any>): any {
    return told('cloud.callFunction', 'functions', options, async () => {
      const cloud = await this.entered()
      const { result } = await cloud.callFunction({ name: options.name, data: options.data })
      return { result, requestID: '' }
    })
  }

  uploadFile(options: { cloudPath: string; filePath: string; header?: object } & Callbacks<any>): any {
    const { cloudPath, filePath } = options
    return told('cloud.uploadFile', 'storage', options, async () => {
      const file = await (await this.entered()).uploadFile({ cloudPath, filePath })
      return { fileID: file.fileID, statusCode: 204 }
    })
  }

  downloadFile(options: { fileID: string } & Callbacks<any>): any {
    return told('cloud.downloadFile', 'storage', options, async () => {
      const found = await (await this.entered()).downloadFile({ fileID: options.fileID })
      return { tempFilePath: found.tempFilePath, statusCode: 200 }
    })
  }

  getTempFileURL(
    options: { fileList: Array<string | { fileID: string; maxAge?: number }> } & Callbacks<any>,
  ): any {
    return told('cloud.getTempFileURL', 'storage', options, async () =>
      (await this.entered()).getTempFileURL({ fileList: options.fileList }),
    )
  }

  deleteFile(options: { fileList: string[] } & Callbacks<any>): any {
    return told('cloud.deleteFile', 'storage', options, async () =>
      (await this.entered()).deleteFile({ fileList: options.fileList }),
    )
  }
}

// -- documents ---------------------------------------------------------------------------------

class WxDatabase {
  readonly command = commands
  readonly Geo = Geo

  constructor(private readonly face: WxCloud) {}

  collection(name: string): WxCollection {
    return new WxCollection(this.face, name)
  }

  serverDate(options: { offset?: number } = {}): ServerDate {
    return new ServerDate(options.offset || 0)
  }

  RegExp(options: { regexp: string; options?: string }): RegExpValue {
    return new RegExpValue(options.regexp, options.options)
  }

  /** The callback gets a transaction whose `doc().get()` gives `{data}`, as in `wx.cloud`. */
  async runTransaction<T>(run: (transaction: any) => Promise<T>, times: number = 3): Promise<T> {
    const database = (await this.face.entered()).database()
    return database.runTransaction((transaction) => {
      const collection = (name: string) => {
        const inner = transaction.collection(name)
        return {
          doc: (id: string) => {
            const found = inner.doc(id)
            return {
              get: () => found.get(),
              update: (options: { data: any }) => found.update(options.data),
              set: (options: { data: any }) => found.set(options.data),
              remove: () => found.remove(),
            }
          },
          add: (options: { data: any }) => inner.add(options.data),
        }
      }
      return run({ collection, rollback: (reason?: unknown) => transaction.rollback(reason) })
    }, times)
  }
}

type Step = (query: Documentation<any, any>) => Documentation<any, any>

class WxQuery {
  constructor(
    protected readonly face: WxCloud,
    protected readonly name: string,
    private readonly steps: Step[] = [],
  ) {}

  where(condition: any): WxQuery {
    return this.with_((query) => query.where(condition))
  }
  orderBy(field: string, direction: 'asc' | 'desc'): WxQuery {
    return this.with_((query) => query.orderBy(field, direction))
  }
  limit(most: number): WxQuery {
    return this.with_((query) => query.limit(most))
  }
  skip(documents: number): WxQuery {
    return this.with_((query) => query.skip(documents))
  }
  field(fields: Record<string, boolean | 0 | 1>): WxQuery {
    return this.with_((query) => query.field(fields as any))
  }

  get(options?: Callbacks<any>): any {
    return told('collection.get', 'database', options, async () => {
      const { data } = await (await this.query()).get()
      return { data }
    })
  }

  count(options?: Callbacks<any>): any {
    return told('collection.count', 'database', options, async () => (await this.query()).count())
  }

  update(options: { data: any } & Callbacks<any>): any {
    return told('collection.update', 'database', options, async () => {
      const { updated } = await (await this.query()).update(options.data)
      return { stats: { updated } }
    })
  }

  remove(options?: Callbacks<any>): any {
    return told('collection.remove', 'database', options, async () => {
      const { removed } = await (await this.query()).remove()
      return { stats: { removed } }
    })
  }

  watch(handlers: { onChange(snapshot: any): void; onError(fault: any): void }): {
    close(): Promise<void>
  } {
    return watching(this.query().then((query) => (own) => query.watch(own)), handlers)
  }

  protected async query(): Promise<Documentation<any, any>> {
    const all: Documentation<any, any> = (await this.face.entered()).database().collection(this.name)
    return this.steps.reduce((query, step) => step(query), all)
  }

  private with_(step: Step): WxQuery {
    return new WxQuery(this.face, this.name, [...this.steps, step])
  }
}

class WxCollection extends WxQuery {
  doc(id: string | number): WxDocument {
    return new WxDocument(this.face, this.name, String(id))
  }

  add(options: { data: any } & Callbacks<any>): any {
    return told('collection.add', 'database', options, async () => {
      return (await this.documents()).add(options.data)
    })
  }

  aggregate(): any {
    return this.face.client.database().collection(this.name).aggregate()
  }

  private async documents(): Promise<Documents<any, any, any>> {
    return (await this.face.entered()).database().collection(this.name)
  }
}

class WxDocument {
  constructor(
    private readonly face: WxCloud,
    private readonly name: string,
    private readonly id: string,
    private readonly fields?: any,
  ) {}

  field(fields: Record<string, boolean | 0 | 1>): WxDocument {
    return new WxDocument(this.face, this.name, this.id, fields)
  }

  get(options?: Callbacks<any>): any {
    return told('document.get', 'database', options, async () => {
      const found = await this.document()
      return this.fields === undefined ? found.get() : found.field(this.fields).get()
    })
  }

  update(options: { data: any } & Callbacks<any>): any {
    return told('document.update', 'database', options, async () => {
      try {
        const { updated } = await (await this.document()).update(options.data)
        return { stats: { updated } }
      } catch (fault) {
        return { stats: { updated: nothing(fault) } }
      }
    })
  }

  set(options: { data: any } & Callbacks<any>): any {
    return told('document.set', 'database', options, async () => {
      const { upsertedId } = await (await this.document()).set(options.data)
      const created = upsertedId === null ? 0 : 1
      return { _id: this.id, stats: { created, updated: 1 - created } }
    })
  }

  remove(options?: Callbacks<any>): any {
    return told('document.remove', 'database', options, async () => {
      try {
        const { removed } = await (await this.document()).remove()
        return { stats: { removed } }
      } catch (fault) {
        return { stats: { removed: nothing(fault) } }
      }
    })
  }

  watch(handlers: { onChange(snapshot: any): void; onError(fault: any): void }): {
    close(): Promise<void>
  } {
    return watching(this.document().then((found) => (own) => found.watch(own)), handlers)
  }

  private async document(): Promise<DocumentReference<any, any, any>> {
    return (await this.face.entered()).database().collection(this.name).doc(this.id)
  }
}

/** `wx.cloud` counts nothing where there is no such document; the gateway refuses. */
function nothing(fault: unknown): 0 {
  if (fault instanceof BaasError && fault.code === 'NOT_FOUND') return 0
  throw fault
}

type Watch = (handlers: any) => Watcher

function watching(
  opening: Promise<Watch>,
  handlers: { onChange(snapshot: any): void; onError(fault: any): void },
): { close(): Promise<void> } {
  let watcher: Watcher | null = null
  let closed = false
  const failed = (fault: any) =>
    handlers.onError(
      fault instanceof BaasError ? new WxCloudError('collection.watch', 'database', fault) : fault,
    )
  opening.then((watch) => {
    if (!closed) watcher = watch({ onChange: handlers.onChange, onError: failed })
  }, failed)
  return {
    close: async () => {
      closed = true
      if (watcher !== null) watcher.close()
    },
  }
}

export const cloud = new WxCloud()
export type { WxCloud, WxCollection, WxDatabase, WxDocument, WxQuery }
