const { attempt, cloud, db, signedIn } = require('../../lib/board')
const { say } = require('../../lib/words')

const MOST = 4

Page({
  data: { say, most: MOST, title: '', text: '', pictures: [], busy: false, percent: 0 },

  input(event) {
    this.setData({ [event.currentTarget.dataset.name]: event.detail.value })
  },

  pick() {
    wx.chooseMedia({
      count: MOST - this.data.pictures.length,
      mediaType: ['image'],
      sizeType: ['compressed'],
      success: ({ tempFiles }) => {
        const paths = tempFiles.map((file) => file.tempFilePath)
        this.setData({ pictures: this.data.pictures.concat(paths).slice(0, MOST) })
      },
    })
  },

  drop(event) {
    const { path } = event.currentTarget.dataset
    this.setData({ pictures: this.data.pictures.filter((one) => one !== path) })
  },

  async post() {
    if (this.data.busy) return
    const title = this.data.title.trim()
    const text = this.data.text.trim()
    if (!title || !text) return wx.showToast({ title: say.needed, icon: 'none' })
    this.setData({ busy: true })
    const done = await attempt(async () => {
      await signedIn()
      await this.publish({ title, text })
    })
    this.setData({ busy: false })
    if (done) wx.navigateBack()
  },

  /** A post with pictures is a draft until they are all there, so nobody sees half of it. */
  async publish(post) {
    const { pictures: paths } = this.data
    const posts = db.collection('posts')
    const { _id } = await posts.add({ ...post, published: paths.length === 0 })
    if (paths.length === 0) return
    try {
      const pictures = []
      for (let place = 0; place < paths.length; place++) {
        const onProgress = ({ loaded, total }) =>
          this.setData({ percent: Math.round(((place + loaded / (total || loaded)) / paths.length) * 100) })
        const cloudPath = `posts/${_id}/${place + 1}`
        pictures.push((await cloud.uploadFile({ cloudPath, filePath: paths[place], onProgress })).fileID)
      }
      await posts.doc(_id).update({ pictures, published: true })
    } catch (fault) {
      await posts.doc(_id).remove().catch(() => undefined)
      throw fault
    }
  },
})
