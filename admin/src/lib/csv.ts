/** CSV (RFC 4180), both ways. Texts that a spreadsheet would run as formulas are in JSON's quotes. */

import { valueOf } from './filters'

/** What users have stored must do nothing to whoever opens the file in a spreadsheet. */
const FORMULA = /^[=+\-@\t\r]/

/** Rows of cells; quotes may hold line breaks. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let cell = ''
  let quoted = false
  const source = text.replace(/^\uFEFF/, '')
  for (let at = 0; at < source.length; at++) {
    const letter = source[at]
    if (quoted) {
      if (letter !== '"') cell += letter
      else if (source[at + 1] === '"') {
        cell += '"'
        at++
      } else quoted = false
    } else if (letter === '"' && cell === '') quoted = true
    else if (letter === ',') {
      row.push(cell)
      cell = ''
    } else if (letter === '\n' || letter === '\r') {
      if (letter === '\r' && source[at + 1] === '\n') at++
      row.push(cell)
      rows.push(row)
      row = []
      cell = ''
    } else cell += letter
  }
  if (cell !== '' || row.length) rows.push([...row, cell])
  return rows.filter((cells) => cells.length > 1 || cells[0] !== '')
}

/** Documents of a table with a head; `a.b` makes an object, an empty cell makes nothing. */
export function documentsOf(rows: string[][]): Array<Record<string, unknown>> {
  const [head, ...body] = rows
  if (!head) return []
  return body.map((cells) => {
    const document: Record<string, unknown> = {}
    head.forEach((name, place) => {
      const text = cells[place] ?? ''
      if (name.trim() !== '' && text !== '') put(document, nameOf(name.trim()).split('.'), valueOf(text))
    })
    return document
  })
}

function put(target: Record<string, unknown>, path: string[], value: unknown): void {
  const [name, ...rest] = path
  if (rest.length === 0) define(target, name, value)
  else {
    if (!Object.hasOwn(target, name) || typeof target[name] !== 'object') define(target, name, {})
    put(target[name] as Record<string, unknown>, rest, value)
  }
}

/** Not by assignment: a column named `__proto__` is a name like any other. */
function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true })
}

/** The head, as `documentsOf` reads it. */
export function csvHead(columns: string[]): string {
  return columns.map((name) => quote(FORMULA.test(name) || name.startsWith('"') ? JSON.stringify(name) : name)).join(',')
}

function nameOf(cell: string): string {
  const value = cell.startsWith('"') ? valueOf(cell) : cell
  return typeof value === 'string' ? value : cell
}

/** One line. Objects as JSON; texts that would read as something else, or run, are put in JSON's quotes. */
export function csvLine(columns: string[], document: Record<string, unknown>): string {
  return columns.map((column) => quote(cellOf(document[column]))).join(',')
}

function cellOf(value: unknown): string {
  if (value === undefined) return ''
  if (typeof value === 'string') {
    return value === '' || FORMULA.test(value) || valueOf(value) !== value ? JSON.stringify(value) : value
  }
  if (typeof value === 'object' && value !== null && typeof (value as any).$date === 'string') {
    return (value as any).$date
  }
  return JSON.stringify(value)
}

function quote(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replace(/"/g, '""')}"` : cell
}
