// Making elements. Texts are always set as text: nothing that a user wrote becomes markup.
import { say, why } from './words.js'

export const $ = (id) => document.getElementById(id)

/** `h('p.soft', { title }, 'text', child)` */
export function h(name, ...more) {
  const [tag, ...classes] = name.split('.')
  const made = document.createElement(tag)
  if (classes.length) made.className = classes.join(' ')
  for (const one of more.flat()) {
    if (one === null || one === undefined || one === false) continue
    if (one instanceof Node || typeof one !== 'object') made.append(one)
    else Object.assign(made, one)
  }
  return made
}

const SHAPES = {
  heart: 'M12 20.5 4.7 13a4.8 4.8 0 0 1 6.8-6.8l.5.6.5-.6a4.8 4.8 0 0 1 6.8 6.8z',
  talk: 'M5 5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-6l-5 4v-4H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z',
  bin: 'M5 7h14M10 7V4.5h4V7m-7 0 1 12.5h8L17 7',
  picture: 'M4 5h16v14H4zM4 16l5-5 4 4 2.500-2.500L20 17M15 9.200h.01',
  search: 'M10.500 17a6.500 6.500 0 1 1 0-13 6.500 6.500 0 0 1 0 13zM15.500 15.500 20 20',
  send: 'M4 12 20 4l-4.500 16-4-6.500z',
  theme: 'M12 3.500a8.500 8.500 0 1 0 0 17zM12 3.500a8.500 8.500 0 0 1 0 17',
  close: 'M6 6l12 12M18 6 6 18',
}
const SVG = 'http://www.w3.org/2000/svg'

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg')
  const path = document.createElementNS(SVG, 'path')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  path.setAttribute('d', SHAPES[name])
  svg.append(path)
  return svg
}

/** A round sign for a person: the first letter, in a colour that is theirs. */
export function face(uid, name) {
  let hue = 0
  for (const letter of uid || '') hue = (hue * 31 + letter.charCodeAt(0)) % 12
  return h(`span.face.hue${hue}`, { title: name, ariaHidden: 'true' }, Array.from(name)[0] || '?')
}

export function toast(words) {
  const made = h('p.toast', words)
  $('toasts').append(made)
  setTimeout(() => made.remove(), 6000)
}

/** Runs what a button began; it cannot be pressed meanwhile, and a fault is told. */
export async function attempt(button, work) {
  if (button.disabled) return false
  button.disabled = true
  try {
    await work()
    return true
  } catch (fault) {
    toast(why(fault))
    return false
  } finally {
    button.disabled = false
  }
}

/** A dialog with a form: `done(values, button)` runs when it is sent, and closes it. */
export function ask({ title, note, fields = [], action, others = [], done }) {
  const dialog = $('dialog')
  const send = h('button.button', say(action))
  const form = h('form',
    h('h2', { id: 'dialog-title' }, say(title)),
    note && h('p.soft', say(note)),
    fields.map(({ name, label, ...more }) => h('label', say(label), h('input', { name, required: true, ...more }))),
    send,
    others.map(([words, call]) => h('button.link', { type: 'button', onclick: call }, say(words))),
    h('button.plain.close', { type: 'button', title: say('Close'), ariaLabel: say('Close'), onclick: () => dialog.close() },
      icon('close')),
  )
  form.onsubmit = async (event) => {
    event.preventDefault()
    const values = Object.fromEntries(new FormData(form))
    if (await attempt(send, () => done(values))) dialog.close()
  }
  dialog.replaceChildren(form)
  dialog.onclick = ({ target }) => {
    if (target === dialog) dialog.close()
  }
  if (!dialog.open) dialog.showModal()
}
