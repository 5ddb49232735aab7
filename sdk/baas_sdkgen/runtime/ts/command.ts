/**
 * `db.command`: conditions and updates as cloud-dev users write them, and how they travel.
 *
 *     const _ = db.command
 *     posts.where({ likes: _.gt(1).and(_.lt(5)), tags: _.in(['a', 'b']) })
 *     posts.doc(id).update({ likes: _.inc(1), tags: _.push(['x']), note: _.remove() })
 */

import {
  encode, Geometry, isPlain, MultiPolygon, Point, Polygon, Position, position, RegExpValue, ServerDate,
} from './values.js'

type Wire = Record<string, any>

/** A condition on a field (`_.gt(1)`), or on documents (`_.or([{...}, {...}])`). */
export class Condition {
  /** `and`, `or`, `nor`, `not` over parts; `test`: the operators of one field. */
  constructor(
    readonly kind: 'and' | 'or' | 'nor' | 'not' | 'test',
    readonly parts: any[],
  ) {}

  and(...others: any[]): Condition {
    return new Condition('and', [this, ...listed(others)])
  }

  or(...others: any[]): Condition {
    return new Condition('or', [this, ...listed(others)])
  }

  nor(...others: any[]): Condition {
    return this.and(new Condition('nor', listed(others)))
  }

  not(other: any): Condition {
    return this.and(new Condition('not', [other]))
  }

  eq(value: any): Condition {
    return this.and(test('$eq', value))
  }
  neq(value: any): Condition {
    return this.and(test('$ne', value))
  }
  gt(value: any): Condition {
    return this.and(test('$gt', value))
  }
  gte(value: any): Condition {
    return this.and(test('$gte', value))
  }
  lt(value: any): Condition {
    return this.and(test('$lt', value))
  }
  lte(value: any): Condition {
    return this.and(test('$lte', value))
  }
  in(values: any[]): Condition {
    return this.and(test('$in', values))
  }
  nin(values: any[]): Condition {
    return this.and(test('$nin', values))
  }
  exists(there: boolean = true): Condition {
    return this.and(test('$exists', there))
  }
  mod(divisor: number, remainder: number): Condition {
    return this.and(command.mod(divisor, remainder))
  }
  all(values: any[]): Condition {
    return this.and(test('$all', values))
  }
  size(length: number): Condition {
    return this.and(test('$size', length))
  }
  elemMatch(condition: any): Condition {
    return this.and(command.elemMatch(condition))
  }
  geoNear(near: any): Condition {
    return this.and(command.geoNear(near))
  }
  geoWithin(within: any): Condition {
    return this.and(command.geoWithin(within))
  }
  geoIntersects(other: any): Condition {
    return this.and(command.geoIntersects(other))
  }
}

/** What an update does to a field. */
export class Change {
  constructor(
    readonly operator: string,
    readonly value: any,
  ) {}
}

export interface PushOptions {
  each: any[]
  position?: number
  slice?: number
  sort?: number | Record<string, 1 | -1>
}

export interface Near {
  geometry: Point
  maxDistance?: number
  minDistance?: number
}

/** One of: polygons; a place and radians around it (metres / 6378100); the south-western and the
 * north-eastern corner of a flat box. */
export interface Within {
  geometry?: Polygon | MultiPolygon
  centerSphere?: [place: Point | Position, radians: number]
  box?: [southWest: Point | Position, northEast: Point | Position]
}

function listed(values: any[]): any[] {
  return values.length === 1 && Array.isArray(values[0]) ? values[0] : values
}

function test(operator: string, value: any): Condition {
  return new Condition('test', [{ [operator]: value }])
}

