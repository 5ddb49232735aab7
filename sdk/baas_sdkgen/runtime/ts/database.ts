/** `cloud.database()`: collections, queries, documents, transactions. */

import { command, Command, Condition, defined, toFilter, toUpdate } from './command.js'
import { BaasError } from './errors.js'
import { CallOptions, databasePath, Http, pauseOf, sleep } from './http.js'
import { newId } from './ids.js'
import { Realtime, Watcher, WatchHandlers } from './realtime.js'
import { AppShape, At, Changes, Path, Where, Writable } from './types.js'
import { decode, encode, Geo, RegExpValue, ServerDate } from './values.js'

export type Direction = 'asc' | 'desc'

export interface QueryAnswer<D> {
  data: D[]
  /** Where the next page begins (`after`); null on the last. */
  next: string | null
  /** All that match, where `withTotal` asked. */
  total?: number
}

/** `queued` of a write: it waits for the network (CloudOptions.offline), and counts nothing yet. */
export interface Stats {
  /** Documents that matched, and so were changed. */
  updated: number
  /** The new document of an upsert. */
  upsertedId: string | null
  queued?: true
}

export interface Removed {
  removed: number
  queued?: true
}

export interface Added {
  _id: string
  queued?: true
}

type Names<A extends AppShape> = keyof A['collections'] & string
type Of<A extends AppShape, N extends Names<A>> = A['collections'][N]

export class Database<A extends AppShape> {
  readonly command: Command = command
  readonly Geo = Geo

  constructor(
    private readonly http: Http,
    private readonly realtime: Realtime,
  ) {}

  collection<N extends Names<A>>(
    name: N,
  ): Collection<Of<A, N>['document'], Of<A, N>['create'], Of<A, N>['update']> {
    return new Collection(this.http, this.realtime, name)
  }

  /** The server's time at the write. */
  serverDate(options: { offset?: number } = {}): ServerDate {
    return new ServerDate(options.offset || 0)
  }

  /** For filters; a JavaScript RegExp does as well. */
  RegExp(options: { regexp: string; options?: string }): RegExpValue {
    return new RegExpValue(options.regexp, options.options)
  }

  /**
   * Reads, then writes all together or not at all. What was read must be unchanged when it is
   * written: else the whole is run again, `times` times in all. `run` should do nothing else.
   */
  async runTransaction<T>(
    run: (transaction: Transaction<A>) => Promise<T>,
    times: number = 3,
    options: CallOptions = {},
  ): Promise<T> {
    for (let tried = 1; ; tried++) {
      const transaction = new Transaction<A>(this.http, options)
      const result = await run(transaction)
      try {
        await transaction.commit()
        return result
      } catch (fault) {
        const conflict = fault instanceof BaasError && fault.code === 'TRANSACTION_CONFLICT'
        if (!conflict || tried >= times) throw fault
        await sleep(pauseOf(null, tried), options.signal)
      }
    }
  }
}

/** What a query asks; every method gives a new one. */
interface Asked {
  filter?: any
  sort?: Array<[string, 1 | -1]>
  limit?: number
  skip?: number
  after?: string
  fields?: Record<string, 0 | 1>
  count?: true
}

export class Query<D, U> {
  constructor(
    protected readonly http: Http,
    protected readonly realtime: Realtime,
    protected readonly name: string,
    protected readonly asked: Asked = {},
  ) {}

  /** A second `where` narrows the first. */
  where(condition: Where<D>): Query<D, U> {
    const filter = toFilter(condition)
    const before = this.asked.filter
    return this.with({ filter: before === undefined ? filter : { $and: [before, filter] } })
  }

  orderBy<P extends Path<D>>(field: P | (string & {}), direction: Direction): Query<D, U> {
    const sort = [...(this.asked.sort || []), [field, direction === 'desc' ? -1 : 1]]
    return this.with({ sort: sort as Asked['sort'] })
  }

  limit(most: number): Query<D, U> {
    return this.with({ limit: most })
  }

