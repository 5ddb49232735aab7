/** Documents in and out of a collection, in pages, with progress and a way to stop. */

import { csvHead, csvLine, documentsOf, parseCsv } from './csv'
import { api, words } from './api'

export interface Progress {
  done: number
  total: number | null
  /** Documents refused, with the first reasons. */
  refused: number
  reasons: string[]
}

const PAGE = 1000
const BATCH = 200
const REASONS = 20

export type Format = 'jsonl' | 'csv'

/** Everything that matches, as one file. */
export async function exported(
  collection: string,
  query: { filter?: object; sort?: unknown },
  format: Format,
  signal: AbortSignal,
  tell: (progress: Progress) => void,
): Promise<Blob> {
  const parts: string[] = []
  const columns: string[] = []
  const held: Array<Record<string, unknown>> = []
  let after: string | null = null
  let done = 0
  let total: number | null = null
  do {
    signal.throwIfAborted()
    const body: Record<string, unknown> = { ...query, limit: PAGE, ...(after ? { after } : { count: true }) }
    const answer: any = await api.verb(collection, 'find', body)
    total ??= answer.total
    for (const document of answer.documents) {
      if (format === 'jsonl') parts.push(JSON.stringify(document), '\n')
      else {
        held.push(document)
        for (const name of Object.keys(document)) if (!columns.includes(name)) columns.push(name)
      }
    }
    done += answer.documents.length
    after = answer.next
    tell({ done, total, refused: 0, reasons: [] })
  } while (after !== null)
  if (format === 'csv') {
    parts.push(csvHead(columns), '\r\n')
    for (const document of held) parts.push(csvLine(columns, document), '\r\n')
  }
  return new Blob(parts, { type: format === 'jsonl' ? 'application/x-ndjson' : 'text/csv' })
}

/** The documents of a file; throws with the line of the first that is none. */
export async function read(file: File): Promise<Array<Record<string, unknown>>> {
  const text = await file.text()
  if (/\.csv$/i.test(file.name)) return documentsOf(parseCsv(text))
  const trimmed = text.trim()
  if (trimmed.startsWith('[')) return checked(JSON.parse(trimmed))
  const lines = text.split(/\r?\n/)
  const found: unknown[] = []
  lines.forEach((line, place) => {
    if (line.trim() === '') return
    try {
      found.push(JSON.parse(line))
    } catch (fault) {
      throw new Error(`${file.name}:${place + 1}: ${(fault as Error).message}`)
    }
  })
  return checked(found)
}

function checked(found: unknown[]): Array<Record<string, unknown>> {
  found.forEach((one, place) => {
    if (typeof one !== 'object' || one === null || Array.isArray(one)) {
      throw new Error(`${place + 1}: not an object`)
    }
  })
  return found as Array<Record<string, unknown>>
}

/** `_updateTime` is the server's alone; the rest may come back as it was. */
function importable(document: Record<string, unknown>): Record<string, unknown> {
  const { _updateTime: _, ...rest } = document
  return rest
}

/** Inserts in batches; a batch that is refused is tried one by one, so that only bad ones stay out. */
export async function imported(
  collection: string,
  documents: Array<Record<string, unknown>>,
  signal: AbortSignal,
  tell: (progress: Progress) => void,
): Promise<Progress> {
  const progress: Progress = { done: 0, total: documents.length, refused: 0, reasons: [] }
  for (let from = 0; from < documents.length; from += BATCH) {
    signal.throwIfAborted()
    const batch = documents.slice(from, from + BATCH).map(importable)
    try {
      await api.verb(collection, 'insert', { documents: batch }, true)
    } catch {
      await oneByOne(collection, batch, from, signal, progress)
    }
    progress.done = from + batch.length
    tell({ ...progress })
  }
  return progress
}

async function oneByOne(
  collection: string,
  batch: Array<Record<string, unknown>>,
  from: number,
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  for (const [place, document] of batch.entries()) {
    signal.throwIfAborted()
    try {
      await api.verb(collection, 'insert', { document }, true)
    } catch (fault) {
      progress.refused++
      if (progress.reasons.length < REASONS) progress.reasons.push(`${from + place + 1}: ${words(fault)}`)
    }
  }
}

/** Hands a file to the person. */
export function save(content: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(content)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