export const command = {
  eq: (value: any) => test('$eq', value),
  neq: (value: any) => test('$ne', value),
  gt: (value: any) => test('$gt', value),
  gte: (value: any) => test('$gte', value),
  lt: (value: any) => test('$lt', value),
  lte: (value: any) => test('$lte', value),
  in: (values: any[]) => test('$in', values),
  nin: (values: any[]) => test('$nin', values),
  exists: (there: boolean = true) => test('$exists', there),
  mod: (divisor: number, remainder: number) => test('$mod', [divisor, remainder]),
  type: (name: string) => test('$type', name),
  all: (values: any[]) => test('$all', values),
  size: (length: number) => test('$size', length),
  elemMatch: (condition: any) => new Condition('test', [{ $elemMatch: element(condition) }]),
  regex: (source: string, options = '') => new Condition('test', [encode(new RegExpValue(source, options))]),

  and: (...parts: any[]) => new Condition('and', listed(parts)),
  or: (...parts: any[]) => new Condition('or', listed(parts)),
  nor: (...parts: any[]) => new Condition('nor', listed(parts)),
  not: (part: any) => new Condition('not', [part]),

  geoNear: (near: Near) =>
    test('$near', {
      $geometry: near.geometry,
      ...(near.maxDistance === undefined ? {} : { $maxDistance: near.maxDistance }),
      ...(near.minDistance === undefined ? {} : { $minDistance: near.minDistance }),
    }),
  geoWithin: (within: Within) =>
    test('$geoWithin', defined({
      $geometry: within.geometry,
      $centerSphere: within.centerSphere && [position(within.centerSphere[0]), within.centerSphere[1]],
      $box: within.box && within.box.map(position),
    })),
  geoIntersects: (other: { geometry: Geometry }) =>
    test('$geoIntersects', { $geometry: other.geometry }),

  set: (value: any) => new Change('$set', value),
  remove: () => new Change('$unset', ''),
  inc: (amount: number) => new Change('$inc', amount),
  mul: (factor: number) => new Change('$mul', factor),
  min: (value: any) => new Change('$min', value),
  max: (value: any) => new Change('$max', value),
  rename: (name: string) => new Change('$rename', name),
  bit: (operation: { and?: number; or?: number; xor?: number }) => new Change('$bit', operation),
  currentDate: () => new Change('$currentDate', true),
  push: (...values: any[]): Change => new Change('$push', pushed(values)),
  pop: () => new Change('$pop', 1),
  shift: () => new Change('$pop', -1),
  unshift: (...values: any[]): Change =>
    new Change('$push', { $each: listed(values), $position: 0 }),
  pull: (condition: any) => new Change('$pull', pulled(condition)),
  pullAll: (values: any[]) => new Change('$pullAll', values),
  addToSet: (value: any): Change =>
    new Change('$addToSet', isPlain(value) && Array.isArray(value.$each || value.each)
      ? { $each: value.$each || value.each }
      : value),
}

export type Command = typeof command

/** `push(1)`, `push([1, 2])`, `push({each, position, slice, sort})`. */
function pushed(values: any[]): Wire {
  const first = values[0]
  if (values.length === 1 && isPlain(first) && Array.isArray(first.each)) {
    const { each, position, slice, sort } = first as PushOptions
    return defined({ $each: each, $position: position, $slice: slice, $sort: sort })
  }
  return { $each: listed(values) }
}

function pulled(condition: any): any {
  if (condition instanceof Condition) return fieldTests(condition)
  return isPlain(condition) ? element(condition) : condition
}

function element(condition: any): any {
  if (condition instanceof Condition) return fieldTests(condition)
  return isPlain(condition) ? toFilter(condition) : { $eq: condition }
}

// -- filters -----------------------------------------------------------------------------------

/** A filter of the wire from what `where` takes: fields, nested or dotted, or a `command`. */
export function toFilter(where: any): Wire {
  if (where instanceof Condition) return ofDocuments(where)
  return all(conjuncts(where, ''))
}

function ofDocuments(condition: Condition): Wire {
  if (condition.kind === 'test') {
    throw new TypeError('a condition such as _.gt(1) belongs to a field: where({ field: _.gt(1) })')
  }
  const parts = condition.parts.map(toFilter)
  if (condition.kind === 'not') return { $nor: parts }
  return { [`$${condition.kind}`]: parts }
}

