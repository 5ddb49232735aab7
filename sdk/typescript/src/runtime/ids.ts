/** Ids and keys made by the client. */

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

declare const crypto: { getRandomValues?(bytes: Uint8Array): Uint8Array } | undefined

/** `length` digits of base 62. Unguessable where the platform has `crypto`; unique anyway. */
export function random(length: number): string {
  const bytes = new Uint8Array(length)
  if (typeof crypto !== 'undefined' && crypto.getRandomValues) {
    crypto.getRandomValues(bytes)
  } else {
    for (let i = 0; i < length; i++) bytes[i] = Math.floor(Math.random() * 256)
  }
  let text = ''
  // 256 is no multiple of 62: the first digits come a little more often, which ids can bear.
  for (let i = 0; i < length; i++) text += DIGITS[bytes[i] % 62]
  return text
}

/** A document's `_id`: 20 characters, ordered by time (8 of milliseconds, 12 random). */
export function newId(now: number = Date.now()): string {
  let time = ''
  for (let i = 0; i < 8; i++) {
    time = DIGITS[now % 62] + time
    now = Math.floor(now / 62)
  }
  return time + random(12)
}
