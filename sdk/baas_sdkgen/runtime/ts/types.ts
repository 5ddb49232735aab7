/** Types that tie the SDK to an app; the generated file fills them in. */

import { Condition, Change } from './command.js'
import { Geometry, RegExpValue, ServerDate } from './values.js'

/** What the generated file says of a collection, for one audience. */
export interface CollectionShape {
  /** As this audience may read it. */
  document: object
  /** As it may create it. */
  create: object
  /** What it may change. */
  update: object
}

export interface FunctionShape {
  event: any
  result: any
}

export interface AppShape {
  collections: Record<string, CollectionShape>
  functions: Record<string, FunctionShape>
  /** Patterns, with `${string}` for what they capture. */
  channels: string
}

/** An app of which nothing is known. */
export interface AnyApp extends AppShape {
  collections: Record<string, { document: any; create: any; update: any }>
  functions: Record<string, { event: any; result: any }>
  channels: string
}

/** Members that every stored document has. */
export interface Stored {
  _id: string
  _openid?: string
  _createTime: Date
  _updateTime: Date
}

type Leaf = string | number | boolean | null | undefined | Date | Geometry | readonly unknown[]

/** Dotted paths of `T`, five members deep. */
export type Path<T, Depth extends unknown[] = []> = Depth['length'] extends 5
  ? never
  : T extends Leaf
    ? never
    : { [K in keyof T & string]: K | Below<K, NonNullable<T[K]>, Depth> }[keyof T & string]

type Below<K extends string, V, Depth extends unknown[]> = V extends readonly (infer E)[]
  ? `${K}.${number}` | Joined<K, E, Depth>
  : Joined<K, V, Depth>

type Joined<K extends string, V, Depth extends unknown[]> = V extends Leaf
  ? never
  : `${K}.${Path<V, [...Depth, unknown]>}`

/** What stands at a dotted path of `T`. */
export type At<T, P extends string> = T extends readonly (infer E)[]
  ? P extends `${number}`
    ? E
    : At<E, P>
  : P extends keyof T
    ? T[P]
    : P extends `${infer Head}.${infer Rest}`
      ? Head extends keyof T
        ? At<NonNullable<T[Head]>, Rest>
        : never
      : never

type Matching<V> =
  | V
  | Condition
  | (V extends readonly (infer E)[] ? E : never)
  | (V extends string ? RegExp | RegExpValue : never)
  | (V extends Date ? ServerDate : never)
  | (V extends Leaf ? never : Where<V>)

/** Fields, nested or dotted, and what is asked of them. `any` where nothing is known. */
export type Where<T> = [T] extends [never]
  ? never
  : 0 extends 1 & T
    ? any
    : { [P in Path<T>]?: Matching<NonNullable<At<T, P>>> | null } | Condition

type Setting<V> =
  | V
  | Change
  | (V extends Date ? ServerDate : never)
  | (V extends Leaf ? never : { [K in keyof V]?: Setting<V[K]> })

/** What `update` takes: fields, nested or dotted, and what becomes of them. */
export type Changes<T> = [T] extends [never]
  ? never
  : 0 extends 1 & T
    ? any
    : { [P in Path<T>]?: Setting<NonNullable<At<T, P>>> | null }

/** Dates may be the server's. */
export type Writable<T> = [T] extends [never]
  ? never
  : 0 extends 1 & T
  ? any
  : T extends Date
    ? Date | ServerDate
    : T extends Leaf
      ? T
      : { [K in keyof T]: Writable<T[K]> }
