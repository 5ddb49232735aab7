/** The filter builder's rows to a filter, and what values people type. */

export interface Row {
  field: string
  op: string
  value: string
}

export const OPS = ['=', '≠', '>', '≥', '<', '≤', 'in', 'contains', 'exists', 'missing'] as const

const PLAIN: Record<string, string> = { '=': '$eq', '≠': '$ne', '>': '$gt', '≥': '$gte', '<': '$lt', '≤': '$lte' }
const ISO = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/

/** `12`, `true`, `null`, `"12"`, `{...}`, an ISO time; anything else is text. */
export function valueOf(text: string): unknown {
  const trimmed = text.trim()
  if (ISO.test(trimmed)) return { $date: trimmed }
  if (/^(-?\d|"|\{|\[|true$|false$|null$)/.test(trimmed)) {
    try {
      return JSON.parse(trimmed)
    } catch {
      return text
    }
  }
  return text
}

export function filterOf(rows: Row[]): Record<string, unknown> {
  const parts = rows.filter((row) => row.field.trim() !== '').map(conditionOf)
  if (parts.length === 0) return {}
  return parts.length === 1 ? parts[0] : { $and: parts }
}

function conditionOf(row: Row): Record<string, unknown> {
  const field = row.field.trim()
  if (row.op in PLAIN) return { [field]: { [PLAIN[row.op]]: valueOf(row.value) } }
  if (row.op === 'in') return { [field]: { $in: row.value.split(',').map((one) => valueOf(one.trim())) } }
  if (row.op === 'contains') {
    return { [field]: { $regex: row.value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), $options: 'i' } }
  }
  return { [field]: { $exists: row.op === 'exists' } }
}
