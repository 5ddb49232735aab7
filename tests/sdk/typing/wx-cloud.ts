/** The face of wx.cloud is what Tencent's own types say of wx.cloud. Compiled, not run. */

import { cloud } from '../../../sdk/baas_sdkgen/runtime/ts/wx-cloud.js'

type Calls = 'callFunction' | 'uploadFile' | 'downloadFile' | 'getTempFileURL' | 'deleteFile'
export const calls: Pick<WxCloud, Calls> = cloud

const database = cloud.database()
export const collection: DB.CollectionReference = database.collection('posts')
export const document: DB.DocumentReference = database.collection('posts').doc('a')
export const query: DB.Query = database.collection('posts').where({ a: 1 })
export const aggregate: DB.Aggregate = database.collection('posts').aggregate()
export const command: Omit<DB.DatabaseCommand, 'project' | 'aggregate' | 'bit'> = database.command
export const operators: Pick<DB.DatabaseCommand['aggregate'], 'sum' | 'push' | 'cond' | 'neq'> = database.command
  .aggregate as any

/** As existing programs write it: results are typed, and callbacks give nothing back. */
export async function existing(): Promise<void> {
  const _ = database.command
  const found: DB.IQueryResult = await database.collection('posts').where({ likes: _.gt(1).and(_.lt(5)) }).get()
  const one: DB.IQuerySingleResult = await database.collection('posts').doc('a').get()
  const added: DB.IAddResult = await database.collection('posts').add({ data: { title: 'x' } })
  const changed: DB.IUpdateResult = await database.collection('posts').doc('a').update({ data: { n: _.inc(1) } })
  const nothing: void = database.collection('posts').get({ success: (result) => result.data.length })
  const task: WechatMiniprogram.UploadTask = cloud.uploadFile({
    cloudPath: 'a',
    filePath: 'b',
    success: (result) => result.fileID,
    fail: (fault) => fault.errCode,
  })
  // @ts-expect-error data is needed
  await database.collection('posts').add({})
  // @ts-expect-error there is no such result
  found.list
  console.log(one, added, changed, nothing, task)
}

declare const console: { log(...said: unknown[]): void }
