/** `node in-board.js URL FOLDER`: the sample mini-program on two phones, by its own pages. */

import { strict as assert } from 'node:assert'
import { MiniProgram } from '../fakes/app.js'

const [url, folder] = process.argv.slice(2)
const ann = new MiniProgram(folder, { url }, 'ann-code')
const bob = new MiniProgram(folder, { url }, 'bob-code')
const PATIENCE = 15_000

async function until(what: string, test: () => unknown): Promise<void> {
  const end = Date.now() + PATIENCE
  while (!test()) {
    assert.ok(Date.now() < end, `it did not come to: ${what}; ${JSON.stringify([ann.toasts, bob.toasts])}`)
    await new Promise((go) => setTimeout(go, 20))
  }
}

const titles = (program: MiniProgram) => program.page.find('title').map((one) => one.text)

ann.start()
bob.start()
await until('both see an empty list', () => [ann, bob].every((one) => one.page.find('empty')[0]?.text === '还没有帖子，来写第一篇吧！'))
await until('both are here', () => bob.page.find('here')[0]?.text === '2 人在线')

// A name, which the others see.
ann.page.tap('me')
await until('signed in by WeChat', () => ann.page.find('soft').some((one) => one.text === '已通过微信登录'))
ann.page.type('field', 'Ann')
await ann.page.tap('save')
await until('named', () => ann.page.find('name')[0].text === 'Ann')
ann.back()

// A post needs both, and shows when its pictures are there.
ann.page.tap('write')
ann.page.tap('send')
assert.deepEqual(ann.toasts.slice(-1), ['标题和正文都要填写。'])
ann.page.type('field', '花园')
ann.page.type('area', 'Two pictures <b>from</b> the garden')
ann.picked = [ann.fake.files.make('one', '.png'), ann.fake.files.make('two', '.png')]
ann.page.tap('add')
await until('picked', () => ann.page.find('thumb').length === 3)
const posting = ann.page.tap('send')
await posting
assert.equal(ann.page.path, 'pages/list/list')
await until('the other phone shows it', () => titles(bob)[0] === '花园')
await until('with its author', () => bob.page.find('name')[0].text === 'Ann')
assert.equal(bob.page.find('picture').length, 2)
assert.match(String(bob.page.find('picture')[0].attributes.src), /\?w=480/)
assert.equal(bob.page.find('remove').length, 0)

// Likes are counted on the server.
await bob.page.tap('like')
await until('liked', () => bob.page.find('like')[0].text === '♥ 1')
await until('seen by its author', () => ann.page.find('like')[0].text === '♡ 1')
await bob.page.tap('like')
await until('taken back', () => bob.page.find('like')[0].text === '♡')

// Talk.
bob.page.tap('post')
ann.page.tap('post')
await until('both read', () => ann.page.find('reading')[0]?.text === '2 人在看')
bob.page.type('field', 'so')
await until('typing', () => /正在输入/.test(ann.page.find('typing')[0]?.text))
bob.page.type('field', '真好看')
await bob.page.tap('send')
await until('said', () => ann.page.find('comment')[0]?.text.includes('真好看'))
assert.equal(ann.page.find('remove').length, 0)
await bob.page.tap('remove')
await until('taken back', () => ann.page.find('comment').length === 0)

// Through a tunnel: sockets break, and both go on.
ann.fake.hide()
bob.page.type('field', 'again')
await bob.page.tap('send')
ann.fake.show()
await until('what was missed', () => ann.page.find('comment')[0]?.text.includes('again'))

// Search, and the end of the post.
ann.back()
bob.back()
bob.page.type('search', 'GARDEN', 'bindconfirm')
await until('found', () => titles(bob).join() === '花园')
bob.page.type('search', 'nowhere', 'bindconfirm')
await until('not found', () => titles(bob).length === 0)
bob.page.type('search', '', 'bindconfirm')
await until('all again', () => titles(bob).length === 1)
ann.page.tap('me')
await until('numbers', () => ann.page.find('numbers')[0].text === '1 篇帖子 0 个赞')
ann.back()
ann.page.tap('remove')
await until('gone', () => titles(bob).length === 0)
ann.close()
bob.close()
assert.deepEqual(bob.toasts, [])
console.log('ok')
process.exit(0)
