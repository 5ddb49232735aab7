/** Short words in the corner; read out by screen readers. */

import { ref } from 'vue'
import { words } from './api'

export interface Toast {
  id: number
  text: string
  kind: 'good' | 'bad' | ''
}

export const toasts = ref<Toast[]>([])
let next = 1
const GOOD_MS = 3500
const BAD_MS = 9000

export function say(text: string, kind: Toast['kind'] = 'good'): void {
  const id = next++
  toasts.value.push({ id, text, kind })
  setTimeout(() => drop(id), kind === 'bad' ? BAD_MS : GOOD_MS)
}

export function drop(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id)
}

/** Runs `work`; a fault is said and gives undefined. */
export async function attempt<T>(work: () => Promise<T>, done?: string): Promise<T | undefined> {
  try {
    const result = await work()
    if (done) say(done)
    return result
  } catch (fault) {
    say(words(fault), 'bad')
    return undefined
  }
}