function conjuncts(where: any, prefix: string): Wire[] {
  const found: Wire[] = []
  for (const name of Object.keys(where)) {
    const value = where[name]
    if (value === undefined) {
      throw new TypeError(`where: ${prefix}${name} is undefined; use null or _.exists(false)`)
    }
    if (name[0] === '$') {
      found.push({ [name]: Array.isArray(value) ? value.map(raw) : encode(value) })
    } else {
      found.push(...onField(`${prefix}${name}`, value))
    }
  }
  return found
}

/** Members of a filter written as on the wire may still hold commands. */
function raw(part: any): any {
  return part instanceof Condition || isPlain(part) ? toFilter(part) : encode(part)
}

function onField(path: string, value: any): Wire[] {
  if (value instanceof Condition) return [ofField(path, value)]
  if (!isPlain(value) || value instanceof ServerDate) return [{ [path]: encode(value) }]
  const names = Object.keys(value)
  if (names.length === 0 || isGeometry(value)) return [{ [path]: { $eq: encode(value) } }]
  if (names[0][0] === '$') return [{ [path]: encode(value) }]
  return conjuncts(value, `${path}.`)
}

function isGeometry(value: any): boolean {
  return typeof value.type === 'string' && Array.isArray(value.coordinates)
}

function ofField(path: string, condition: Condition): Wire {
  switch (condition.kind) {
    case 'test':
      return { [path]: encode(condition.parts[0]) }
    case 'not':
      return { $nor: condition.parts.map((part) => all(onField(path, part))) }
    case 'and':
      return all(condition.parts.map((part) => all(onField(path, part))))
    default:
      return { [`$${condition.kind}`]: condition.parts.map((part) => all(onField(path, part))) }
  }
}

/** Conjuncts as one filter; flat where no name meets another. */
function all(filters: Wire[]): Wire {
  const merged: Wire = {}
  for (const filter of filters) {
    for (const name of Object.keys(filter)) {
      if (!merge(merged, name, filter[name])) return { $and: filters }
    }
  }
  return merged
}

function merge(into: Wire, name: string, value: any): boolean {
  if (!(name in into)) {
    into[name] = value
    return true
  }
  const there = into[name]
  if (name[0] === '$' || !isTests(there) || !isTests(value)) return false
  if (Object.keys(value).some((operator) => operator in there)) return false
  into[name] = { ...there, ...value }
  return true
}

function isTests(value: any): boolean {
  return isPlain(value) && Object.keys(value).every((name) => name[0] === '$' && name !== '$date')
}

/** The operators of one field, as `$elemMatch` and `$pull` take them. */
function fieldTests(condition: Condition): Wire {
  const filter = ofField('x', condition)
  const names = Object.keys(filter)
  if (names.length === 1 && names[0] === 'x') {
    return isTests(filter.x) ? filter.x : { $eq: filter.x }
  }
  throw new TypeError('only conditions joined by "and" are possible inside elemMatch and pull')
}

// -- updates -----------------------------------------------------------------------------------

/**
 * Operators of the wire from what `update` takes. As in cloud development, a nested object changes
 * the members it names; `_.set({...})` replaces it whole.
 */
export function toUpdate(data: any): Wire {
  const update: Wire = {}
  collect(data, '', update)
  return update
}

function collect(data: any, prefix: string, update: Wire): void {
  for (const name of Object.keys(data)) {
    const value = data[name]
    const path = `${prefix}${name}`
    if (value === undefined) continue
    if (name[0] === '$' && prefix === '') {
      update[name] = { ...update[name], ...encode(value) }
    } else if (value instanceof Change) {
      put(update, value.operator, path, operand(value))
    } else if (isPlain(value) && Object.keys(value).length > 0 && !isGeometry(value)) {
      collect(value, `${path}.`, update)
    } else {
      put(update, '$set', path, encode(value))
    }
  }
}

function operand(change: Change): any {
  return change.value instanceof Condition ? fieldTests(change.value) : encode(change.value)
}

function put(update: Wire, operator: string, path: string, value: any): void {
  update[operator] = update[operator] || {}
  update[operator][path] = value
}

/** Without members that are undefined. */
export function defined(members: Wire): Wire {
  const kept: Wire = {}
  for (const name of Object.keys(members)) {
    if (members[name] !== undefined) kept[name] = members[name]
  }
  return kept
}
