const { attempt, cloud, learnNames, me, setName, shown, signedIn } = require('../../lib/board')
const { say } = require('../../lib/words')

Page({
  data: { say, name: '', letter: '', hue: 0, byWechat: false, posts: 0, likes: 0, nickname: '' },

  onLoad() {
    attempt(async () => {
      await signedIn()
      await learnNames([me()])
      this.show()
      const { result } = await cloud.callFunction({ name: 'my_numbers' })
      this.setData(result)
    })
  },

  show() {
    const { name, letter, hue } = shown({ _openid: me(), _createTime: new Date() })
    this.setData({ name, letter, hue, byWechat: cloud.auth().currentUser.loginType === 'WECHAT' })
  },

  input(event) {
    this.setData({ nickname: event.detail.value })
  },

  save() {
    const nickname = this.data.nickname.trim()
    if (nickname === '') return
    return attempt(async () => {
      await setName(nickname)
      this.show()
      wx.showToast({ title: say.saved })
    })
  },
})
