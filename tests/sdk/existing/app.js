/**
 * A to-do list as programs on wx.cloud are written: callbacks here, promises there, `errMsg` compared
 * with texts. test_wx_cloud.py changes the first two statements and nothing else.
 */

const cloud = wx.cloud
cloud.init({ env: 'todo-prod-1a2b', traceUser: true })

const db = cloud.database()
const _ = db.command
const $ = _.aggregate
const todos = db.collection('todos')

/** Every result that the program sees, by name. */
const seen = {}

function byCallback(name, call) {
  return new Promise((resolve) => {
    const told = []
    const returned = call({
      success: (res) => told.push('success', res),
      fail: (err) => told.push('fail', err),
      complete: (res) => {
        seen[name] = { told: told[0], same: told[1] === res, returned: returned === undefined, errMsg: res.errMsg }
        resolve(told[1])
      },
    })
  })
}

async function failing(name, promise) {
  try {
    seen[name] = { unexpected: await promise }
  } catch (err) {
    seen[name] = { errCode: err.errCode, errMsg: err.errMsg, isError: err instanceof Error }
  }
}

async function lists() {
  const first = await byCallback('add', (told) =>
    todos.add({
      data: {
        title: 'buy milk',
        done: false,
        progress: 10,
        due: new Date('2026-12-01T00:00:00Z'),
        tags: ['home'],
        place: new db.Geo.Point(113.3, 23.1),
        style: { color: 'red', size: 'big' },
        createdAt: db.serverDate({ offset: 60000 }),
      },
      ...told,
    }),
  )
  for (let n = 0; n < 24; n++) await todos.add({ data: { _id: `todo-${n}`, title: `number ${n}`, progress: n } })

  const page = await todos.where({ _openid: '{openid}' }).orderBy('progress', 'desc').get()
  seen.page = { count: page.data.length, first: page.data[0].title, errMsg: page.errMsg }
  const next = await todos.orderBy('progress', 'desc').skip(20).limit(20).get()
  seen.next = next.data.map((todo) => todo.title)
  seen.count = await todos.where({ progress: _.gte(5).and(_.lt(8)) }).count()
  const some = await todos
    .where(_.or([{ title: db.RegExp({ regexp: '^BUY', options: 'i' }) }, { progress: _.in([1, 2]) }]))
    .field({ title: true })
    .get()
  seen.some = some.data.map((todo) => Object.keys(todo).sort().join() + ' ' + todo.title).sort()

  await byCallback('update', (told) =>
    todos.doc(first._id).update({
      data: { progress: _.inc(5), tags: _.push(['shop', 'now']), style: { color: 'blue' }, done: true },
      ...told,
    }),
  )
  const { data } = await todos.doc(first._id).get()
  seen.document = {
    progress: data.progress,
    tags: data.tags,
    style: data.style,
    due: data.due instanceof Date && data.due.toISOString(),
    place: [data.place.longitude, data.place.latitude, data.place.type],
    late: data.createdAt.getTime() > Date.now() + 30000,
  }
  await todos.doc(first._id).update({ data: { style: _.set({ color: 'green' }), done: _.remove() } })
  const changed = (await todos.doc(first._id).get()).data
  seen.changed = { style: changed.style, done: 'done' in changed }

  seen.set = await todos.doc('todo-set').set({ data: { title: 'set', progress: 1 } })
  seen.setAgain = await todos.doc('todo-set').set({ data: { title: 'set again' } })
  seen.updateNone = await todos.doc('nowhere').update({ data: { title: 'x' } })
  seen.updateMany = await todos.where({ progress: _.lt(3) }).update({ data: { low: true } })
  seen.removeMany = await todos.where({ low: true }).remove()
  seen.remove = await byCallback('removeOne', (told) => todos.doc('todo-set').remove(told))
  const sums = await todos
    .aggregate()
    .match({ title: _.neq('x'), _openid: '{openid}' })
    .group({ _id: $.cond({ if: $.gte(['$progress', 10]), then: 'far', else: 'near' }), n: $.sum(1) })
    .sort({ _id: 1 })
    .end()
  seen.sums = sums
  const [pair] = (
    await todos
      .aggregate()
      .match({ _id: 'todo-7' })
      .lookup({
        from: 'todos',
        let: { progress: '$progress' },
        pipeline: $.pipeline()
          .match(_.and([{ title: _.neq('x') }, { progress: _.lt(8) }]))
          .match(_.expr($.eq(['$progress', $.subtract(['$$progress', 1])])))
          .project({ _id: 0, title: 1 })
          .done(),
        as: 'before',
      })
      .end()
  ).list
  seen.before = pair.before
  return first._id
}

async function faults() {
  await failing('absent', todos.doc('nowhere').get())
  await failing('denied', db.collection('secrets').get())
  await failing('invalid', todos.add({ data: { title: 5 } }))
  await failing('twice', todos.add({ data: { _id: 'todo-5', title: 'twice' } }))
  await failing('noData', todos.add({}))
  await failing('limited', todos.where({}).limit(1).remove())
  await failing('noFunction', cloud.callFunction({ name: 'nowhere' }))
  await failing('badFunction', cloud.callFunction({ name: 'sum', data: { a: 'x' } }))
  await failing('noFile', cloud.downloadFile({ fileID: 'cloud://todo/pictures/none.png' }))
  await failing('foreignFile', cloud.uploadFile({ cloudPath: 'elsewhere/a.png', filePath: places.picture }))
  await byCallback('failed', (told) => todos.doc('nowhere').get(told))
}

