/** The gateway, by the TypeScript SDK's own parts, with the admin session's token. */

import { Auth } from '@sdk/auth.js'
import { Query } from '@sdk/database.js'
import { BaasError } from '@sdk/errors.js'
import { Http } from '@sdk/http.js'
import { memoryStorage } from '@sdk/platform.js'
import { web } from '@sdk/platforms/web.js'
import { Realtime } from '@sdk/realtime.js'
import { Storage } from '@sdk/storage.js'
import { forget, keepAlive, session, tokens, type Session } from './session'

export { BaasError }

const TIMEOUT = 30_000
const RETRIES = 2

/** Where the gateway is: beside the panel, whatever prefix a proxy has put before both. */
const BASE = location.href.split('#')[0].replace(/\/admin\/.*$/, '')

const http = new Http({ ...web(), storage: memoryStorage() }, BASE, TIMEOUT, RETRIES)
// The SDK's own account is not used: whoever is at the panel is no user of the app.
class AdminAuth extends Auth {
  override token(): Promise<string | null> {
    return tokens.token()
  }
  override renew(refused: string): Promise<string | null> {
    return tokens.renew(refused)
  }
}
const realtime = new Realtime(http, new AdminAuth(http, 'admin'), 'socket')

/** A query of the SDK from a filter that is one already. */
export function watched(
  collection: string,
  asked: { filter?: object; sort?: Array<[string, 1 | -1]>; limit?: number },
): Query<any, any> {
  return new Query(http, realtime, collection, asked)
}
export const storage = new Storage(http)
export const base = BASE

/** A fault as the panel shows it. An ended session leads to the sign-in page. */
async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (fault) {
    if (fault instanceof BaasError && fault.status === 401 && session.value !== null) {
      if (fault.code !== 'INVALID_CREDENTIALS') forget()
    }
    throw fault
  }
}

export const api = {
  get: <T = any>(path: string): Promise<T> => told(http.get(`/v1/admin/${path}`)),
  /** A POST that changes nothing, so that it may be repeated. */
  ask: <T = any>(path: string, body: object = {}, timeout?: number): Promise<T> =>
    told(http.post(`/v1/admin/${path}`, body, 'read', { timeout })),
  /** A POST that changes something: said once. */
  post: <T = any>(path: string, body: object = {}): Promise<T> =>
    told(http.post(`/v1/admin/${path}`, body, 'once')),
  /** A database verb in wire values, dates as `{$date}`. */
  verb: <T = any>(collection: string, verb: string, body: object, writes = false): Promise<T> =>
    told(http.post(`/v1/database/${collection}/${verb}`, body, writes ? 'once' : 'read')),
  call: <T = any>(path: string, body: object = {}, writes = false): Promise<T> =>
    told(http.post(path, body, writes ? 'once' : 'read')),
  raw: <T = any>(path: string): Promise<T> => told(http.get(path)),
}


export async function signIn(path: 'sign-in' | 'set-up', body: object): Promise<Session> {
  return http.post(`/v1/admin/auth/${path}`, body, 'once', { retries: 0 })
}

keepAlive(async () => (await api.post<{ expires: { $date: string } }>('auth/renew')).expires)

/** One line for a fault, with the fields that it names. */
export function words(fault: unknown): string {
  if (!(fault instanceof BaasError)) return String((fault as Error)?.message ?? fault)
  const fields = fault.errors.map((one) => (one.path ? `${one.path}: ${one.message}` : one.message))
  return fields.length ? fields.join('; ') : fault.message.slice(fault.code.length + 2)
}

/** A document with its entity tag, which names this very state of it. */
export async function tagged(collection: string, id: string): Promise<{ document: any; etag: string }> {
  const headers: Record<string, string> = {}
  const url = `${BASE}/v1/database/${encodeURIComponent(collection)}/documents/${encodeURIComponent(id)}`
  const answer = await told(
    http.attempt({}, 'read', headers, (timeout) => http.platform.request({ method: 'GET', url, headers, timeout })),
  )
  return { document: JSON.parse(answer.body), etag: answer.headers.etag }
}

/** A POST in the name of a user, where `uid` is given. */
export async function called(path: string, body: unknown, uid: string | null): Promise<any> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' }
  if (uid !== null) headers['X-Baas-As'] = uid
  const answer = await told(
    http.attempt({ retries: 0, timeout: 120_000 }, 'once', headers, (timeout) =>
      http.platform.request({
        method: 'POST',
        url: `${BASE}${path}`,
        headers,
        body: JSON.stringify(body),
        timeout,
      }),
    ),
  )
  return answer.body === '' ? null : JSON.parse(answer.body)
}
