/** Values between JavaScript and the wire: dates, server dates, regular expressions, points. */

/** The server's time when the write happens, plus `offset` milliseconds. */
export class ServerDate {
  constructor(readonly offset: number = 0) {}
}

/** A regular expression in a filter. Flags `ims`; RE2 syntax, on the server. */
export class RegExpValue {
  constructor(
    readonly regexp: string,
    readonly options: string = '',
  ) {}
}

export type Position = [longitude: number, latitude: number]
export interface Point {
  type: 'Point'
  coordinates: Position
}
export interface LineString {
  type: 'LineString'
  coordinates: Position[]
}
export interface Polygon {
  type: 'Polygon'
  coordinates: Position[][]
}
export interface MultiPoint {
  type: 'MultiPoint'
  coordinates: Position[]
}
export interface MultiLineString {
  type: 'MultiLineString'
  coordinates: Position[][]
}
export interface MultiPolygon {
  type: 'MultiPolygon'
  coordinates: Position[][][]
}
export type Geometry = Point | LineString | Polygon | MultiPoint | MultiLineString | MultiPolygon

/** GeoJSON, by the names that cloud-dev users know. Parts may be given as shapes or positions. */
export const Geo = {
  Point: (longitude: number, latitude: number): Point => {
    if (!(Math.abs(longitude) <= 180)) throw new RangeError('longitude is -180 to 180')
    if (!(Math.abs(latitude) <= 90)) throw new RangeError('latitude is -90 to 90')
    return { type: 'Point', coordinates: [longitude, latitude] }
  },
  LineString: (points: Array<Point | Position>): LineString => ({
    type: 'LineString',
    coordinates: points.map(position),
  }),
  Polygon: (lines: Array<LineString | Position[]>): Polygon => ({
    type: 'Polygon',
    coordinates: lines.map(positions),
  }),
  MultiPoint: (points: Array<Point | Position>): MultiPoint => ({
    type: 'MultiPoint',
    coordinates: points.map(position),
  }),
  MultiLineString: (lines: Array<LineString | Position[]>): MultiLineString => ({
    type: 'MultiLineString',
    coordinates: lines.map(positions),
  }),
  MultiPolygon: (polygons: Polygon[]): MultiPolygon => ({
    type: 'MultiPolygon',
    coordinates: polygons.map((polygon) => polygon.coordinates),
  }),
}

export function position(point: Point | Position): Position {
  return Array.isArray(point) ? point : point.coordinates
}

function positions(line: LineString | Position[]): Position[] {
  return Array.isArray(line) ? line : line.coordinates
}

/** A value as it travels. Undefined members are left out, as JSON does. */
export function encode(value: any): any {
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Date) return { $date: isoOf(value) }
  if (value instanceof ServerDate) return { $date: { offset: value.offset } }
  if (value instanceof RegExp) return regex(value.source, flagsOf(value))
  if (value instanceof RegExpValue) return regex(value.regexp, value.options)
  if (Array.isArray(value)) return value.map(encode)
  const encoded: Record<string, any> = {}
  for (const name of Object.keys(value)) {
    if (value[name] !== undefined) encoded[name] = encode(value[name])
  }
  return encoded
}

/** A value as it came: dates become Date. */
export function decode(value: any): any {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(decode)
  const names = Object.keys(value)
  if (names.length === 1 && names[0] === '$date' && typeof value.$date === 'string') {
    return new Date(value.$date)
  }
  const decoded: Record<string, any> = {}
  for (const name of names) decoded[name] = decode(value[name])
  return decoded
}

/** Whether a value is a document to look into, rather than a value by itself. */
export function isPlain(value: any): value is Record<string, any> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function isoOf(date: Date): string {
  if (isNaN(date.getTime())) throw new RangeError('an invalid Date cannot be sent')
  return date.toISOString()
}

/** `g`, `y`, `u` and `d` say nothing of what matches. */
function flagsOf(regexp: RegExp): string {
  return regexp.flags.replace(/[^ims]/g, '')
}

function regex(source: string, options: string): any {
  return options ? { $regex: source, $options: options } : { $regex: source }
}
