/** `node in-mini.js PLACE URL SCENARIO BUNDLE [poll]`; PLACE: wechat, alipay, alipay-old, uni, taro */

import { readFileSync } from 'node:fs'
import { createMy } from '../fakes/my.js'
import { asTaro, asUni } from '../fakes/others.js'
import { createPlace, Globals, load } from '../fakes/place.js'
import { createWx } from '../fakes/wx.js'

const [name, url, scenario, bundle, transport = 'socket'] = process.argv.slice(2)
const fake = name.startsWith('alipay') ? createMy({ old: name === 'alipay-old' }) : createWx()
const inside = load(createPlace(globals()), bundle)

function globals(): Globals {
  if ('my' in fake) return { my: fake.my }
  if (name === 'uni') return { uni: asUni(fake.wx) }
  return name === 'taro' ? { Taro: asTaro(fake.wx) } : { wx: fake.wx }
}

const hooks = {
  file: (text: string) => fake.files.make(text, '.png'),
  read: (found: any) => String(fake.files.read(found.tempFilePath)),
  cut: () => fake.cut(),
}
console.log(`${await inside.scenario(url, readFileSync(scenario, 'utf8'), hooks, transport)} steps`)
fake.close()
