// Who is here: signing in and up, names, and the row of faces at the top.
import { createCloud, web } from './sdk.js'
import { $, ask, face, h } from './dom.js'
import { say } from './words.js'

export const cloud = createCloud({ url: new URL('.', location.href).href, platform: web() })
export const db = cloud.database()
export const _ = db.command

const names = new Map()
const wanting = new Map()

export const me = () => cloud.auth().currentUser
export const isGuest = () => me() === null || me().loginType === 'ANONYMOUS'

/** Everybody begins as a guest: a real account without a name, which can become one with. So does
 * whoever comes back with a session that the server does not know any more. */
export async function begin() {
  cloud.auth().onAuthStateChange(showAccount)
  try {
    if (me() !== null) await cloud.auth().me()
  } catch (fault) {
    if (me() !== null) throw fault
  }
  if (me() === null) await cloud.auth().signInAnonymously()
}

// -- names -------------------------------------------------------------------------------------

export const nameOf = (uid) => names.get(uid) || `${say('Guest')} ${(uid || '').slice(-4)}`

/** Fetches the names that are not known yet, all that are asked for at one time together. */
export function withName(uid, show) {
  show(nameOf(uid))
  if (!uid || names.has(uid)) return
  if (wanting.size === 0) setTimeout(fetchNames, 30)
  if (!wanting.has(uid)) wanting.set(uid, [])
  wanting.get(uid).push(show)
}

async function fetchNames() {
  const asked = new Map(wanting)
  wanting.clear()
  try {
    const query = db.collection('profiles').where({ _id: _.in(Array.from(asked.keys())) })
    const { data } = await query.field({ nickname: true }).get()
    data.forEach((profile) => names.set(profile._id, profile.nickname))
  } catch {
    // Without them everybody is a guest: what matters says so itself.
  }
  asked.forEach((shows, uid) => shows.forEach((show) => show(nameOf(uid))))
}

async function setName(nickname) {
  await db.collection('profiles').doc(me().uid).set({ nickname })
  names.set(me().uid, nickname)
  showAccount(me())
  document.dispatchEvent(new Event('renamed'))
}

// -- the account -------------------------------------------------------------------------------

function showAccount(user) {
  const button = $('account')
  if (user === null) return button.replaceChildren(say('Sign in'))
  const label = h('span')
  withName(user.uid, (name) => {
    label.textContent = isGuest() ? say('Sign in') : name
    button.replaceChildren(face(user.uid, nameOf(user.uid)), label)
  })
}

const PASSWORD = { name: 'password', label: 'Password', type: 'password', minLength: 8 }
const ACCOUNT = { name: 'username', label: 'Account', autocomplete: 'username', maxLength: 64 }
const NAME = { name: 'nickname', label: 'Name', maxLength: 24, autocomplete: 'nickname' }

export function showDialog() {
  if (isGuest()) askSignUp()
  else askName()
}

function askSignUp() {
  ask({
    title: 'Create an account',
    note: 'You are a guest. An account keeps your posts and your name.',
    fields: [NAME, ACCOUNT, { ...PASSWORD, autocomplete: 'new-password', placeholder: say('At least 8 characters') }],
    action: 'Create an account',
    others: [['I have an account', askSignIn]],
    // The guest's own account gets a name and a password: what was posted stays its author's.
    done: async ({ nickname, username, password }) => {
      if (me() === null) await cloud.auth().signUp({ username, password })
      else await cloud.auth().link({ method: 'password', username, password })
      await setName(nickname)
    },
  })
}

function askSignIn() {
  ask({
    title: 'Sign in',
    fields: [ACCOUNT, { ...PASSWORD, autocomplete: 'current-password', minLength: 0 }],
    action: 'Sign in',
    others: [['I am new here', askSignUp]],
    done: async ({ username, password }) => {
      await cloud.auth().signInWithPassword({ username, password })
      location.reload()
    },
  })
}

function askName() {
  ask({
    title: 'Your name on the board',
    fields: [{ ...NAME, value: names.get(me().uid) || '' }],
    action: 'Save',
    others: [['Sign out', signOut]],
    done: ({ nickname }) => setName(nickname),
  })
}

async function signOut() {
  await cloud.auth().signOut()
  location.reload()
}

// -- who is here -------------------------------------------------------------------------------

const FACES = 5

/** One face a person, however many windows. */
export function faces(entries, words) {
  const uids = Array.from(new Set(entries.map((entry) => entry.uid)))
  const shown = uids.slice(0, FACES).map((uid) => {
    const slot = h('span.slot')
    withName(uid, (name) => slot.replaceChildren(face(uid, name)))
    return slot
  })
  return [...shown, h('span.count', `${uids.length} ${say(words)}`)]
}

const lobby = cloud.channel('lobby')

/** Joins the lobby, where nobody speaks and everybody is seen. */
export function showPresence() {
  const onPresence = (entries) => $('here').replaceChildren(...faces(entries, 'here'))
  lobby.join({ presence: {}, onPresence }).catch(() => $('here').replaceChildren())
}
