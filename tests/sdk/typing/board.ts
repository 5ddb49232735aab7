/**
 * What compiles against the board's client, and what must not: the line below each
 * `@ts-expect-error` is wrong, and the compiler must say so.
 */

import { createCloud, Moderator, Nobody } from '../../../sdk/typescript/src/index.js'
import { node } from '../../../sdk/typescript/src/node.js'

const cloud = createCloud({ url: 'http://127.0.0.1', platform: node() })
const moderator = createCloud<Moderator>({ url: 'http://127.0.0.1', platform: node() })
const nobody = createCloud<Nobody>({ url: 'http://127.0.0.1', platform: node() })
const db = cloud.database()
const _ = db.command

export async function documents(): Promise<void> {
  const posts = db.collection('posts')
  const { data } = await posts.where({ published: true, likes: _.gt(1) }).orderBy('title', 'desc').get()
  const title: string = data[0].title
  const made: Date = data[0]._createTime
  await posts.add({ title, text: 'x', tags: ['a'] })
  await posts.doc('a').update({ tags: _.push(['b']), text: 'y' })
  await posts.doc('a').set({ title, text: made.toISOString() })

  // @ts-expect-error no collection has this name
  db.collection('postings')
  // @ts-expect-error no field has this name
  data[0].titel
  // @ts-expect-error nor here
  posts.where({ titel: 'x' })
  // @ts-expect-error a field of another type
  posts.where({ title: 7 })
  // @ts-expect-error a field is missing
  await posts.add({ title: 'x' })
  // @ts-expect-error the server counts the likes
  await posts.add({ title: 'x', text: 'x', likes: 7 })
  // @ts-expect-error nor can they be changed
  await posts.doc('a').update({ likes: _.inc(1) })
  // @ts-expect-error the server keeps the times
  await posts.doc('a').update({ _createTime: db.serverDate() })
  // @ts-expect-error of another type
  await posts.doc('a').update({ tags: 'a' })
  // @ts-expect-error it has two directions
  posts.orderBy('title', 'down')
}

export async function audiences(): Promise<void> {
  const mine = await db.collection('posts').doc('a').get()
  const theirs = await moderator.database().collection('posts').doc('a').get()
  const note: string | undefined = theirs.data.note
  await moderator.database().collection('posts').doc('a').update({ hidden: true, note })

  // @ts-expect-error moderators alone can read it
  mine.data.note
  // @ts-expect-error or ask for it
  db.collection('posts').where({ note: 'x' })
  // @ts-expect-error or write it
  await db.collection('posts').doc('a').update({ note: 'x' })
  // @ts-expect-error nobody can read reports but moderators
  db.collection('reports').where({ state: 'open' })
  // @ts-expect-error who is not signed in writes nothing
  await nobody.database().collection('posts').add({ title: 'x', text: 'x' })
  // @ts-expect-error comments are not changed
  await db.collection('comments').doc('a').update({ text: 'x' })
}

export async function functions(): Promise<void> {
  const { result } = await cloud.callFunction({ name: 'my_numbers' })
  const likes: number = result.likes
  await cloud.callFunction({ name: 'decide', data: { report: `${likes}`, state: 'accepted' } })

  // @ts-expect-error no function has this name
  await cloud.callFunction({ name: 'decides' })
  // @ts-expect-error an event of another type
  await cloud.callFunction({ name: 'decide', data: { report: 'r', state: 'maybe' } })
  // @ts-expect-error nothing of this name is answered
  result.dislikes
}

export async function transactions(): Promise<void> {
  await db.runTransaction(async (transaction) => {
    const draft = await transaction.collection('posts').doc('a').get()
    // @ts-expect-error it may not be there
    draft.data.title
    if (draft.data !== null) await transaction.collection('posts').doc('b').set({ title: draft.data.title, text: '' })
    // @ts-expect-error a field is missing
    await transaction.collection('posts').doc('b').set({ title: 'x' })
  })
}

export function channels(): void {
  cloud.channel('post:1').join({ onMessage: (message) => void message.event })
  // @ts-expect-error no channel is called like that
  cloud.channel('posts:1')
}
