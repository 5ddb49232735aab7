/** Bundled as a mini-program's own code is, and run inside the fake (fakes/place.ts). */

import { createCloud } from '../../../sdk/baas_sdkgen/runtime/ts/index.js'
import { uniapp } from '../../../sdk/baas_sdkgen/runtime/ts/platforms/uni.js'
import { Hooks, run } from '../node/runner.js'

export function scenario(url: string, text: string, hooks: Hooks, transport: 'socket' | 'poll') {
  return run(createCloud({ url, platform: uniapp(), transport }), JSON.parse(text), hooks)
}
