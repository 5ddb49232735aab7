/** Runs scenario.json with the TypeScript SDK, on any platform: `run(cloud, scenario)`. */

import { BaasError, Cloud, command, Snapshot } from '../../../sdk/baas_sdkgen/runtime/ts/index.js'

type Saved = Record<string, any>

export interface Hooks {
  /** Something that can be uploaded: a path where the platform has paths. */
  file(text: string): unknown
  /** The text of what was downloaded. */
  read(found: { tempFilePath?: string; data: any }): Promise<string> | string
  /** Breaks every connection. */
  cut(): void
}

const PATIENCE = 20_000
/** They look at `expect` by themselves. */
const WAITING = ['watch', 'watched', 'heard', 'here']

export async function run(cloud: Cloud, scenario: any, hooks: Hooks): Promise<number> {
  const saved: Saved = { run: 'r' + Math.random().toString(36).slice(2, 10) }
  for (const [place, step] of scenario.steps.entries()) {
    try {
      await take(cloud, step, saved, hooks)
    } catch (fault) {
      const said = fault instanceof Error ? fault.message : String(fault)
      throw new Error(`step ${place} (${JSON.stringify(step)}): ${said}`)
    }
  }
  cloud.close()
  return scenario.steps.length
}

async function take(cloud: Cloud, raw: any, saved: Saved, hooks: Hooks): Promise<void> {
  const step = filled(raw, saved)
  let answer: any
  try {
    answer = await CALLS[step.do](cloud, step, saved, hooks)
  } catch (fault) {
    if (step.fails === undefined || !(fault instanceof BaasError)) throw fault
    if (fault.code !== step.fails) throw new Error(`${fault.message}, not ${step.fails}`)
    return
  }
  if (step.fails !== undefined) throw new Error(`it did not fail: ${JSON.stringify(answer)}`)
  if (step.save) saved[step.save] = answer
  if (step.expect !== undefined && !WAITING.includes(step.do)) {
    check(answer, step.expect, 'answer')
  }
  if (step.exactly !== undefined) same(answer, step.exactly)
  if (step.counts !== undefined) same(answer.length, step.counts)
  for (const name of step.lacks || []) if (name in answer) throw new Error(`${name} is there`)
}

const CALLS: Record<string, (cloud: Cloud, step: any, saved: Saved, hooks: Hooks) => any> = {
  signUp: (cloud, step) => cloud.auth().signUp(step.with),
  signInWithPassword: (cloud, step) => cloud.auth().signInWithPassword(step.with),
  signInAnonymously: (cloud) => cloud.auth().signInAnonymously(),
  signOut: (cloud) => cloud.auth().signOut(),
  me: (cloud) => cloud.auth().me(),
  updateProfile: (cloud, step) => cloud.auth().updateProfile(step.with),
  sessions: (cloud) => cloud.auth().sessions(),
  link: (cloud, step) => cloud.auth().link(step.with),
  deleteAccount: (cloud) => cloud.auth().deleteAccount(),

  add: (cloud, step) => collection(cloud, step).add(value(step.data)),
  get: async (cloud, step) => (await collection(cloud, step).doc(step.id).get()).data,
  find: async (cloud, step) => (await query(cloud, step).get()).data,
  count: (cloud, step) => query(cloud, step).count(),
  all: async (cloud, step) => {
    const found = []
    for await (const one of query(cloud, step).all()) found.push(one)
    return found
  },
  update: (cloud, step) => collection(cloud, step).doc(step.id).update(value(step.data)),
  updateMany: (cloud, step) => query(cloud, step).update(value(step.data)),
  set: (cloud, step) => collection(cloud, step).doc(step.id).set(value(step.data)),
  remove: (cloud, step) => collection(cloud, step).doc(step.id).remove(),
  removeMany: (cloud, step) => query(cloud, step).remove(),
  aggregate: async (cloud, step) => {
    let stages = collection(cloud, step).aggregate()
    for (const stage of step.pipeline) stages = stages.stage(stage)
    return (await stages.end()).list
  },
  /** Reads, and writes what it read with an end to it; a first try meets a write between. */
  transfer: async (cloud, step) => {
    let tries = 0
    await cloud.database().runTransaction(async (transaction) => {
      const document = transaction.collection(step.in).doc(step.id)
      const { data } = await document.get()
      if (++tries === 1) await collection(cloud, step).doc(step.id).update({ title: 'between' })
      await document.update({ [step.member]: data[step.member] + step.suffix })
    })
    same(tries, 2)
  },

  callFunction: async (cloud, step) => {
    return (await cloud.callFunction({ name: step.name, data: step.data })).result
  },
  upload: (cloud, { cloudPath, contentType, text }, _, hooks) =>
    cloud.uploadFile({ cloudPath, contentType, file: hooks.file(text) }),
  download: async (cloud, step, _, hooks) => {
    return hooks.read(await cloud.downloadFile({ fileID: step.fileID }))
  },
  getTempFileURL: async (cloud, step) => (await cloud.getTempFileURL(step)).fileList,
  deleteFile: async (cloud, step) => (await cloud.deleteFile(step)).fileList,

  watch: (cloud, step) =>
    new Promise((resolve, reject) => {
      const live: any = { docs: [], log: [] }
      live.watcher = query(cloud, step).watch({
        onChange: (snapshot: Snapshot<any>) => {
          follow(live, snapshot)
          if (snapshot.id === 0) settle(() => check(live.docs, step.expect, 'result'), live, resolve, reject)
        },
        onError: reject,
      })
    }),
  watched: (_cloud, step, saved) => eventually(() => check(saved[step.of].docs, step.expect, 'result')),
  unwatch: (_cloud, step, saved) => saved[step.of].watcher.close(),

  join: async (cloud, step) => {
    const room: any = { channel: cloud.channel(step.channel), heard: [], here: [] }
    await room.channel.join({
      onMessage: (message: any) => room.heard.push(message),
      onPresence: (entries: any) => void (room.here = entries),
      presence: step.presence,
    })
    return room
  },
  publish: (_cloud, step, saved) => saved[step.of].channel.publish(step.event, value(step.data)),
  heard: (_cloud, step, saved) => eventually(() => check(saved[step.of].heard, step.expect, 'heard')),
  setPresence: (_cloud, step, saved) => saved[step.of].channel.setPresence(step.state),
  here: (_cloud, step, saved) => eventually(() => check(saved[step.of].here, step.expect, 'here')),
  leave: (_cloud, step, saved) => saved[step.of].channel.leave(),
  cut: (_cloud, _step, _saved, hooks) => hooks.cut(),
}

