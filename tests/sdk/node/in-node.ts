/** `node in-node.js URL SCENARIO [socket|poll [SESSION]]`; a session as the SDK keeps it. */

import { readFileSync } from 'node:fs'
import WebSocket from 'ws'
import { createCloud } from '../../../sdk/baas_sdkgen/runtime/ts/index.js'
import { node } from '../../../sdk/baas_sdkgen/runtime/ts/platforms/node.js'
import { run } from './runner.js'

const [url, scenario, transport, session = ''] = process.argv.slice(2)
let kept: string | null = session || null
const sockets: WebSocket[] = []

class Cuttable extends WebSocket {
  constructor(address: string) {
    super(address)
    sockets.push(this)
  }
}

const cloud = createCloud({
  url,
  platform: node({
    WebSocket: Cuttable,
    storage: { get: () => kept, set: (_, text) => void (kept = text), remove: () => void (kept = null) },
  }),
  transport: transport === 'poll' ? 'poll' : 'socket',
})
const steps = await run(cloud, JSON.parse(readFileSync(scenario, 'utf8')), {
  file: (text) => new TextEncoder().encode(text),
  read: (found) => new TextDecoder().decode(found.data),
  cut: () => sockets.forEach((socket) => socket.terminate()),
})
console.log(`${steps} steps`)
