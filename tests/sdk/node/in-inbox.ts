/** `node in-inbox.js URL socket|poll`: an inbox gives each message once, and what is not acknowledged again. */

import { strict as assert } from 'node:assert'
import WebSocket from 'ws'
import { createCloud, memoryStorage } from '../../../sdk/baas_sdkgen/runtime/ts/index.js'
import { node } from '../../../sdk/baas_sdkgen/runtime/ts/platforms/node.js'
import { Flaky } from '../fakes/flaky.js'

const [url, transport] = process.argv.slice(2)
const flaky = await Flaky.before(url)
const storage = memoryStorage()

function client() {
  const platform = node({ WebSocket, storage })
  return createCloud({ url: flaky.url, app: 'inbox', platform, transport: transport as 'socket' | 'poll' })
}

async function until(test: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000
  while (!(await test())) {
    assert.ok(Date.now() < end, 'it did not come to that')
    await new Promise((go) => setTimeout(go, 20))
  }
}

const cloud = client()
await cloud.auth().signInAnonymously()
const tell = (n: number) => cloud.callFunction({ name: 'tell', data: { n } })

await tell(0)
const heard: number[] = []
const inbox = cloud.inbox({
  // The later is done with sooner, which must not acknowledge the earlier.
  onMessage: async ({ data }) => {
    await new Promise((go) => setTimeout(go, data === 0 ? 200 : 0))
    heard.push(data)
  },
})
await tell(1)
await tell(2)
await until(() => heard.length === 3)
flaky.cut()
await tell(3)
await until(() => heard.length === 4)
assert.deepEqual(heard, [0, 1, 2, 3])
/** Messages from here on are sent to see whether something comes before them. */
const MARK = 100
let marks = MARK

// What has been acknowledged does not come again, to another client of this user. This one is not
// to take what the others wait for.
inbox.close()
await until(async () => {
  const probe = client()
  const first = await new Promise<number>((resolve) => {
    probe.inbox({ onMessage: ({ data }) => (resolve(data), new Promise(() => undefined)) })
    void tell(marks++)
  })
  probe.close()
  return first >= MARK
})
cloud.close()

await tell(4)
const second = client()
const again: number[] = []
second.inbox({
  onMessage: ({ data }) => {
    if (data >= MARK) return undefined
    again.push(data)
    return new Promise(() => undefined) // never done with
  },
})
await until(() => again.length === 1)
await tell(5)
second.close()
const third = client()
const last: number[] = []
third.inbox({ onMessage: ({ data }) => void (data < MARK && last.push(data)) })
await until(() => last.length === 2)
assert.deepEqual([again, last], [[4], [4, 5]])
third.close()
console.log('ok')
process.exit(0)