async function transactions() {
  const done = await db.runTransaction(async (transaction) => {
    const from = await transaction.collection('todos').doc('todo-10').get()
    const to = await transaction.collection('todos').doc('todo-11').get()
    const res = await transaction.collection('todos').doc('todo-10').update({ data: { progress: _.inc(-from.data.progress) } })
    await transaction.collection('todos').doc('todo-11').update({ data: { progress: to.data.progress + from.data.progress } })
    return res.stats
  })
  const moved = (await todos.doc('todo-11').get()).data.progress
  let reason
  try {
    await db.runTransaction(async (transaction) => {
      await transaction.collection('todos').doc('todo-11').update({ data: { progress: 0 } })
      await transaction.rollback(-100)
    })
  } catch (why) {
    reason = why
  }
  const steps = await db.startTransaction()
  await steps.collection('todos').add({ data: { _id: 'by-steps', title: 'by steps' } })
  const committed = await steps.commit()
  const dropped = await db.startTransaction()
  await dropped.collection('todos').add({ data: { _id: 'dropped', title: 'dropped' } })
  await dropped.rollback()
  const { total } = await todos.where({ _id: _.in(['by-steps', 'dropped']) }).count()
  seen.transactions = { done, moved, reason, committed: committed.errMsg, total, kept: (await todos.doc('todo-11').get()).data.progress }
}

async function files() {
  const progress = []
  const uploaded = await new Promise((success, fail) => {
    const task = cloud.uploadFile({ cloudPath: 'pictures/a.png', filePath: places.picture, success, fail })
    task.onProgressUpdate((res) => progress.push(res.progress))
  })
  const links = await cloud.getTempFileURL({ fileList: [uploaded.fileID, { fileID: 'cloud://todo/pictures/none.png', maxAge: 60 }] })
  const got = await cloud.downloadFile({ fileID: uploaded.fileID })
  const text = wx.getFileSystemManager().readFileSync(got.tempFilePath, 'utf8')
  // As it was kept in documents, before.
  const kept = 'cloud://todo-prod-1a2b.746f-todo-prod-1a2b-1300000000/pictures/a.png'
  const [old] = (await cloud.getTempFileURL({ fileList: [kept] })).fileList
  const again = await cloud.downloadFile({ fileID: kept })
  await failing('noList', cloud.getTempFileURL({ fileList: uploaded.fileID }))
  const gone = await cloud.deleteFile({ fileList: [kept] })
  seen.files = {
    uploaded,
    last: progress[progress.length - 1],
    links: links.fileList.map((one) => [one.status, one.maxAge, /^http/.test(one.tempFileURL)]),
    got: [got.statusCode, text, got.errMsg],
    old: [old.fileID === kept, old.status, /^http/.test(old.tempFileURL), again.statusCode],
    gone,
  }
}

async function functions() {
  const { result, errMsg, requestID } = await cloud.callFunction({ name: 'sum', data: { a: 1, b: 2 } })
  seen.callFunction = { result: { ...result, at: result.at.slice(0, 2) }, errMsg, traced: requestID !== '' }
}

async function live() {
  const snapshots = []
  let look = () => undefined
  const until = (count) => new Promise((resolve) => {
    look = () => snapshots.length >= count && resolve()
    look()
  })
  const watcher = todos.where({ live: true }).watch({
    onChange: (snapshot) => {
      snapshots.push(snapshot)
      look()
    },
    onError: (err) => {
      seen.watchFailed = err.errMsg
    },
  })
  await until(1)
  await todos.add({ data: { _id: 'live', title: 'live', live: true } })
  await until(2)
  await todos.doc('live').update({ data: { title: 'still live' } })
  await until(3)
  await todos.doc('live').remove()
  await until(4)
  await watcher.close()
  const newest = await new Promise((resolve) => {
    const all = todos.where({ progress: _.in([5, 6, 7]) }).watch({
      onChange: ({ docs }) => {
        resolve(docs.map((doc) => doc._id))
        all.close()
      },
      onError: resolve,
    })
  })
  seen.order = newest
  seen.watch = snapshots.map(({ id, type, docs, docChanges }) => ({
    id,
    type,
    titles: docs.map((doc) => doc.title),
    changes: docChanges.map((one) => [one.id, one.queueType, one.dataType, one.docId, one.updatedFields && one.updatedFields.title]),
  }))
  await new Promise((resolve) => {
    db.collection('secrets').where({}).watch({
      onChange: () => undefined,
      onError: (err) => {
        seen.watchDenied = err.errCode
        resolve()
      },
    })
  })
}

/** What the test gives: a picture to upload. */
let places = {}

module.exports.run = async (given) => {
  places = given
  await lists()
  await faults()
  await transactions()
  await files()
  await functions()
  await live()
  return JSON.stringify(seen)
}
