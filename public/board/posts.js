// The list: a live query, and one card for each post that stays the same element while it lives.
import { $, attempt, face, h, icon, toast } from './dom.js'
import { _, cloud, db, me, withName } from './people.js'
import { openTalk } from './talk.js'
import { ago, say, why } from './words.js'

const PAGE = 20
const cards = new Map()
let liked = new Set()
let watcher = null
let likes = null
let limit = PAGE
let found = ''

// -- what is shown -----------------------------------------------------------------------------

/** Follows the newest posts, or those that have `words` in them. */
export function follow(words = found) {
  found = words
  if (watcher !== null) watcher.close()
  const searched = found === '' ? {} : { $text: { $search: found } }
  const posts = db.collection('posts').where({ published: true, ...searched })
  watcher = posts.orderBy('_createTime', 'desc').limit(limit).watch({
    onChange: ({ docs }) => show(docs),
    onError: (fault) => toast(why(fault)),
  })
}

export function older() {
  limit += PAGE
  follow()
}

/** Which posts this user likes, on every device. */
export function followLikes() {
  if (likes !== null) likes.close()
  if (me() === null) return
  likes = db.collection('likes').where({ _openid: me().uid }).limit(500).watch({
    onChange: ({ docs }) => {
      liked = new Set(docs.map((like) => like.post))
      cards.forEach((card, id) => card.like(liked.has(id)))
    },
    onError: (fault) => toast(why(fault)),
  })
}

setInterval(() => cards.forEach((card) => card.age()), 30_000)
document.addEventListener('renamed', () => cards.forEach((card) => card.rename()))

function show(docs) {
  const there = new Set(docs.map((post) => post._id))
  cards.forEach((card, id) => there.has(id) || drop(id, card))
  const fresh = cards.size > 0
  const news = docs.filter((post) => !cards.has(post._id))
  const elements = docs.map((post) => {
    const card = cards.get(post._id) || made(post, fresh)
    card.update(post)
    return card.element
  })
  arrange($('posts'), elements)
  void countComments(news.map((post) => post._id))
  $('older').hidden = docs.length < limit
  if (docs.length === 0) {
    $('posts').append(h('p.empty', say(found ? 'Nothing found.' : 'Nothing here yet. Write the first post!')))
  }
}

/** How many comments there are, for cards that are new: one question for all of them. */
async function countComments(posts) {
  if (posts.length === 0) return
  try {
    const counting = db.collection('comments').aggregate().match({ post: _.in(posts) }).sortByCount('$post')
    const { list } = await counting.end()
    list.forEach(({ _id, count }) => cards.has(_id) && cards.get(_id).comments(count))
  } catch (fault) {
    toast(why(fault))
  }
}

/** Puts elements into order, moving only those that are not in their place: an open talk or a text
 * under way in a card keeps its focus. */
function arrange(parent, elements) {
  const wanted = new Set(elements)
  Array.from(parent.children).forEach((child) => wanted.has(child) || child.remove())
  elements.forEach((element, place) => {
    if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] || null)
  })
}

function drop(id, card) {
  card.close()
  cards.delete(id)
}

function made(post, fresh) {
  const card = createCard(post)
  if (fresh) card.element.classList.add('fresh')
  cards.set(post._id, card)
  return card
}

// -- one post ----------------------------------------------------------------------------------

function createCard({ _id, _openid }) {
  const slot = h('span.slot')
  const who = h('b')
  const when = h('time.soft')
  const link = h('a', when) // to the post's own page, a function's: functions/pages.py
  const title = h('h3')
  const text = h('p.text')
  const pictures = h('div.pictures')
  const count = h('span')
  const heart = h('button.plain.like', { title: say('Like') }, icon('heart'), h('span.unseen', say('Like')), count)
  const said = h('span')
  const open = h('button.plain', { title: say('Comments'), ariaExpanded: 'false' }, icon('talk'), say('Comments'), said)
  const remove = _openid === me()?.uid && h('button.plain', { title: say('Delete'), ariaLabel: say('Delete') }, icon('bin'))
  const foot = h('footer', heart, open, h('span.grow'), remove)
  const element = h('article.card', h('header', slot, h('div', who, link)), title, text, pictures, foot)
  let post = null
  let talk = null

  const rename = () =>
    withName(_openid, (name) => {
      who.textContent = name
      slot.replaceChildren(face(_openid, name))
    })
  rename()
  heart.onclick = () => attempt(heart, () => toggleLike(_id))
  if (remove) {
    remove.onclick = () => {
      if (confirm(say('Delete this post?'))) attempt(remove, () => removePost(post))
    }
  }
  const close = () => {
    if (talk !== null) talk.close()
    talk = null
  }
  open.onclick = () => {
    open.setAttribute('aria-expanded', String(talk === null))
    if (talk === null) {
      talk = openTalk(_id, (count) => (said.textContent = count || ''))
      element.append(talk.element)
      talk.element.querySelector('input').focus()
    } else {
      talk.element.remove()
      close()
    }
  }

  return {
    element,
    close,
    rename,
    age: () => (when.textContent = ago(post._createTime)),
    comments: (count) => (said.textContent = count || ''),
    like: (mine) => {
      heart.classList.toggle('on', mine)
      heart.setAttribute('aria-pressed', String(mine))
    },
    update(next) {
      post = next
      title.textContent = post.title
      text.textContent = post.text
      link.href = `http/posts/${encodeURIComponent(post.slug)}`
      this.age()
      when.title = post._createTime.toLocaleString()
      count.textContent = post.likes || ''
      if (pictures.childElementCount === 0) pictures.append(...(post.pictures || []).map((fileID, place) => picture(fileID, place + 1)))
      this.like(liked.has(_id))
    },
  }
}

/** The gateway makes the small ones. */
function picture(fileID, number) {
  const files = cloud.storage()
  const alt = `${say('Picture')} ${number}`
  const img = h('img', { src: files.url(fileID, { w: 720, h: 540, fit: 'cover' }), loading: 'lazy', alt })
  return h('a', { href: files.url(fileID), target: '_blank', rel: 'noopener' }, img)
}

/** One like a person: its `_id` says whose it is, and the rules hold it to that. */
async function toggleLike(post) {
  const mine = db.collection('likes')
  const _id = `${post}-${me().uid}`
  if (liked.has(post)) await mine.doc(_id).remove()
  else await mine.add({ _id, post })
}

/** Its pictures first: once the post is gone, nobody may touch them any more. */
async function removePost({ _id, pictures = [] }) {
  if (pictures.length > 0) await cloud.deleteFile({ fileList: pictures })
  await db.collection('posts').doc(_id).remove()
}
