/** `node in-mini.js PLACE URL SCENARIO BUNDLE [poll]`; PLACE: wechat, alipay, alipay-old, alipay-silent */

import { readFileSync } from 'node:fs'
import { createMy } from '../fakes/my.js'
import { createPlace, load } from '../fakes/place.js'
import { createWx } from '../fakes/wx.js'

const [name, url, scenario, bundle, transport = 'socket'] = process.argv.slice(2)
const fake =
  name === 'wechat' ? createWx() : createMy({ old: name === 'alipay-old', silent: name === 'alipay-silent' })
const inside = load(createPlace('wx' in fake ? { wx: fake.wx } : { my: fake.my }), bundle)
const hooks = {
  file: (text: string) => fake.files.make(text, '.png'),
  read: (found: any) => String(fake.files.read(found.tempFilePath)),
  cut: () => fake.cut(),
}
console.log(`${await inside.scenario(url, readFileSync(scenario, 'utf8'), hooks, transport)} steps`)
fake.close()
