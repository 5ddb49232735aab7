const { attempt, cloud, db, learnNames, me, nameOf, setLike, shown, signedIn } = require('../../lib/board')
const { say } = require('../../lib/words')

const TYPING_EVERY = 2000
const TYPING_LASTS = 3500

Page({
  data: { say, post: null, missing: false, comments: [], liked: false, reading: 0, typing: '', text: '' },

  onLoad({ id }) {
    this.id = id
    this.watchers = []
    this.found = { post: null, comments: [] }
    this.channel = cloud.channel(`post:${id}`)
    attempt(async () => {
      await signedIn()
      this.follow()
      this.channel.join({
        presence: {},
        onPresence: (entries) => this.setData({ reading: new Set(entries.map((entry) => entry.uid)).size }),
        onMessage: ({ event, from }) => event === 'typing' && from !== me() && this.isTyping(from),
      }).catch(() => undefined)
    })
  },

  onUnload() {
    this.watchers.forEach((watcher) => watcher.close())
    this.channel.leave()
    clearTimeout(this.timer)
  },

  follow() {
    const onError = () => undefined
    const post = db.collection('posts').doc(this.id)
    const comments = db.collection('comments').where({ post: this.id }).orderBy('_createTime', 'asc').limit(100)
    const like = db.collection('likes').doc(`${this.id}-${me()}`)
    this.watchers = [
      post.watch({ onChange: ({ docs }) => this.take({ post: docs[0] || null }), onError }),
      comments.watch({ onChange: ({ docs }) => this.take({ comments: docs }), onError }),
      like.watch({ onChange: ({ docs }) => this.setData({ liked: docs.length > 0 }), onError }),
    ]
  },

  take(found) {
    Object.assign(this.found, found)
    this.show()
    const { post, comments } = this.found
    const uids = comments.concat(post || []).map((one) => one._openid)
    learnNames(uids).then((learned) => learned && this.show(), () => undefined)
  },

  show() {
    const { post, comments } = this.found
    this.setData({ post: post && shown(post), missing: post === null, comments: comments.map(shown) })
  },

  isTyping(uid) {
    this.setData({ typing: nameOf(uid) })
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.setData({ typing: '' }), TYPING_LASTS)
  },

  input(event) {
    this.setData({ text: event.detail.value })
    if (Date.now() - (this.told || 0) < TYPING_EVERY) return
    this.told = Date.now()
    this.channel.publish('typing').catch(() => undefined)
  },

  async send() {
    const text = this.data.text.trim()
    if (text === '') return
    this.setData({ text: '' })
    const done = await attempt(() => db.collection('comments').add({ post: this.id, text }))
    if (!done) this.setData({ text })
  },

  remove(event) {
    const { id } = event.currentTarget.dataset
    return attempt(() => db.collection('comments').doc(id).remove())
  },

  like() {
    return attempt(() => setLike(this.id, !this.data.liked))
  },

  onShareAppMessage() {
    const { post } = this.data
    return { title: post ? post.title : '', path: `/pages/post/post?id=${this.id}` }
  },
})
