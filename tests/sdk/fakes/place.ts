/**
 * The inside of a mini-program: the language of 2019 and what the platform gives, nothing of Node's
 * or a browser's. What the SDK uses and no phone has, is missing here too.
 */

import { readFileSync } from 'node:fs'
import vm from 'node:vm'

/** Younger than ES2019, or no part of the language. */
const TAKEN = [
  ['globalThis', 'BigInt', 'WeakRef', 'FinalizationRegistry', 'AggregateError', 'WebAssembly', 'Intl'],
  ['SharedArrayBuffer', 'Atomics', 'structuredClone', 'fetch', 'WebSocket', 'URL', 'URLSearchParams'],
  ['AbortController', 'AbortSignal', 'TextEncoder', 'TextDecoder', 'Blob', 'File', 'FormData', 'Buffer'],
  ['crypto', 'performance', 'queueMicrotask', 'localStorage', 'XMLHttpRequest', 'document', 'window'],
].flat()

const TAKE_AWAY = `
  delete Object.hasOwn; delete Object.groupBy
  delete Promise.any; delete Promise.allSettled; delete Promise.withResolvers
  for (const name of ['at', 'findLast', 'findLastIndex', 'toSorted', 'toSpliced', 'toReversed', 'with'])
    delete Array.prototype[name]
  for (const name of ['at', 'replaceAll', 'matchAll', 'isWellFormed', 'toWellFormed'])
    delete String.prototype[name]
  // Code from text does not run in a mini-program.
  Function.prototype.constructor = function () { throw new Error('no code from text') }
`

export type Globals = Record<string, unknown>

export function createPlace(globals: Globals): vm.Context {
  const timers = { setTimeout, clearTimeout, setInterval, clearInterval }
  const context = vm.createContext(
    { console, ...timers, ...globals },
    { codeGeneration: { strings: false, wasm: false } },
  )
  vm.runInContext(TAKE_AWAY + TAKEN.map((name) => `delete this.${name}`).join('\n'), context)
  const left = vm.runInContext(`${JSON.stringify(TAKEN)}.filter(name => name in this)`, context)
  if (left.length > 0) throw new Error(`still there: ${left}`)
  return context
}

/** Runs a bundle; what it exports is under `inside`. */
export function load(context: vm.Context, bundle: string): any {
  vm.runInContext(readFileSync(bundle, 'utf8'), context, { filename: bundle })
  return vm.runInContext('inside', context)
}
