/** `wx.cloud.database()`: its calls and results, over the SDK's own. */

import { Collection as Documents, DocumentReference, Query as Documentation, Transaction } from './database.js'
import { BaasError } from './errors.js'
import type { Cloud } from './index.js'
import { Watcher } from './realtime.js'
import { AnyApp } from './types.js'
import { ServerDate } from './values.js'
import { asWxError, Called, Callbacks, Silent, Told, told } from './wx-errors.js'
import { WxPipeline } from './wx-pipeline.js'
import { command, Geo, RegExpOf, withShapes } from './wx-values.js'

/** What is needed of the face itself. */
interface Face {
  readonly client: Cloud
  entered(): Promise<Cloud>
}

export type GetResult = Told<{ data: any[] }>
export type DocumentResult = Told<{ data: any }>
export type CountResult = Told<{ total: number }>
export type AddResult = Told<{ _id: string }>
export type UpdateResult = Told<{ stats: { updated: number } }>
export type SetResult = Told<{ _id: string; stats: { updated: number; created: number } }>
export type RemoveResult = Told<{ stats: { removed: number } }>
export type ListResult = Told<{ list: any[] }>

export interface WatchOptions {
  onChange(snapshot: any): void
  onError(error: any): void
}
export interface Listener {
  close(): Promise<void>
}

interface WithData {
  data: any
}

/** What `get` gives where no limit is set, as in `wx.cloud`: programs page by it. */
const PAGE = 20
/** What one answer holds at most, as the gateway is set up unless told otherwise. */
const LARGEST = 1000

export class WxDatabase {
  readonly config = {}
  readonly command = command
  readonly Geo = Geo
  readonly RegExp = RegExpOf

  constructor(private readonly face: Face) {}

  collection(name: string): WxCollection {
    return new WxCollection(this.face, name)
  }

  readonly serverDate = (options: { offset?: number } = {}): ServerDate => new ServerDate(options.offset || 0)

  /** Reads first, then writes; `run` is tried again where another write came between. */
  async runTransaction<T>(run: (transaction: WxTransaction) => Promise<T>, times: number = 3): Promise<T> {
    try {
      const database = (await this.face.entered()).database()
      return await database.runTransaction((inner) => run(new WxTransaction(inner)), times)
    } catch (fault) {
      throw asWxError('database.runTransaction', 'database', fault)
    }
  }

  /** The same step by step: ends with `commit()` or `rollback()`. */
  async startTransaction(): Promise<WxTransaction> {
    const { http } = await this.face.entered()
    return new WxTransaction(new Transaction(http, {}))
  }
}

export class WxTransaction {
  constructor(private readonly inner: Transaction<AnyApp>) {}

  collection(name: string) {
    const inner = this.inner.collection(name)
    const call = <R extends object>(api: string, work: () => Promise<R>): Promise<Told<R>> =>
      told(api, 'database', undefined, work)
    return {
      doc: (id: string | number) => {
        const found = inner.doc(String(id))
        return {
          get: () => call('document.get', async () => ({ data: withShapes((await found.get()).data) })),
          // Written with the commit, which fails where there is no such document.
          update: ({ data }: WithData) =>
            call('document.update', async () => (await found.update(data), { stats: { updated: 1 } })),
          set: ({ data }: WithData) =>
            call('document.set', async () => (await found.set(data), { stats: { updated: 1, created: 0 } })),
          remove: () => call('document.remove', async () => (await found.remove(), { stats: { removed: 1 } })),
        }
      },
      add: ({ data }: WithData) => call('collection.add', () => inner.add(data)),
    }
  }

  commit(): Promise<Told<object>> {
    return told('transaction.commit', 'database', undefined, async () => (await this.inner.commit(), {}))
  }

  /** Inside `runTransaction`: ends it, and rejects it with the reason. */
  async rollback(reason?: unknown): Promise<void> {
    if (reason !== undefined) this.inner.rollback(reason)
    this.inner.discard()
  }
}

// -- queries -----------------------------------------------------------------------------------

type Step = (query: Documentation<any, any>) => Documentation<any, any>

