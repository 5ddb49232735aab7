// The client, who is signed in, and what several pages need.
const { command, createCloud, wechat } = require('../baas/sdk')
const { url } = require('../config')
const { ago, say } = require('./words')

const cloud = createCloud({ url, platform: wechat() })
const db = cloud.database()
const names = {}

/** By wx.login; where the gateway knows no WeChat (auth.wechat_appid), as a guest. Once. */
let entering = null
function signedIn() {
  if (entering === null) entering = enter().catch((fault) => {
    entering = null
    throw fault
  })
  return entering
}

async function enter() {
  // A session from last time may be over by now.
  await cloud.auth().me().catch(() => undefined)
  if (cloud.auth().currentUser !== null) return
  try {
    await cloud.auth().signInWithWeChat()
  } catch (fault) {
    if (fault.code !== 'NOT_SUPPORTED') throw fault
    await cloud.auth().signInAnonymously()
  }
}

const me = () => (cloud.auth().currentUser || { uid: '' }).uid
const nameOf = (uid) => names[uid] || `${say.guest} ${(uid || '').slice(-4)}`

/** Fetches the names of these users, those that are not known yet; whether there were any. */
async function learnNames(uids) {
  const unknown = Array.from(new Set(uids)).filter((uid) => uid && !(uid in names))
  if (unknown.length === 0) return false
  unknown.forEach((uid) => (names[uid] = ''))
  const found = await db.collection('profiles').where({ _id: command.in(unknown) }).field({ nickname: true }).get()
  found.data.forEach((profile) => (names[profile._id] = profile.nickname))
  return found.data.length > 0
}

async function setName(nickname) {
  await db.collection('profiles').doc(me()).set({ nickname })
  names[me()] = nickname
}

/** A post or comment as pages show it. */
function shown(document) {
  const uid = document._openid
  const name = nameOf(uid)
  const pictures = (document.pictures || []).map((fileID) => ({
    small: cloud.storage().url(fileID, { w: 480, h: 360, fit: 'cover' }),
    whole: cloud.storage().url(fileID),
  }))
  const { _id, title = '', text = '', likes = 0 } = document
  const who = { name, letter: Array.from(name)[0], hue: hueOf(uid), mine: uid === me() }
  return { _id, title, text, likes, pictures, ...who, when: ago(document._createTime) }
}

function hueOf(uid) {
  return Array.from(uid || '').reduce((hue, letter) => (hue * 31 + letter.charCodeAt(0)) % 12, 0)
}

/** One like a person; its `_id` says whose it is. */
function setLike(post, on) {
  const likes = db.collection('likes')
  const _id = `${post}-${me()}`
  return on ? likes.add({ _id, post }) : likes.doc(_id).remove()
}

/** Runs what a tap began, and tells a fault. */
async function attempt(work) {
  try {
    await work()
    return true
  } catch (fault) {
    wx.showToast({ title: say.faults[fault.code] || fault.message, icon: 'none' })
    return false
  }
}

module.exports = { _: command, attempt, cloud, db, learnNames, me, nameOf, setLike, setName, shown, signedIn }
