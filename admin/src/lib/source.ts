/** Files of a version of functions: base64 on the wire, text where it is text. */

import { api } from './api'

export interface Source {
  version: string
  files: Record<string, string>
  config: object
}

export const sourceOf = (version?: string): Promise<Source> =>
  api.ask<Source>('functions/source', version ? { version } : {})

/** Null for what is no UTF-8. */
export function textOf(base64: string | undefined): string | null {
  if (base64 === undefined) return ''
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}

export function base64Of(text: string): string {
  let binary = ''
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte)
  return btoa(binary)
}
