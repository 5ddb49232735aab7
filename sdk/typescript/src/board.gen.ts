// Made by `baas sdk generate` from the rules and functions of board. What is changed here is lost.

import type { AppShape, Geometry, Stored } from './runtime/index.js'

export type { Geometry }

/** What `decide` takes. */
export type Decision = {
  report: string
  state: "accepted" | "rejected"
}

/** What `my_numbers` answers. */
export type Numbers = {
  posts: number
  likes: number
}

export type Functions = {
  /** A moderator's decision: the report is settled, and the post hidden or shown, together. */
  decide: { event: Decision; result: any }
  /** How many posts the caller has written, and how many likes they got. */
  my_numbers: { event: any; result: Numbers }
}

export type Channels = `post:${string}` | `lobby` | `moderation`

/** What callers who are not signed in may use. */
export interface Nobody extends AppShape {
  collections: {
    comments: {
      document: Stored & {
        post: string
        text: string
      }
      create: never
      update: never
    }
    drafts: {
      document: never
      create: never
      update: never
    }
    likes: {
      document: Stored & {
        post: string
      }
      create: never
      update: never
    }
    notices: {
      document: any
      create: never
      update: never
    }
    posts: {
      document: Stored & {
        title: string
        text: string
        tags: string[]
        pictures?: string[]
        published: boolean
        hidden: boolean
        slug?: string
        likes?: number
      }
      create: never
      update: never
    }
    profiles: {
      document: never
      create: never
      update: never
    }
    reports: {
      document: never
      create: never
      update: never
    }
  }
  functions: Functions
  channels: Channels
}

/** What callers who are signed in may use. */
export interface User extends AppShape {
  collections: {
    comments: {
      document: Stored & {
        post: string
        text: string
      }
      create: { _id?: string } & {
        post: string
        text: string
      }
      update: never
    }
    drafts: {
      document: Stored & {
        title: string
        text: string
        expires?: Date
        [name: string]: any
      }
      create: { _id?: string } & {
        title?: string
        text?: string
        expires?: Date
        [name: string]: any
      }
      update: {
        title?: string
        text?: string
        expires?: Date
        [name: string]: any
      }
    }
    likes: {
      document: Stored & {
        post: string
      }
      create: { _id?: string } & {
        post: string
      }
      update: never
    }
    notices: {
      document: any
      create: never
      update: never
    }
    posts: {
      document: Stored & {
        title: string
        text: string
        tags: string[]
        pictures?: string[]
        published: boolean
        hidden: boolean
        slug?: string
        likes?: number
      }
      create: { _id?: string } & {
        title: string
        text: string
        tags?: string[]
        pictures?: string[]
        published?: boolean
      }
      update: {
        title: string
        text: string
        tags?: string[]
        pictures?: string[]
        published?: boolean
      }
    }
    profiles: {
      document: Stored & {
        nickname: string
        bio: string
        phone?: string
        email?: string
        trusted: boolean
      }
      create: { _id?: string } & {
        nickname: string
        bio?: string
        phone?: string
        email?: string
      }
      update: {
        nickname: string
        bio?: string
        phone?: string
        email?: string
      }
    }
    reports: {
      document: never
      create: { _id?: string } & {
        post: string
        reason: "spam" | "abuse" | "other"
        text?: string
        state?: "open" | "accepted" | "rejected"
      }
      update: never
    }
  }
  functions: Functions
  channels: Channels
}

/** What callers with the role 'moderator' may use. */
export interface Moderator extends AppShape {
  collections: {
    comments: {
      document: Stored & {
        post: string
        text: string
      }
      create: { _id?: string } & {
        post: string
        text: string
      }
      update: never
    }
    drafts: {
      document: Stored & {
        title: string
        text: string
        expires?: Date
        [name: string]: any
      }
      create: { _id?: string } & {
        title?: string
        text?: string
        expires?: Date
        [name: string]: any
      }
      update: {
        title?: string
        text?: string
        expires?: Date
        [name: string]: any
      }
    }
    likes: {
      document: Stored & {
        post: string
      }
      create: { _id?: string } & {
        post: string
      }
      update: never
    }
    notices: {
      document: any
      create: never
      update: never
    }
    posts: {
      document: Stored & {
        title: string
        text: string
        tags: string[]
        pictures?: string[]
        published: boolean
        hidden: boolean
        note?: string
        slug?: string
        likes?: number
      }
      create: { _id?: string } & {
        title: string
        text: string
        tags?: string[]
        pictures?: string[]
        published?: boolean
        hidden?: boolean
        note?: string
      }
      update: {
        title: string
        text: string
        tags?: string[]
        pictures?: string[]
        published?: boolean
        hidden?: boolean
        note?: string
      }
    }
    profiles: {
      document: Stored & {
        nickname: string
        bio: string
        phone?: string
        email?: string
        trusted: boolean
      }
      create: { _id?: string } & {
        nickname: string
        bio?: string
        phone?: string
        email?: string
        trusted?: boolean
      }
      update: {
        nickname: string
        bio?: string
        phone?: string
        email?: string
        trusted?: boolean
      }
    }
    reports: {
      document: Stored & {
        post: string
        reason: "spam" | "abuse" | "other"
        text?: string
        state: "open" | "accepted" | "rejected"
      }
      create: { _id?: string } & {
        post: string
        reason: "spam" | "abuse" | "other"
        text?: string
        state?: "open" | "accepted" | "rejected"
      }
      update: {
        post: string
        reason: "spam" | "abuse" | "other"
        text?: string
        state?: "open" | "accepted" | "rejected"
      }
    }
  }
  functions: Functions
  channels: Channels
}

export type App = User
