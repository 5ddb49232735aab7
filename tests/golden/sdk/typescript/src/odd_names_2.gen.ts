// Made by `baas sdk generate` from the rules and functions of Odd-Names_2. What is changed here is lost.

import type { AppShape, Geometry, Stored } from './runtime/index.js'

export type { Geometry }

export type Tree = {
  name: string
  children?: Tree[]
}

/** Has a name that the runtime has too. */
export type Collection2 = {
  from?: string
}

export type PageTree = Tree | PageTree[]

export type Functions = {
  /** A reserved word. */
  import: { event: Tree; result: Collection2[] }
  inline: { event: {
    when: Date
  }; result: string | null }
}

export type Channels = `room:${string}` | `lobby`

/** What callers who are not signed in may use. */
export interface Nobody extends AppShape {
  collections: {
    class: {
      document: never
      create: never
      update: never
    }
    deep: {
      document: Stored & {
        address: {
          city: string
          place?: Geometry
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      create: never
      update: never
    }
    "any-thing": {
      document: any
      create: any
      update: any
    }
  }
  functions: Functions
  channels: Channels
}

/** What callers who are signed in may use. */
export interface User extends AppShape {
  collections: {
    class: {
      document: Stored & {
        /** A word that Python keeps. */
        class: string
        /** 有中文名的字段 */
        "标题": string
        "2fa": boolean
        __init__: number
        "with-dash"?: string | null
        "with space": number
        ""?: string
        $dollar?: null
      }
      create: { _id?: string } & {
        /** A word that Python keeps. */
        class: string
        /** 有中文名的字段 */
        "标题": string
        __init__: number
        "with-dash"?: string | null
        "with space"?: number
        ""?: string
        $dollar?: null
      }
      update: {
        /** A word that Python keeps. */
        class: string
        /** 有中文名的字段 */
        "标题": string
        __init__: number
        "with-dash"?: string | null
        "with space"?: number
        ""?: string
        $dollar?: null
      }
    }
    deep: {
      document: Stored & {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      create: { _id?: string } & {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      update: {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
    }
    "any-thing": {
      document: any
      create: any
      update: any
    }
  }
  functions: Functions
  channels: Channels
}

/** What callers with the role 'content-editor' may use. */
export interface ContentEditor extends AppShape {
  collections: {
    class: {
      document: Stored & {
        /** A word that Python keeps. */
        class: string
        /** 有中文名的字段 */
        "标题": string
        "2fa": boolean
        __init__: number
        "with-dash"?: string | null
        "with space": number
        ""?: string
        $dollar?: null
      }
      create: never
      update: {
        /** A word that Python keeps. */
        class: string
        /** 有中文名的字段 */
        "标题": string
        "2fa": boolean
        __init__: number
        "with-dash"?: string | null
        "with space"?: number
        ""?: string
        $dollar?: null
      }
    }
    deep: {
      document: Stored & {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      create: { _id?: string } & {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      update: {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
    }
    "any-thing": {
      document: any
      create: any
      update: any
    }
  }
  functions: Functions
  channels: Channels
}

/** What callers with the role '审核员' may use. */
export interface 审核员 extends AppShape {
  collections: {
    class: {
      document: Stored & {
        /** A word that Python keeps. */
        class: string
        /** 有中文名的字段 */
        "标题"?: string
        "2fa": boolean
        __init__: number
        "with-dash"?: string | null
        "with space": number
        ""?: string
        $dollar?: null
      }
      create: never
      update: never
    }
    deep: {
      document: Stored & {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      create: { _id?: string } & {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      update: {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
    }
    "any-thing": {
      document: any
      create: any
      update: any
    }
  }
  functions: Functions
  channels: Channels
}

/** What callers with the role 'App' may use. */
export interface App2 extends AppShape {
  collections: {
    class: {
      document: never
      create: never
      update: never
    }
    deep: {
      document: Stored & {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      create: { _id?: string } & {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      update: {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
    }
    "any-thing": {
      document: any
      create: any
      update: any
    }
  }
  functions: Functions
  channels: Channels
}

/** What callers with the role 'AsyncUser' may use. */
export interface AsyncUser extends AppShape {
  collections: {
    class: {
      document: Stored & {
        /** A word that Python keeps. */
        class: string
        /** 有中文名的字段 */
        "标题": string
        "2fa": boolean
        __init__: number
        "with-dash"?: string | null
        "with space": number
        ""?: string
        $dollar?: null
      }
      create: { _id?: string } & {
        /** A word that Python keeps. */
        class: string
        /** 有中文名的字段 */
        "标题": string
        __init__: number
        "with-dash"?: string | null
        "with space"?: number
        ""?: string
        $dollar?: null
      }
      update: {
        /** A word that Python keeps. */
        class: string
        /** 有中文名的字段 */
        "标题": string
        __init__: number
        "with-dash"?: string | null
        "with space"?: number
        ""?: string
        $dollar?: null
      }
    }
    deep: {
      document: Stored & {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      create: { _id?: string } & {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
      update: {
        address: {
          city: string
          place?: Geometry
          owner?: {
            name?: string
            since?: Date
          }
        }
        lines: {
          sku: string
          count?: number
        }[]
        kind?: "a" | "b" | 3 | true | null
        either?: string | number | Date[]
        counts?: {
          [name: string]: number
        }
        more?: {
          known?: string
          [name: string]: any
        }
        matrix?: number[][]
        anything?: any
        nothing?: Record<string, never>
      }
    }
    "any-thing": {
      document: any
      create: any
      update: any
    }
  }
  functions: Functions
  channels: Channels
}

export type App = User
