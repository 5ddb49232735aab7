/** `node in-cases.js wechat|alipay URL BUNDLE`: inside/cases.ts, side by side, one phone each. */

import { Flaky } from '../fakes/flaky.js'
import { createMy } from '../fakes/my.js'
import { createPlace, load } from '../fakes/place.js'
import { createWx } from '../fakes/wx.js'

const [place, url, bundle] = process.argv.slice(2)

async function said(name: string): Promise<string> {
  const flaky = await Flaky.before(url)
  const fake = place === 'wechat' ? createWx() : createMy({ silent: name.startsWith('a status alone') })
  const inside = load(createPlace('wx' in fake ? { wx: fake.wx } : { my: fake.my }), bundle)
  const tools = {
    url: flaky.url,
    file: (text: string) => fake.files.make(text, '.png'),
    flaky,
    hide: () => fake.hide(),
    show: () => fake.show(),
    takeSockets: () => takeSockets(fake, flaky),
  }
  try {
    return await inside.run(name, place, tools)
  } finally {
    fake.close()
    flaky.close()
  }
}

/** WeChat gives five. Elsewhere a proxy on the way lets none through. */
function takeSockets(fake: any, flaky: Flaky): () => void {
  if (fake.wx === undefined) {
    flaky.noSockets = true
    return () => undefined
  }
  const tasks = Array.from({ length: 5 }, () => fake.wx.connectSocket({ url: `${url.replace('http', 'ws')}/v1/realtime` }))
  return () => tasks.forEach((task) => task.close())
}

const { names } = load(createPlace({}), bundle)
const found = await Promise.all(Array.from(names as string[], async (name) => [name, await said(name)]))
console.log(JSON.stringify(Object.fromEntries(found)))
process.exit(0)
