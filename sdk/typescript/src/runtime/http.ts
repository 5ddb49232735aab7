/** Calls to the gateway: time limits, abort, retries where nothing can happen twice, tokens. */

import { BaasError, errorOf } from './errors.js'
import { random } from './ids.js'
import type { OfflineQueue } from './offline.js'
import { HttpAnswer, Platform, Signal } from './platform.js'

export interface CallOptions {
  /** Milliseconds for the whole call, its retries too. */
  timeout?: number
  signal?: Signal
  /** Tries after the first; 0 is none. */
  retries?: number
  /** The Idempotency-Key of a write, where the caller keeps its own; else one is made. */
  key?: string
}

/** How a repeat is safe: `read` changes nothing; `key` is once by Idempotency-Key; `once` is never
 * repeated unless the server says that it did nothing. */
export type Safety = 'read' | 'key' | 'once'

export interface TokenSource {
  /** The access token, or null for nobody. Refreshes where it has run out. */
  token(): Promise<string | null>
  /** The server refused this token as expired: a new one, or null where there is none. */
  renew(refused: string): Promise<string | null>
}

export const NOBODY: TokenSource = {
  token: () => Promise.resolve(null),
  renew: () => Promise.resolve(null),
}

const FIRST_PAUSE = 200
const LONGEST_PAUSE = 10_000
/** Answers that say that nothing was done. */
const UNTOUCHED = ['RATE_LIMITED', 'UNAVAILABLE', 'IDEMPOTENCY_IN_PROGRESS']

export class Http {
  tokens: TokenSource = NOBODY
  /** Where writes wait for the network, if the app asked for that. */
  queue: OfflineQueue | null = null

  constructor(
    readonly platform: Platform,
    /** Without a slash at the end. */
    readonly base: string,
    readonly timeout: number,
    readonly retries: number,
  ) {}

  /** POST of JSON; the answer's JSON. */
  async post(path: string, body: any, safety: Safety, options: CallOptions = {}): Promise<any> {
    const answer = await this.send('POST', path, JSON.stringify(body), safety, options)
    return parsed(answer.body)
  }

  /** A write to the database: once, and later where it is allowed to wait. */
  write(collection: string, verb: string, body: any, options: CallOptions = {}): Promise<any> {
    if (this.queue !== null) return this.queue.write(collection, verb, body, options)
    return this.post(databasePath(collection, verb), body, 'key', options)
  }

  async get(path: string, options: CallOptions = {}): Promise<any> {
    const answer = await this.send('GET', path, undefined, 'read', options)
    return parsed(answer.body)
  }

  async send(
    method: 'GET' | 'POST',
    path: string,
    body: string | undefined,
    safety: Safety,
    options: CallOptions,
  ): Promise<HttpAnswer> {
    const headers: Record<string, string> = {}
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    return this.attempt(options, safety, headers, (timeout) =>
      this.platform.request({
        method,
        url: this.base + path,
        headers,
        body,
        timeout,
        signal: options.signal,
      }),
    )
  }

  /**
   * Runs `call` with a token in `headers`, again where that is safe and may help. `call` resolves
   * with any answer and rejects where none came.
   */
  async attempt<A extends HttpAnswer>(
    options: CallOptions,
    safety: Safety,
    headers: Record<string, string>,
    call: (timeout: number) => Promise<A>,
  ): Promise<A> {
    const until = Date.now() + (options.timeout || this.timeout)
    const retries = options.retries === undefined ? this.retries : options.retries
    let renewed = false
    for (let tried = 0; ; tried++) {
      const token = await this.tokens.token()
      if (token !== null) headers.Authorization = `Bearer ${token}`
      else delete headers.Authorization
      if (safety === 'key' && token !== null && !headers['Idempotency-Key']) {
        headers['Idempotency-Key'] = options.key || random(24)
      }
      const fault = await this.once(call, until, options.signal)
      if (!(fault instanceof BaasError)) return fault
      if (token !== null && !renewed && isStale(fault)) {
        renewed = true
        const next = await this.tokens.renew(token)
        if (next === null || next === token) throw fault
        tried--
        continue
      }
      if (tried >= retries || !this.maySayItAgain(fault, safety, headers)) throw fault
      const pause = pauseOf(fault, tried)
      if (Date.now() + pause >= until) throw fault
      await sleep(pause, options.signal)
    }
  }

  /** The answer, or the fault it is. */
  private async once<A extends HttpAnswer>(
    call: (timeout: number) => Promise<A>,
    until: number,
    signal: Signal | undefined,
  ): Promise<A | BaasError> {
    if (signal && signal.aborted) throw new BaasError('ABORTED', 'The call was aborted.')
    const left = until - Date.now()
    if (left <= 0) return new BaasError('TIMEOUT', 'No answer in time.')
    let answer: A
    try {
      answer = await call(left)
    } catch (reason) {
      if (signal && signal.aborted) throw new BaasError('ABORTED', 'The call was aborted.')
      if (reason instanceof BaasError) return reason
      const message = reason && (reason as any).message
      return new BaasError('NETWORK', String(message || (reason as any)?.errMsg || reason))
    }
    if (answer.status >= 200 && answer.status < 300) return answer
    return errorOf(answer.status, answer.body, answer.headers['retry-after'])
  }

  private maySayItAgain(fault: BaasError, safety: Safety, headers: Record<string, string>): boolean {
    if (UNTOUCHED.indexOf(fault.code) >= 0) return true
    const unknown = fault.code === 'NETWORK' || fault.status >= 502 || fault.code === 'BAD_ANSWER'
    if (!unknown || fault.code === 'FUNCTION_TIMEOUT' || fault.code === 'QUERY_TIMEOUT') return false
    return safety === 'read' || (safety === 'key' && 'Idempotency-Key' in headers)
  }
}

function isStale(fault: BaasError): boolean {
  return fault.code === 'TOKEN_EXPIRED' || fault.code === 'UNAUTHENTICATED'
}

/** A name cannot lead to another address. */
export function databasePath(collection: string, verb: string): string {
  return `/v1/database/${encodeURIComponent(collection)}/${verb}`
}

export function parsed(body: string): any {
  if (body === '') return null
  try {
    return JSON.parse(body)
  } catch {
    throw new BaasError('BAD_ANSWER', 'The answer is no JSON.')
  }
}

/** What the server asks for; else doubling, with half of it by chance, so that many do not come
 * back at once. Milliseconds. */
export function pauseOf(fault: BaasError | null, tried: number): number {
  if (fault !== null && fault.retryAfter !== undefined) return fault.retryAfter * 1000
  const pause = Math.min(FIRST_PAUSE * Math.pow(2, tried), LONGEST_PAUSE)
  return pause / 2 + (Math.random() * pause) / 2
}

export function sleep(ms: number, signal?: Signal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      if (signal) signal.removeEventListener('abort', aborted)
      resolve()
    }
    const timer = setTimeout(done, ms)
    const aborted = () => {
      clearTimeout(timer)
      reject(new BaasError('ABORTED', 'The call was aborted.'))
    }
    if (signal) signal.addEventListener('abort', aborted)
  })
}

declare function setTimeout(call: () => void, ms: number): any
declare function clearTimeout(timer: any): void
