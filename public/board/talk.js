// What is said below a post: comments (documents, kept) and who is reading and typing (a channel).
import { attempt, face, h, icon, toast } from './dom.js'
import { cloud, db, faces, me, nameOf, withName } from './people.js'
import { ago, say, why } from './words.js'

const SHOWN = 100
const TYPING_EVERY = 2000
const TYPING_LASTS = 3500

/** Opens the talk of a post: `element` to show, `close` to call when it goes. */
export function openTalk(post, onCount) {
  const list = h('ol.comments')
  const foot = h('div.reading')
  const typing = h('span.typing')
  const box = h('input', { name: 'text', maxLength: 1000, autocomplete: 'off', placeholder: say('Say something …'), ariaLabel: say('Say something …') })
  const send = h('button.button.round', { title: say('Send'), ariaLabel: say('Send') }, icon('send'))
  const form = h('form.say', box, send)
  const element = h('section.talk', list, form, h('div.row.soft', foot, typing))

  const comments = db.collection('comments').where({ post }).orderBy('_createTime', 'asc').limit(SHOWN)
  const watcher = comments.watch({
    onChange: ({ docs }) => {
      list.replaceChildren(...docs.map(line))
      onCount(docs.length)
    },
    onError: (fault) => toast(why(fault)),
  })
  const channel = cloud.channel(`post:${post}`)
  channel.join({
    presence: {},
    onPresence: (entries) => foot.replaceChildren(...faces(entries, 'reading')),
    onMessage: ({ event, from }) => event === 'typing' && from !== me().uid && isTyping(typing, from),
  }).catch(() => foot.replaceChildren())

  let told = 0
  box.oninput = () => {
    if (Date.now() - told < TYPING_EVERY) return
    told = Date.now()
    channel.publish('typing').catch(() => undefined)
  }
  form.onsubmit = (event) => {
    event.preventDefault()
    const text = box.value.trim()
    if (text === '') return
    attempt(send, async () => {
      await db.collection('comments').add({ post, text })
      box.value = ''
      told = 0
    })
  }
  const close = () => {
    watcher.close()
    channel.leave()
  }
  return { element, close }
}

function line(comment) {
  const who = h('b')
  const slot = h('span.slot')
  withName(comment._openid, (name) => {
    who.textContent = name
    slot.replaceChildren(face(comment._openid, name))
  })
  const remove = comment._openid === me()?.uid && h('button.plain', { title: say('Delete'), ariaLabel: say('Delete') }, icon('bin'))
  if (remove) remove.onclick = () => attempt(remove, () => db.collection('comments').doc(comment._id).remove())
  return h('li', slot, h('div', who, h('time.soft', ago(comment._createTime)), h('p', comment.text)), remove)
}

function isTyping(element, uid) {
  element.textContent = `${nameOf(uid)} ${say('is typing …')}`
  clearTimeout(Number(element.dataset.timer))
  element.dataset.timer = setTimeout(() => element.replaceChildren(), TYPING_LASTS)
}
