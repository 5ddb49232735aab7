// Made by `baas sdk generate`. What is changed here is lost.

import { Cloud, CloudOptions } from './runtime/index.js'
import type { AppShape } from './runtime/index.js'
import type { App } from './board.gen.js'

export * from './runtime/index.js'
export * from './board.gen.js'

/** The client of board. For callers with a role: `createCloud<Moderator>(...)`. */
export function createCloud<A extends AppShape = App>(options: CloudOptions): Cloud<A> {
  return new Cloud<A>({ app: 'board', ...options })
}
