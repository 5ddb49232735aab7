// The board, from the top: the page's parts are put together here.
import { $, attempt, h, icon, toast } from './dom.js'
import { begin, cloud, db, showDialog, showPresence } from './people.js'
import { follow, followLikes, older } from './posts.js'
import { language, say, toggleLanguage, translate, why } from './words.js'

const MOST_PICTURES = 4
const PICTURE_BYTES = 10 * 1024 * 1024
const SEARCH_AFTER = 300

// For whoever opens the console.
Object.assign(window, { cloud })

translate(document)
document.querySelectorAll('[data-icon]').forEach((one) => one.append(icon(one.dataset.icon)))
$('language').textContent = language === 'zh' ? 'EN' : '中'
$('language').onclick = toggleLanguage
$('account').onclick = showDialog
$('older').onclick = older
setUpTheme()
setUpSearch()
setUpComposer()
start()

async function start() {
  try {
    await begin()
  } catch (fault) {
    toast(why(fault))
  }
  follow()
  // Once with whoever it is now, and again whenever somebody else signs in.
  let shown
  cloud.auth().onAuthStateChange((user) => {
    if (shown === (user && user.uid)) return
    shown = user && user.uid
    followLikes()
    showPresence()
  })
}

// -- looks -------------------------------------------------------------------------------------

function setUpTheme() {
  const dark = () => document.documentElement.dataset.theme === 'dark'
  const kept = localStorage.getItem('board.theme')
  const wanted = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
  document.documentElement.dataset.theme = kept || wanted
  $('theme').title = say('Light or dark')
  $('theme').ariaLabel = say('Light or dark')
  $('theme').append(icon('theme'))
  $('theme').onclick = () => {
    document.documentElement.dataset.theme = dark() ? 'light' : 'dark'
    localStorage.setItem('board.theme', document.documentElement.dataset.theme)
  }
}

function setUpSearch() {
  let timer
  $('search').oninput = () => {
    clearTimeout(timer)
    timer = setTimeout(() => follow($('search').value.trim()), SEARCH_AFTER)
  }
}

// -- writing -----------------------------------------------------------------------------------

function setUpComposer() {
  const form = $('composer')
  const { title, text, pictures } = form.elements
  let picked = []

  const showPicked = () => {
    $('picked').replaceChildren(...picked.map((file) => {
      const src = URL.createObjectURL(file)
      const img = h('img', { src, alt: file.name, onload: () => URL.revokeObjectURL(src) })
      const take = () => {
        picked = picked.filter((one) => one !== file)
        showPicked()
      }
      return h('button.plain', { type: 'button', title: say('Delete'), onclick: take }, img)
    }))
    form.oninput()
  }
  // It stays open while there is something in it.
  form.oninput = () => form.classList.toggle('open', title.value + text.value !== '' || picked.length > 0)
  pictures.onchange = () => {
    const all = [...picked, ...pictures.files]
    picked = all.filter((file) => file.size <= PICTURE_BYTES).slice(0, MOST_PICTURES)
    if (picked.length < all.length) toast(say('At most 4 pictures, of 10 MB each.'))
    pictures.value = ''
    showPicked()
  }
  title.onkeydown = (event) => {
    if (event.key !== 'Enter') return
    event.preventDefault()
    text.focus()
  }
  form.onsubmit = (event) => {
    event.preventDefault()
    attempt($('post'), async () => {
      const post = { title: title.value.trim(), text: text.value.trim() }
      if (!post.title || !post.text) throw new Error(say('A post needs a title and a text.'))
      await publish(post, picked)
      form.reset()
      picked = []
      showPicked()
    })
  }
}

/** A post with pictures is a draft until they are all there, so nobody sees half of it. */
async function publish(post, files) {
  const posts = db.collection('posts')
  const { _id } = await posts.add({ ...post, published: files.length === 0 })
  if (files.length === 0) return
  const bar = $('progress')
  bar.hidden = false
  try {
    const pictures = []
    for (const [place, file] of files.entries()) {
      const told = ({ loaded, total }) => (bar.value = (place + loaded / (total || loaded)) / files.length)
      const cloudPath = `posts/${_id}/${place + 1}`
      pictures.push((await cloud.uploadFile({ cloudPath, file, onProgress: told })).fileID)
    }
    await posts.doc(_id).update({ pictures, published: true })
  } catch (fault) {
    await posts.doc(_id).remove().catch(() => undefined)
    throw fault
  } finally {
    bar.hidden = true
  }
}
