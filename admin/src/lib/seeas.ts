/** What the rules let somebody else see and do, document by document. */

export interface Sight {
  read: boolean
  update: boolean
  delete: boolean
  /** Masked paths that this caller may not read. */
  hidden: string[]
}

export interface SeenAs {
  /** The read rule as a whole for this caller: `true`, `false` or `depends`. */
  verdict: string
  rule: string | null
  place: string
  reduced: string
  clauses: Array<{ text: string; verdict: string; rest: string }>
  documents: Record<string, Sight>
}
