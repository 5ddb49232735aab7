// English stands in the page; this is the Chinese of it.
const CHINESE = {
  'Board': '留言板',
  'What is new?': '有什么新鲜事？',
  'Tell the others about it …': '和大家说说…',
  'Pictures': '图片',
  'Post': '发布',
  'Search titles and texts': '搜索标题和正文',
  'Older posts': '更早的帖子',
  'What is this?': '这是什么？',
  'about': '一个小小的社区留言板：账号、实时列表、评论、点赞、图片和在线状态。页面只是几百行普通的 JavaScript，用的是生成的 SDK；背后只有一个进程，权限规则是几个 YAML 文件。',
  'two windows': '再开一个窗口看看：这里发的帖子，那边马上就会出现。',
  'For developers': '开发者',
  'console': '客户端就是控制台里的 cloud，试试：',
  'The HTTP API, to try out': 'HTTP 接口，可在线调试',
  'The same as OpenAPI': 'OpenAPI 文档',
  'Is everything well?': '运行状态',
  'The source of this page': '本页源码',
  'Sign in': '登录',
  'Sign out': '退出登录',
  'Create an account': '注册账号',
  'Guest': '访客',
  'you': '我',
  'Name': '昵称',
  'Account': '账号',
  'Password': '密码',
  'At least 8 characters': '至少 8 个字符',
  'Save': '保存',
  'Cancel': '取消',
  'Close': '关闭',
  'Your name on the board': '你在留言板上的名字',
  'You are a guest. An account keeps your posts and your name.': '你现在是访客。注册账号可以保留你的帖子和名字。',
  'I have an account': '我已有账号',
  'I am new here': '我是新来的',
  'Like': '点赞',
  'Picture': '图片',
  'Comments': '评论',
  'Delete': '删除',
  'Delete this post?': '删除这个帖子？',
  'Say something …': '说点什么…',
  'Send': '发送',
  'is typing …': '正在输入…',
  'here': '人在线',
  'reading': '人在看',
  'Nothing here yet. Write the first post!': '还没有帖子，来写第一篇吧！',
  'Nothing found.': '没有找到。',
  'A post needs a title and a text.': '标题和正文都要填写。',
  'At most 4 pictures, of 10 MB each.': '最多 4 张图片，每张不超过 10 MB。',
  'The server cannot be reached. Is it running?': '连接不上服务器，它在运行吗？',
  'This account name is taken.': '这个账号已被注册。',
  'Account or password is wrong.': '账号或密码不对。',
  'You may not do that.': '没有权限。',
  'Too much at once; try again in a moment.': '操作太频繁，请稍后再试。',
  'Light or dark': '浅色 / 深色',
}

const kept = localStorage.getItem('board.language')
export const language = kept || (navigator.language.startsWith('zh') ? 'zh' : 'en')

export const say = (words) => (language === 'zh' && CHINESE[words]) || words

export function toggleLanguage() {
  localStorage.setItem('board.language', language === 'zh' ? 'en' : 'zh')
  location.reload()
}

/** Puts the page's own words into the reader's language. */
export function translate(root) {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
  document.title = say('Board')
  if (language !== 'zh') return
  for (const one of root.querySelectorAll('[data-say]')) one.textContent = say(one.dataset.say)
  for (const one of root.querySelectorAll('[data-hint]')) {
    one.placeholder = say(one.dataset.hint)
    one.setAttribute('aria-label', say(one.dataset.hint))
  }
}

const STEPS = [['day', 86400], ['hour', 3600], ['minute', 60]]
const spans = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })

/** "3 minutes ago". */
export function ago(date) {
  const seconds = Math.min(0, (date.getTime() - Date.now()) / 1000)
  for (const [unit, size] of STEPS) {
    if (-seconds >= size) return spans.format(Math.round(seconds / size), unit)
  }
  return spans.format(0, 'second')
}

const FAULTS = {
  NETWORK: 'The server cannot be reached. Is it running?',
  TIMEOUT: 'The server cannot be reached. Is it running?',
  CONFLICT: 'This account name is taken.',
  INVALID_CREDENTIALS: 'Account or password is wrong.',
  PERMISSION_DENIED: 'You may not do that.',
  RATE_LIMITED: 'Too much at once; try again in a moment.',
}

/** What a person can make of a fault. */
export function why(fault) {
  if (FAULTS[fault.code]) return say(FAULTS[fault.code])
  return fault.errors && fault.errors.length ? fault.errors[0].message : fault.message
}