export class WxQuery {
  constructor(
    protected readonly face: Face,
    readonly collectionName: string,
    private readonly steps: Step[] = [],
    private readonly most?: number,
    private readonly sorted = false,
  ) {}

  where(condition: any): WxQuery {
    return this.with_((query) => query.where(condition))
  }
  orderBy(field: string, direction: string): WxQuery {
    return this.with_((query) => query.orderBy(field, direction as 'asc' | 'desc'), true)
  }
  limit(most: number): WxQuery {
    return new WxQuery(this.face, this.collectionName, this.steps, Math.min(most, LARGEST), this.sorted)
  }
  skip(documents: number): WxQuery {
    return this.with_((query) => query.skip(documents))
  }
  field(fields: Record<string, any>): WxQuery {
    return this.with_((query) => query.field(fields))
  }

  get(options: Called<GetResult>): void
  get(options?: Silent): Promise<GetResult>
  get(options?: Callbacks<any>): any {
    return told('collection.get', 'database', options, async () => {
      const { most = PAGE } = this
      return { data: withShapes((await (await this.query()).limit(most).get()).data) }
    })
  }

  count(options: Called<CountResult>): void
  count(options?: Silent): Promise<CountResult>
  count(options?: Callbacks<any>): any {
    return told('collection.count', 'database', options, async () => (await this.query()).count())
  }

  update(options: WithData & Called<UpdateResult>): void
  update(options: WithData & Silent): Promise<UpdateResult>
  update(options: WithData & Callbacks<any>): any {
    return told('collection.update', 'database', options, async () => {
      const { updated } = await (await this.limited()).update(dataOf(options))
      return { stats: { updated } }
    })
  }

  remove(options: Called<RemoveResult>): void
  remove(options?: Silent): Promise<RemoveResult>
  remove(options?: Callbacks<any>): any {
    return told('collection.remove', 'database', options, async () => {
      const { removed } = await (await this.limited()).remove()
      return { stats: { removed } }
    })
  }

  watch(options: WatchOptions): Listener {
    // Without an order it is that of `wx.cloud`.
    const asked = this.sorted ? this : this.orderBy('_id', 'desc')
    return watching(asked.limited(), options)
  }

  private async limited(): Promise<Documentation<any, any>> {
    const query = await this.query()
    return this.most === undefined ? query : query.limit(this.most)
  }

  protected async query(): Promise<Documentation<any, any>> {
    const cloud = await this.face.entered()
    const all: Documentation<any, any> = cloud.database().collection(this.collectionName)
    return this.steps.reduce((query, step) => step(query), all)
  }

  private with_(step: Step, sorted = this.sorted): WxQuery {
    return new WxQuery(this.face, this.collectionName, [...this.steps, step], this.most, sorted)
  }
}

export class WxCollection extends WxQuery {
  doc(id: string | number): WxDocument {
    return new WxDocument(this.face, this.collectionName, String(id))
  }

  add(options: WithData & Called<AddResult>): void
  add(options: WithData & Silent): Promise<AddResult>
  add(options: WithData & Callbacks<any>): any {
    return told('collection.add', 'database', options, async () => {
      const data = dataOf(options)
      const named = typeof data._id === 'number' ? { ...data, _id: String(data._id) } : data
      const { _id } = await (await this.documents()).add(named)
      return { _id }
    })
  }

  /** Stages by their names; `end()` runs them. */
  aggregate(): WxAggregate {
    return new WxAggregate(this.face, this.collectionName)
  }

  private async documents(): Promise<Documents<any, any, any>> {
    return (await this.face.entered()).database().collection(this.collectionName)
  }
}

type Stages = ConstructorParameters<typeof WxPipeline>[0]

export class WxAggregate extends WxPipeline {
  constructor(
    private readonly face: Face,
    private readonly name: string,
    stages?: Stages,
  ) {
    super(stages)
  }

  end(options: Called<ListResult>): void
  end(options?: Silent): Promise<ListResult>
  end(options?: Callbacks<any>): any {
    return told('collection.aggregate', 'database', options, async () => {
      const all = (await this.face.entered()).database().collection(this.name).aggregate()
      const pipeline = this.done().reduce((before: typeof all, stage) => before.stage(stage), all)
      return { list: withShapes((await pipeline.end()).list) }
    })
  }

