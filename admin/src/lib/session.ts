/**
 * Who is signed in. The token is that of an admin session: it is kept for this tab, or on the
 * device where the person asked for that, and goes into the Authorization header alone.
 */

import type { TokenSource } from '@sdk/http.js'
import { computed, ref } from 'vue'

export type Role = 'owner' | 'developer' | 'viewer'

export interface Admin {
  id: string
  name: string
  role: Role
  disabled: boolean
  createTime: { $date: string }
  lastSignIn?: { $date: string } | null
}

export interface Session {
  token: string
  expires: { $date: string }
  admin: Admin
  scopes: string[]
}

const NAME = 'baas.admin.session'
const RENEW_MS = 10 * 60_000

export const session = ref<Session | null>(load())
export const signedIn = computed(() => session.value !== null)

/** Whether the person may do what `scope` is for. The server decides; this hides what would fail. */
export function may(scope: string): boolean {
  return session.value?.scopes.includes(scope) ?? false
}

export function begin(next: Session, stay: boolean): void {
  forget()
  session.value = next
  store(stay ? localStorage : sessionStorage, next)
}

/** The session is over, here at least. */
export function forget(): void {
  session.value = null
  for (const place of [sessionStorage, localStorage]) {
    try {
      place.removeItem(NAME)
    } catch {
      continue
    }
  }
}

export const tokens: TokenSource = {
  token: () => Promise.resolve(session.value?.token ?? null),
  renew: () => Promise.resolve(null),
}

/** Calls `renew` now and then while the person does something, so that the session lasts. */
export function keepAlive(renew: () => Promise<{ $date: string }>): void {
  let last = Date.now()
  const active = () => {
    if (session.value === null || Date.now() - last < RENEW_MS) return
    last = Date.now()
    renew()
      .then((expires) => {
        if (session.value) session.value.expires = expires
      })
      .catch(() => undefined)
  }
  window.addEventListener('pointerdown', active, { passive: true })
  window.addEventListener('keydown', active, { passive: true })
}

function store(place: Storage, value: Session): void {
  try {
    place.setItem(NAME, JSON.stringify(value))
  } catch {
    return
  }
}

function load(): Session | null {
  for (const place of ['sessionStorage', 'localStorage'] as const) {
    try {
      const text = window[place].getItem(NAME)
      if (text !== null) return JSON.parse(text) as Session
    } catch {
      continue
    }
  }
  return null
}
