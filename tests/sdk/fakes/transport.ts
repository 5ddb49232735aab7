/** What both fakes stand on: HTTP by node:http, a form, a folder of temporary files. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { basename, extname, join } from 'node:path'

export interface Wanted {
  method: string
  url: string
  headers: Record<string, string>
  body?: Buffer
  /** Milliseconds. */
  timeout: number
  onSent?(sent: number, total: number): void
  onReceived?(received: number, total: number): void
}

export interface Sent {
  status: number
  headers: Record<string, string>
  body: Buffer
}

export type Broken = 'timeout' | 'abort' | 'interrupted' | 'network'

export interface Sending {
  done: Promise<Sent>
  stop(how: Broken): void
}

const CHUNK = 16 * 1024

export function send(wanted: Wanted): Sending {
  let stop: (how: Broken) => void = () => undefined
  const done = new Promise<Sent>((resolve, reject) => {
    const { method, headers, body, timeout } = wanted
    const request = http.request(wanted.url, { method, headers: lengthOf(headers, body) })
    const timer = setTimeout(() => stop('timeout'), timeout)
    stop = (how) => {
      clearTimeout(timer)
      request.destroy()
      reject(how)
    }
    request.on('error', () => stop('network'))
    request.on('response', (answer) => {
      const parts: Buffer[] = []
      let received = 0
      const total = Number(answer.headers['content-length'] || 0)
      answer.on('data', (part: Buffer) => {
        parts.push(part)
        received += part.length
        if (wanted.onReceived) wanted.onReceived(received, total)
      })
      answer.on('error', () => stop('network'))
      answer.on('end', () => {
        clearTimeout(timer)
        resolve({ status: answer.statusCode as number, headers: named(answer), body: Buffer.concat(parts) })
      })
    })
    void write(request, body, wanted.onSent)
  })
  return { done, stop: (how) => stop(how) }
}

function lengthOf(headers: Record<string, string>, body?: Buffer): Record<string, string> {
  return body === undefined ? headers : { ...headers, 'Content-Length': String(body.length) }
}

async function write(request: http.ClientRequest, body: Buffer | undefined, onSent: Wanted['onSent']) {
  for (let at = 0; body !== undefined && at < body.length; at += CHUNK) {
    const more = request.write(body.subarray(at, at + CHUNK))
    if (onSent) onSent(Math.min(at + CHUNK, body.length), body.length)
    if (!more && !request.destroyed) await new Promise((go) => request.once('drain', go).once('close', go))
  }
  request.end()
}

/** As iOS spells them, whatever the server wrote. */
function named(answer: http.IncomingMessage): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, value] of Object.entries(answer.headers)) {
    const spelled = name.replace(/(^|-)([a-z])/g, (letters) => letters.toUpperCase())
    found[spelled] = Array.isArray(value) ? value.join(',') : String(value)
  }
  return found
}

// -- forms -------------------------------------------------------------------------------------

const TYPES: Record<string, string> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.gif': 'image/gif',
  '.mp4': 'video/mp4',
  '.txt': 'text/plain',
}

/** The fields first, then the file with the type that its name says: all that a platform knows. */
export function form(fields: Record<string, unknown>, name: string, path: string, content: Buffer) {
  const boundary = `----fake${Math.random().toString(36).slice(2)}`
  const parts = Object.keys(fields).map(
    (key) => `--${boundary}\r\nContent-Disposition: form-data; name="${key}"\r\n\r\n${String(fields[key])}\r\n`,
  )
  const type = TYPES[extname(path)] || 'application/octet-stream'
  const head =
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="${basename(path)}"\r\n` +
    `Content-Type: ${type}\r\n\r\n`
  const body = Buffer.concat([Buffer.from(parts.join('') + head), content, Buffer.from(`\r\n--${boundary}--\r\n`)])
  return { type: `multipart/form-data; boundary=${boundary}`, body }
}

/** `name=value&...`, as both platforms turn objects into text. */
export function asQuery(data: Record<string, unknown>): string {
  return Object.keys(data)
    .map((name) => `${encodeURIComponent(name)}=${encodeURIComponent(String(data[name]))}`)
    .join('&')
}

// -- files -------------------------------------------------------------------------------------

/** Temporary files under names of the platform's own scheme; a real path means nothing to it. */
export class Files {
  private readonly folder = mkdtempSync(join(tmpdir(), 'fake-mini-'))
  private count = 0

  constructor(private readonly scheme: string) {}

  make(content: Buffer | string, extension: string): string {
    const name = `tmp_${++this.count}${extension}`
    writeFileSync(join(this.folder, name), content)
    return this.scheme + name
  }

  write(path: string, content: Buffer | string): void {
    writeFileSync(this.place(path), content)
  }

  /** Undefined where there is none. */
  read(path: string): Buffer | undefined {
    try {
      return readFileSync(this.place(path))
    } catch {
      return undefined
    }
  }

  remove(path: string): void {
    rmSync(this.place(path))
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  private place(path: string): string {
    const { scheme } = this
    if (typeof path !== 'string' || !path.startsWith(scheme)) throw new Error(`${path}: no such file`)
    return join(this.folder, basename(path.slice(scheme.length)))
  }
}

// -- calls at once -----------------------------------------------------------------------------

/** At most `most` run at once; the others wait their turn. */
export class Turns {
  private running = 0
  private readonly waiting: Array<() => void> = []
  /** The most that ever ran at once. */
  peak = 0

  constructor(private readonly most: number) {}

  async take<T>(call: () => Promise<T>): Promise<T> {
    if (this.running >= this.most) await new Promise<void>((go) => this.waiting.push(go))
    this.running++
    this.peak = Math.max(this.peak, this.running)
    try {
      return await call()
    } finally {
      this.running--
      const next = this.waiting.shift()
      if (next) next()
    }
  }
}