  skip(documents: number): Query<D, U> {
    return this.with({ skip: documents })
  }

  /** The page behind `next` of an answer to the same query. */
  after(next: string): Query<D, U> {
    return this.with({ after: next })
  }

  /** Which members to fetch: all true (or 1), or all false. */
  field(fields: { [P in Path<D>]?: boolean | 0 | 1 }): Query<D, U> {
    const wire: Record<string, 0 | 1> = {}
    const given = fields as Record<string, boolean | 0 | 1>
    for (const path of Object.keys(given)) wire[path] = given[path] ? 1 : 0
    return this.with({ fields: wire })
  }

  /** `get` also tells how many match in all. */
  withTotal(): Query<D, U> {
    return this.with({ count: true })
  }

  async get(options: CallOptions = {}): Promise<QueryAnswer<D>> {
    const answer = await this.call('find', this.asked, options)
    const { next, total } = answer
    return { data: decode(answer.documents), next, ...(total === undefined ? {} : { total }) }
  }

  /** Every document, page by page. */
  async *all(options: CallOptions = {}): AsyncGenerator<D, void, void> {
    let page: QueryAnswer<D>
    let query: Query<D, U> = this
    do {
      page = await query.get(options)
      yield* page.data
      query = page.next === null ? query : this.after(page.next)
    } while (page.next !== null)
  }

  async count(options: CallOptions = {}): Promise<{ total: number }> {
    return this.call('count', defined({ filter: this.asked.filter }), options)
  }

  /** Changes every document that matches; `limit`, `skip` and `after` are refused. */
  async update(data: Changes<U>, options: CallOptions = {}): Promise<Stats> {
    this.refuse('update', 'limit', 'skip', 'after')
    const body = { filter: this.asked.filter || {}, update: toUpdate(data), multi: true }
    return stats(await this.http.write(this.name, 'update', body, options))
  }

  /** Removes every document that matches; `limit`, `skip` and `after` are refused. */
  async remove(options: CallOptions = {}): Promise<Removed> {
    this.refuse('remove', 'limit', 'skip', 'after')
    const body = { filter: this.asked.filter || {}, multi: true }
    return removed(await this.http.write(this.name, 'delete', body, options))
  }

  /** Calls back with the result now, and whenever it changes. Takes no `skip` and no `after`. */
  watch(handlers: WatchHandlers<D>): Watcher {
    this.refuse('watch', 'skip', 'after')
    const { filter, sort, limit, fields } = this.asked
    return this.realtime.watch(defined({ collection: this.name, filter, sort, limit, fields }), handlers)
  }

  /** What would go unheard, and mean more documents than were meant. */
  private refuse(call: string, ...names: Array<keyof Asked>): void {
    const [found] = names.filter((name) => this.asked[name] !== undefined)
    if (found !== undefined) throw new BaasError('INVALID_ARGUMENT', `${call} takes no ${found}`)
  }

  private call(verb: 'find' | 'count', body: any, options: CallOptions): Promise<any> {
    return this.http.post(databasePath(this.name, verb), body, 'read', options)
  }

  private with(more: Asked): Query<D, U> {
    return new Query(this.http, this.realtime, this.name, { ...this.asked, ...more })
  }
}

export class Collection<D, C, U> extends Query<D, U> {
  doc(id: string): DocumentReference<D, C, U> {
    return new DocumentReference(this.http, this.realtime, this.name, String(id))
  }

  /** A new document; its `_id` is made here where it has none, so that a repeat changes nothing. */
  async add(document: Writable<C>, options: CallOptions = {}): Promise<Added> {
    const named = withId(document)
    return { _id: named._id, ...(await this.insert({ document: named }, options)) }
  }

  /** All of them or none. */
  async addMany(
    documents: Array<Writable<C>>,
    options: CallOptions = {},
  ): Promise<{ ids: string[]; queued?: true }> {
    const named = documents.map(withId)
    return { ids: named.map((document) => document._id), ...(await this.insert({ documents: named }, options)) }
  }

