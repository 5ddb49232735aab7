/** Values of `wx.cloud` databases: points and shapes as objects, `db.command` with `aggregate`. */

import { command as commands, Condition } from './command.js'
import { Geo as shapes, RegExpValue } from './values.js'
import { WxPipeline } from './wx-pipeline.js'

/** GeoJSON with the members that programs read. They travel as `type` and `coordinates`. */
class Shape {
  constructor(
    readonly type: string,
    readonly coordinates: any[],
  ) {}

  get longitude(): any {
    return this.coordinates[0]
  }
  get latitude(): any {
    return this.coordinates[1]
  }
  get points(): Shape[] {
    return this.coordinates.map((one) => new Shape('Point', one))
  }
  get lines(): Shape[] {
    return this.coordinates.map((one) => new Shape('LineString', one))
  }
  get polygons(): Shape[] {
    return this.coordinates.map((one) => new Shape('Polygon', one))
  }

  toJSON(): object {
    return { type: this.type, coordinates: this.coordinates }
  }
  toString(): string {
    return JSON.stringify(this)
  }
}

/** With or without `new`, from parts or from GeoJSON. */
function shaped(type: keyof typeof shapes): any {
  return function (first: any, second?: any) {
    if (first && first.type === type) return new Shape(type, first.coordinates)
    return new Shape(type, (shapes[type] as any)(first, second).coordinates)
  }
}

export const Geo = {
  Point: shaped('Point'),
  LineString: shaped('LineString'),
  Polygon: shaped('Polygon'),
  MultiPoint: shaped('MultiPoint'),
  MultiLineString: shaped('MultiLineString'),
  MultiPolygon: shaped('MultiPolygon'),
}

/** With or without `new`. */
export const RegExpOf: any = function (options: { regexp: string; options?: string }) {
  return new RegExpValue(options.regexp, options.options)
}

/** Documents as they are given out: shapes become objects. */
export function withShapes(value: any): any {
  if (Array.isArray(value)) return value.map(withShapes)
  if (value === null || typeof value !== 'object' || value instanceof Date) return value
  if (typeof value.type === 'string' && value.type in Geo && Array.isArray(value.coordinates)) {
    return new Shape(value.type, value.coordinates)
  }
  const made: any = {}
  for (const name of Object.keys(value)) made[name] = withShapes(value[name])
  return made
}

/** What functions answer, where dates come as text: between them and programs there is JSON alone. */
export function withTexts(value: any): any {
  if (Array.isArray(value)) return value.map(withTexts)
  if (value === null || typeof value !== 'object') return value
  const names = Object.keys(value)
  if (names.length === 1 && typeof value.$date === 'string') return value.$date
  const made: any = {}
  for (const name of names) made[name] = withTexts(value[name])
  return made
}

/** `_.aggregate.sum('$likes')` is `{$sum: '$likes'}`; what the server does not know it refuses. */
const OPERATORS =
  'abs add addToSet allElementsTrue and anyElementTrue arrayElemAt arrayToObject avg ceil cmp concat ' +
  'concatArrays cond convert dateFromParts dateFromString dateToParts dateToString dayOfMonth dayOfWeek ' +
  'dayOfYear divide eq exp filter first floor gt gte hour ifNull in indexOfArray indexOfBytes indexOfCP ' +
  'isArray isoDayOfWeek isoWeek isoWeekYear last let literal ln log log10 lt lte ltrim map max ' +
  'mergeObjects meta min millisecond minute mod month multiply not objectToArray or pow push range reduce ' +
  'reverseArray rtrim second setDifference setEquals setIntersection setIsSubset setUnion size slice split ' +
  'sqrt stdDevPop stdDevSamp strcasecmp strLenBytes strLenCP substr substrBytes substrCP subtract sum ' +
  'switch toBool toDate toDecimal toDouble toInt toLong toObjectId toString toLower toUpper trim trunc type ' +
  'week year zip'

type Operator = (value: any) => object
const operators: Record<string, Operator> = { neq: (value) => ({ $ne: value }) }
OPERATORS.split(' ').forEach((name) => {
  operators[name] = (value) => ({ [`$${name}`]: value })
})

export const aggregate = Object.assign(operators, { pipeline: () => new WxPipeline() })

/** Its shapes may be those of `Geo` here. */
type Located = (options: any) => Condition

export const command = {
  ...commands,
  geoNear: commands.geoNear as Located,
  geoWithin: commands.geoWithin as Located,
  geoIntersects: commands.geoIntersects as Located,
  /** In `match`: what an expression says of the document. */
  expr: (expression: any) => ({ $expr: expression }),
  aggregate,
}