/** What a watcher was told, applied change by change: it must come to what it was told whole. */
function follow(live: any, snapshot: Snapshot<any>): void {
  if (snapshot.type === 'init') {
    live.known = new Map(snapshot.docs.map((doc) => [doc._id, doc]))
  }
  for (const change of snapshot.docChanges) {
    const there = live.known.has(change.docId)
    if (change.queueType === 'enqueue' && there) throw new Error(`${change.docId} came twice`)
    if (change.queueType === 'dequeue') {
      if (!there) throw new Error(`${change.docId} left twice`)
      live.known.delete(change.docId)
    } else {
      live.known.set(change.docId, change.doc)
    }
  }
  live.docs = snapshot.docs
  same([...live.known.keys()].sort(), snapshot.docs.map((doc) => doc._id).sort())
}

function settle(test: () => void, value: any, resolve: (value: any) => void, reject: (fault: unknown) => void) {
  try {
    test()
    resolve(value)
  } catch (fault) {
    reject(fault)
  }
}

async function eventually(test: () => void): Promise<void> {
  const until = Date.now() + PATIENCE
  for (;;) {
    try {
      return test()
    } catch (fault) {
      if (Date.now() > until) throw fault
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

function collection(cloud: Cloud, step: any): any {
  return cloud.database().collection(step.in)
}

function query(cloud: Cloud, step: any): any {
  let found: any = collection(cloud, step)
  if (step.where) found = found.where(value(step.where))
  for (const [field, direction] of step.orderBy || []) found = found.orderBy(field, direction)
  if (step.skip) found = found.skip(step.skip)
  if (step.limit) found = found.limit(step.limit)
  if (step.field) found = found.field(step.field)
  return found
}

/** `{"_": "gt", "value": 1}` is `_.gt(1)`; `{"date": "..."}` a Date. */
function value(raw: any): any {
  if (Array.isArray(raw)) return raw.map(value)
  if (raw === null || typeof raw !== 'object') return raw
  if (typeof raw.date === 'string') return new Date(raw.date)
  const made: any = {}
  for (const name of Object.keys(raw)) made[name] = value(raw[name])
  if (typeof raw._ !== 'string') return made
  const call = (command as any)[raw._]
  if (raw.of) return call(made.of)
  if (raw.options) return call(made.value, made.options)
  return 'value' in raw ? call(made.value) : call()
}

function filled(raw: any, saved: Saved): any {
  if (typeof raw === 'string') {
    return raw.replace(/\$(\w+)(?:\.(\w+))?/g, (whole, name, member) => {
      if (!(name in saved)) return whole
      return member === undefined ? saved[name] : saved[name][member]
    })
  }
  if (Array.isArray(raw)) return raw.map((one) => filled(one, saved))
  if (raw === null || typeof raw !== 'object') return raw
  const made: any = {}
  for (const name of Object.keys(raw)) made[name] = filled(raw[name], saved)
  return made
}

/** Whether `found` has all that `wanted` says; lists must be as long. */
function check(found: any, wanted: any, path: string): void {
  if (wanted === null || typeof wanted !== 'object') return same(found, wanted, path)
  if (typeof wanted.date === 'string') return same(found.toISOString(), wanted.date, path)
  if (Array.isArray(wanted)) same(found.length, wanted.length, `${path}.length`)
  for (const name of Object.keys(wanted)) check(found[name], wanted[name], `${path}.${name}`)
}

function same(found: any, wanted: any, path = 'answer'): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (left !== right) throw new Error(`${path} is ${left}, not ${right}`)
}