  aggregate(): Aggregate {
    return new Aggregate(this.http, this.name, [])
  }

  private async insert(body: object, options: CallOptions): Promise<{ queued?: true }> {
    return queued(await this.http.write(this.name, 'insert', body, options))
  }
}

export class DocumentReference<D, C, U> {
  constructor(
    private readonly http: Http,
    private readonly realtime: Realtime,
    private readonly name: string,
    readonly id: string,
  ) {}

  field(fields: { [P in Path<D>]?: boolean | 0 | 1 }): { get(options?: CallOptions): Promise<{ data: D }> } {
    const wire: Record<string, number> = {}
    const given = fields as Record<string, boolean | 0 | 1>
    for (const path of Object.keys(given)) wire[path] = given[path] ? 1 : 0
    return { get: (options = {}) => this.read({ id: this.id, fields: wire }, options) }
  }

  /** NOT_FOUND where it is not there, or not for this caller. */
  get(options: CallOptions = {}): Promise<{ data: D }> {
    return this.read({ id: this.id }, options)
  }

  async update(data: Changes<U>, options: CallOptions = {}): Promise<Stats> {
    return stats(await this.call('update', { id: this.id, update: toUpdate(data) }, options))
  }

  /** Replaces it whole, or makes it. */
  async set(document: Writable<C>, options: CallOptions = {}): Promise<Stats> {
    const body = { id: this.id, document: encode(document), upsert: true }
    return stats(await this.call('replace', body, options))
  }

  async remove(options: CallOptions = {}): Promise<Removed> {
    return removed(await this.call('delete', { id: this.id }, options))
  }

  watch(handlers: WatchHandlers<D>): Watcher {
    return this.realtime.watch({ collection: this.name, filter: { _id: this.id } }, handlers)
  }

  private async read(body: object, options: CallOptions): Promise<{ data: D }> {
    const path = databasePath(this.name, 'get')
    return { data: decode(await this.http.post(path, body, 'read', options)) }
  }

  private call(verb: string, body: object, options: CallOptions): Promise<any> {
    return this.http.write(this.name, verb, body, options)
  }
}

/** A pipeline. Stages that are not here: `stage({$facet: ...})`. */
export class Aggregate {
  constructor(
    private readonly http: Http,
    private readonly name: string,
    private readonly stages: object[],
  ) {}

  stage(stage: object): Aggregate {
    return new Aggregate(this.http, this.name, [...this.stages, encode(stage)])
  }

  match(condition: any): Aggregate {
    return this.stage({ $match: toFilter(condition) })
  }
  /** First of all: nearest first, with the distance. `key` names the field with the place. */
  geoNear(options: { near: object; key: string; distanceField: string; query?: any; [more: string]: any }): Aggregate {
    const { query, ...rest } = options
    return this.stage({ $geoNear: query === undefined ? rest : { ...rest, query: toFilter(query) } })
  }
  project(fields: object): Aggregate {
    return this.stage({ $project: fields })
  }
  addFields(fields: object): Aggregate {
    return this.stage({ $addFields: fields })
  }
  group(groups: object): Aggregate {
    return this.stage({ $group: groups })
  }
  sort(fields: Record<string, 1 | -1>): Aggregate {
    return this.stage({ $sort: fields })
  }
  limit(most: number): Aggregate {
    return this.stage({ $limit: most })
  }
  skip(documents: number): Aggregate {
    return this.stage({ $skip: documents })
  }
  unwind(path: string | object): Aggregate {
    return this.stage({ $unwind: path })
  }
  count(name: string): Aggregate {
    return this.stage({ $count: name })
  }
  sortByCount(expression: any): Aggregate {
    return this.stage({ $sortByCount: expression })
  }
  lookup(options: object): Aggregate {
    return this.stage({ $lookup: options })
  }
  replaceRoot(options: { newRoot: any }): Aggregate {
    return this.stage({ $replaceRoot: options })
  }
  sample(options: { size: number }): Aggregate {
    return this.stage({ $sample: options })
  }
  bucket(options: object): Aggregate {
    return this.stage({ $bucket: options })
  }

