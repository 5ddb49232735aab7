/** A function's call by hand: with the server's rights, or as a user. */

import { BaasError, called, words as faultWords } from './api'

export const words = (fault: unknown): string =>
  fault instanceof BaasError ? `${fault.code}: ${faultWords(fault)}` : String((fault as Error).message)

export const call = (name: string, event: unknown, uid: string): Promise<unknown> =>
  called(`/v1/functions/${encodeURIComponent(name)}`, event, uid || null)
