// Made by `baas sdk generate`. What is changed here is lost.

import { Cloud, CloudOptions } from './runtime/index.js'
import type { AppShape } from './runtime/index.js'
import type { App } from './odd_names_2.gen.js'

export * from './runtime/index.js'
export * from './odd_names_2.gen.js'

/** The client of Odd-Names_2. For callers with a role: `createCloud<Moderator>(...)`. */
export function createCloud<A extends AppShape = App>(options: CloudOptions): Cloud<A> {
  return new Cloud<A>({ app: 'Odd-Names_2', ...options })
}