  protected override with_(stages: Stages): WxAggregate {
    return new WxAggregate(this.face, this.name, stages)
  }
}

// -- one document ------------------------------------------------------------------------------

export class WxDocument {
  constructor(
    private readonly face: Face,
    private readonly name: string,
    private readonly id: string,
    private readonly fields?: any,
  ) {}

  field(fields: Record<string, any>): this {
    return new WxDocument(this.face, this.name, this.id, fields) as this
  }

  get(options: Called<DocumentResult>): void
  get(options?: Silent): Promise<DocumentResult>
  get(options?: Callbacks<any>): any {
    return told('document.get', 'database', options, async () => {
      const found = await this.document()
      try {
        const { data } = await (this.fields === undefined ? found : found.field(this.fields)).get()
        return { data: withShapes(data) }
      } catch (fault) {
        if (!isAbsent(fault)) throw fault
        throw new BaasError('NOT_FOUND', `document with _id ${this.id} does not exist`, fault)
      }
    })
  }

  update(options: WithData & Called<UpdateResult>): void
  update(options: WithData & Silent): Promise<UpdateResult>
  update(options: WithData & Callbacks<any>): any {
    return told('document.update', 'database', options, async () => {
      const found = await this.document()
      return { stats: { updated: await orNone(async () => (await found.update(dataOf(options))).updated) } }
    })
  }

  set(options: WithData & Called<SetResult>): void
  set(options: WithData & Silent): Promise<SetResult>
  set(options: WithData & Callbacks<any>): any {
    return told('document.set', 'database', options, async () => {
      const { upsertedId } = await (await this.document()).set(dataOf(options))
      const created = upsertedId === null ? 0 : 1
      return { _id: this.id, stats: { created, updated: 1 - created } }
    })
  }

  remove(options: Called<RemoveResult>): void
  remove(options?: Silent): Promise<RemoveResult>
  remove(options?: Callbacks<any>): any {
    return told('document.remove', 'database', options, async () => {
      const found = await this.document()
      return { stats: { removed: await orNone(async () => (await found.remove()).removed) } }
    })
  }

  watch(options: WatchOptions): Listener {
    return watching(this.document(), options)
  }

  private async document(): Promise<DocumentReference<any, any, any>> {
    return (await this.face.entered()).database().collection(this.name).doc(this.id)
  }
}

function dataOf(options: WithData): any {
  if (options === null || typeof options !== 'object' || typeof options.data !== 'object') {
    throw new TypeError('parameter.data should be Object')
  }
  return options.data
}

function isAbsent(fault: unknown): fault is BaasError {
  return fault instanceof BaasError && fault.code === 'NOT_FOUND'
}

/** `wx.cloud` counts nothing where there is no such document; the gateway refuses. */
async function orNone(call: () => Promise<number>): Promise<number> {
  try {
    return await call()
  } catch (fault) {
    if (isAbsent(fault)) return 0
    throw fault
  }
}

// -- live --------------------------------------------------------------------------------------

interface Watchable {
  watch(handlers: any): Watcher
}

function watching(opening: Promise<Watchable>, options: WatchOptions): Listener {
  let watcher: Watcher | null = null
  let closed = false
  const onError = (fault: any) => options.onError(asWxError('collection.watch', 'database', fault))
  const onChange = (snapshot: any) => options.onChange(asWxSnapshot(snapshot))
  opening
    .then((found) => {
      if (!closed) watcher = found.watch({ onChange, onError })
    })
    .catch(onError)
  return {
    close: async () => {
      closed = true
      if (watcher !== null) watcher.close()
    },
  }
}

function asWxSnapshot(snapshot: any): any {
  const docChanges = snapshot.docChanges.map((change: any, id: number) => {
    const doc = withShapes(change.doc)
    if (change.updatedFields === undefined) return { id, ...change, doc }
    const updatedFields: Record<string, any> = {}
    for (const name of change.updatedFields) updatedFields[name] = doc[name]
    return { id, ...change, doc, updatedFields }
  })
  return { ...snapshot, docs: withShapes(snapshot.docs), docChanges }
}
