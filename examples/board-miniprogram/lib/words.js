// What the pages say, in the language of WeChat.
const ENGLISH = {
  guest: 'Guest', here: 'here now', empty: 'Nothing here yet. Write the first post!', older: 'Older posts',
  write: 'Write', title: 'What is new?', text: 'Tell the others about it …', pictures: 'Pictures', post: 'Post',
  needed: 'A post needs a title and a text.', comments: 'Comments', say: 'Say something …', send: 'Send',
  reading: 'reading', typing: 'is typing …', remove: 'Delete', sure: 'Delete this?', me: 'Me', name: 'Your name on the board',
  save: 'Save', saved: 'Saved', posts: 'posts', likes: 'likes', byWechat: 'Signed in by WeChat', asGuest: 'Signed in as a guest',
  gone: 'This post is not there any more.', search: 'Search', loading: 'Loading …',
  faults: {
    NETWORK: 'The server cannot be reached.', TIMEOUT: 'The server cannot be reached.',
    PERMISSION_DENIED: 'You may not do that.', RATE_LIMITED: 'Too much at once; try again in a moment.',
  },
  units: [['d', 86400], ['h', 3600], ['min', 60]], before: (n, unit) => `${n} ${unit} ago`, now: 'now',
}
const CHINESE = {
  guest: '访客', here: '人在线', empty: '还没有帖子，来写第一篇吧！', older: '更早的帖子',
  write: '发帖', title: '有什么新鲜事？', text: '和大家说说…', pictures: '图片', post: '发布',
  needed: '标题和正文都要填写。', comments: '评论', say: '说点什么…', send: '发送',
  reading: '人在看', typing: '正在输入…', remove: '删除', sure: '确定删除？', me: '我', name: '你在留言板上的名字',
  save: '保存', saved: '已保存', posts: '篇帖子', likes: '个赞', byWechat: '已通过微信登录', asGuest: '以访客身份登录',
  gone: '这篇帖子已经不在了。', search: '搜索', loading: '加载中…',
  faults: {
    NETWORK: '连接不上服务器。', TIMEOUT: '连接不上服务器。',
    PERMISSION_DENIED: '没有权限。', RATE_LIMITED: '操作太频繁，请稍后再试。',
  },
  units: [['天', 86400], ['小时', 3600], ['分钟', 60]], before: (n, unit) => `${n}${unit}前`, now: '刚刚',
}

const { language } = wx.getAppBaseInfo ? wx.getAppBaseInfo() : wx.getSystemInfoSync()
const say = /^zh/.test(language) ? CHINESE : ENGLISH

function ago(date) {
  const seconds = (Date.now() - date.getTime()) / 1000
  const found = say.units.find((unit) => seconds >= unit[1])
  return found === undefined ? say.now : say.before(Math.floor(seconds / found[1]), found[0])
}

module.exports = { ago, say }
