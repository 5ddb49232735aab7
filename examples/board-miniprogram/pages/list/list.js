const { attempt, cloud, db, learnNames, me, nameOf, setLike, shown, signedIn } = require('../../lib/board')
const { say } = require('../../lib/words')

const PAGE = 20

Page({
  data: { say, posts: [], liked: {}, here: 0, loading: true, words: '', letter: '', hue: 0 },

  onLoad() {
    this.limit = PAGE
    this.found = []
    this.lobby = cloud.channel('lobby')
    attempt(async () => {
      await signedIn()
      this.follow()
      this.followLikes()
      this.lobby.join({ presence: {}, onPresence: (entries) => this.setData({ here: people(entries) }) }).catch(() => undefined)
    })
  },

  /** The name may have been changed on the page before. */
  onShow() {
    if (me() !== '') this.show()
  },

  onUnload() {
    if (this.watcher) this.watcher.close()
    if (this.likes) this.likes.close()
    this.lobby.leave()
  },

  /** The newest posts, or those that have the words in them; live. */
  follow() {
    if (this.watcher) this.watcher.close()
    let posts = db.collection('posts').where({ published: true })
    const { words } = this.data
    if (words !== '') posts = posts.where({ $text: { $search: words } })
    this.watcher = posts.orderBy('_createTime', 'desc').limit(this.limit).watch({
      onChange: ({ docs }) => {
        this.found = docs
        this.show()
        wx.stopPullDownRefresh()
        learnNames(docs.map((post) => post._openid).concat(me())).then((learned) => learned && this.show(), () => undefined)
      },
      onError: (fault) => attempt(() => Promise.reject(fault)),
    })
  },

  followLikes() {
    this.likes = db.collection('likes').where({ _openid: me() }).limit(500).watch({
      onChange: ({ docs }) => {
        const liked = {}
        docs.forEach((like) => (liked[like.post] = true))
        this.setData({ liked })
      },
    })
  },

  show() {
    const { letter, hue } = shown({ _openid: me(), _createTime: new Date() })
    this.setData({ posts: this.found.map(shown), loading: this.watcher === undefined, letter, hue, name: nameOf(me()) })
  },

  onPullDownRefresh() {
    attempt(async () => {
      await signedIn()
      this.follow()
    })
  },

  onReachBottom() {
    if (this.found.length < this.limit) return
    this.limit += PAGE
    this.follow()
  },

  search(event) {
    const words = event.detail.value.trim()
    if (words === this.data.words) return
    this.setData({ words })
    this.follow()
  },

  open(event) {
    wx.navigateTo({ url: `/pages/post/post?id=${event.currentTarget.dataset.id}` })
  },
  write() {
    wx.navigateTo({ url: '/pages/write/write' })
  },
  openMe() {
    wx.navigateTo({ url: '/pages/me/me' })
  },

  preview(event) {
    const { id, url } = event.currentTarget.dataset
    const post = this.data.posts.find((one) => one._id === id)
    wx.previewImage({ current: url, urls: post.pictures.map((picture) => picture.whole) })
  },

  like(event) {
    const { id } = event.currentTarget.dataset
    return attempt(() => setLike(id, !this.data.liked[id]))
  },

  remove(event) {
    const { id } = event.currentTarget.dataset
    const post = this.found.find((one) => one._id === id)
    wx.showModal({
      content: say.sure,
      success: ({ confirm }) => confirm && attempt(async () => {
        // Its pictures first: once the post is gone, nobody may touch them any more.
        if (post.pictures && post.pictures.length > 0) await cloud.deleteFile({ fileList: post.pictures })
        await db.collection('posts').doc(id).remove()
      }),
    })
  },
})

/** However many devices they have. */
function people(entries) {
  return new Set(entries.map((entry) => entry.uid)).size
}