  async end(options: CallOptions = {}): Promise<{ list: any[] }> {
    const body = { pipeline: this.stages }
    const path = databasePath(this.name, 'aggregate')
    return { list: decode((await this.http.post(path, body, 'read', options)).documents) }
  }
}

// -- transactions ------------------------------------------------------------------------------

interface Expected {
  collection: string
  id: string
  etag: string | null
}

/** Reads at once, keeps writes until `commit`. A document is read before it is written. */
export class Transaction<A extends AppShape> {
  private operations: object[] = []
  private readonly expected = new Map<string, Expected>()

  constructor(
    private readonly http: Http,
    private readonly options: CallOptions,
  ) {}

  collection<N extends Names<A>>(
    name: N,
  ): TransactionCollection<Of<A, N>['document'], Of<A, N>['create'], Of<A, N>['update']> {
    return {
      doc: (id) => ({
        get: () => this.read(name, id),
        update: (data) => this.write(name, 'update', { id, update: toUpdate(data) }),
        set: (document) => this.write(name, 'replace', { id, document: encode(document), upsert: true }),
        remove: () => this.write(name, 'delete', { id }),
      }),
      add: async (document) => {
        const named = withId(document)
        await this.write(name, 'insert', { document: named })
        return { _id: named._id }
      },
    }
  }

  /** Ends the transaction without writing. */
  rollback(reason: unknown = new BaasError('ABORTED', 'The transaction was rolled back.')): never {
    throw reason
  }

  /** Forgets what was to be written. */
  discard(): void {
    this.operations = []
  }

  /** Called by `runTransaction`. */
  async commit(): Promise<void> {
    if (this.operations.length === 0) return
    const expect = Array.from(this.expected.values())
    const body = { operations: this.operations, ...(expect.length > 0 ? { expect } : {}) }
    await this.http.post('/v1/database/transaction', body, 'key', this.options)
  }

  private async read(name: string, id: string): Promise<{ data: any }> {
    if (this.operations.length > 0) {
      throw new BaasError('INVALID_ARGUMENT', 'A transaction reads before it writes.')
    }
    const path = databasePath(name, `documents/${encodeURIComponent(id)}`)
    const expected: Expected = { collection: name, id, etag: null }
    try {
      const answer = await this.http.send('GET', path, undefined, 'read', this.options)
      expected.etag = answer.headers.etag
      return { data: decode(JSON.parse(answer.body)) }
    } catch (fault) {
      if (!(fault instanceof BaasError) || fault.code !== 'NOT_FOUND') throw fault
      return { data: null }
    } finally {
      this.expected.set(`${name}/${id}`, expected)
    }
  }

  private async write(collection: string, verb: string, body: object): Promise<void> {
    this.operations.push({ collection, verb, ...body })
  }
}

export interface TransactionCollection<D, C, U> {
  doc(id: string): {
    /** `data` is null where there is no such document. */
    get(): Promise<{ data: D | null }>
    update(data: Changes<U>): Promise<void>
    set(document: Writable<C>): Promise<void>
    remove(): Promise<void>
  }
  add(document: Writable<C>): Promise<{ _id: string }>
}

function withId(document: any): any {
  const encoded = encode(document)
  return encoded._id === undefined ? { _id: newId(), ...encoded } : encoded
}

function queued(answer: any): { queued?: true } {
  return answer.queued ? { queued: true } : {}
}

function stats(answer: any): Stats {
  const { modified = 0, upsertedId = null } = answer
  return { updated: modified, upsertedId, ...queued(answer) }
}

function removed(answer: any): Removed {
  const { deleted = 0 } = answer
  return { removed: deleted, ...queued(answer) }
}

export type { At, Condition }
