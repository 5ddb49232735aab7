/**
 * The face of `wx.cloud`: an existing mini-program changes its import and its `init`.
 *
 *     import { cloud } from './baas/wx-cloud.js'
 *     cloud.init({ url: 'https://board.example' })      // instead of wx.cloud.init({ env })
 *     const db = cloud.database()
 *     db.collection('posts').add({ data: { title: 'Hello' }, success: (res) => ... })
 *
 * Calls, results, callbacks and errCode are those of `wx.cloud`. The first call signs in by
 * `wx.login`; where the gateway has no WeChat set up, anonymously. What is not the same stands in
 * docs/decisions/wx-cloud.md.
 */

import { BaasError } from './errors.js'
import { parsed } from './http.js'
import { Cloud } from './index.js'
import { Abort, Platform, Progress } from './platform.js'
import { wechat } from './platforms/wechat.js'
import { WxDatabase } from './wx-database.js'
import { Called, Callbacks, numberOf, Silent, Told, told, WxCloudError } from './wx-errors.js'
import { pathOf } from './storage.js'
import { encode } from './values.js'
import { withTexts } from './wx-values.js'

export interface InitOptions {
  /** The gateway. */
  url: string
  /** Taken and not needed: one gateway is one environment. */
  env?: string | object
  traceUser?: boolean
  /** `wx` unless given. */
  platform?: Platform
  /** How the first call signs in. */
  signIn?: 'wechat' | 'anonymous' | 'none'
}

export interface CallFunctionOptions {
  name: string
  data?: any
  config?: object
}
export interface UploadFileOptions {
  cloudPath: string
  filePath: string
  header?: object
  config?: object
}
export interface DownloadFileOptions {
  fileID: string
  config?: object
}
export interface GetTempFileURLOptions {
  fileList: Array<string | { fileID: string; maxAge?: number }>
  config?: object
}
export interface DeleteFileOptions {
  fileList: string[]
  config?: object
}

export type CallFunctionResult = Told<{ result: any; requestID: string }>
export type UploadFileResult = Told<{ fileID: string; statusCode: number }>
export type DownloadFileResult = Told<{ tempFilePath: string; statusCode: number }>
export type GetTempFileURLResult = Told<{
  fileList: Array<{ fileID: string; tempFileURL: string; maxAge: number; status: number; errMsg: string }>
}>
export type DeleteFileResult = Told<{ fileList: Array<{ fileID: string; status: number; errMsg: string }> }>

/** Seconds that a link lasts unless the caller says. */
const LINK_LASTS = 900

/** Of an upload or download with callbacks. */
class Task {
  private readonly stop = new Abort()
  private listeners: Array<(state: any) => void> = []

  constructor(private readonly words: [done: string, total: string]) {}

  get signal(): Abort {
    return this.stop
  }

  abort(): void {
    this.stop.abort()
  }
  onProgressUpdate(listener: (state: any) => void): void {
    this.listeners.push(listener)
  }
  offProgressUpdate(listener?: (state: any) => void): void {
    this.listeners = listener === undefined ? [] : this.listeners.filter((one) => one !== listener)
  }
  /** There are none to tell. */
  onHeadersReceived(_listener: (state: any) => void): void {}
  offHeadersReceived(_listener?: (state: any) => void): void {}

  readonly onProgress = ({ loaded, total = 0 }: Progress): void => {
    const [done, whole] = this.words
    const progress = total ? Math.floor((loaded / total) * 100) : 0
    this.listeners.forEach((listener) => listener({ progress, [done]: loaded, [whole]: total }))
  }
}

export class WxCloud {
  private opened: Cloud | null = null
  private how: InitOptions['signIn'] = 'wechat'
  private entering: Promise<unknown> | null = null

  init(options: InitOptions): void {
    const url = options && options.url
    if (typeof url !== 'string') throw new TypeError('cloud.init: url, the address of the gateway, is missing')
    this.how = options.signIn || 'wechat'
    this.opened = new Cloud({ url, platform: options.platform || wechat() })
    this.entering = null
  }

  /** The client behind this face, for all that `wx.cloud` has no word for. */
  get client(): Cloud {
    if (this.opened === null) {
      throw new BaasError('INVALID_ARGUMENT', 'Cloud API is not enabled: call cloud.init({ url })')
    }
    return this.opened
  }

  /** The client, once somebody is signed in. */
  async entered(): Promise<Cloud> {
    const { client } = this
    if (this.entering === null || this.signedOut(client)) {
      this.entering = this.enter(client).catch((fault) => {
        this.entering = null
        throw fault
      })
    }
    await this.entering
    return client
  }

  /** A session that ended is begun anew, as `wx.cloud` never asks anybody to sign in. */
  private signedOut(client: Cloud): boolean {
    return this.how !== 'none' && this.settled && client.auth().currentUser === null
  }
  private settled = false

  private async enter(client: Cloud): Promise<void> {
    this.settled = false
    await this.signIn(client)
    this.settled = true
  }

  private async signIn(client: Cloud): Promise<void> {
    const auth = client.auth()
    if (this.how === 'none') return
    // A session from last time may be over by now: then this forgets it.
    await auth.token().catch(() => null)
    if (auth.currentUser !== null) return
    if (this.how === 'wechat') {
      try {
        await auth.signInWithWeChat()
        return
      } catch (fault) {
        if (!(fault instanceof BaasError) || fault.code !== 'NOT_SUPPORTED') throw fault
      }
    }
    await auth.signInAnonymously()
  }

  database(_options?: { env?: string }): WxDatabase {
    return new WxDatabase(this)
  }

  callFunction(options: CallFunctionOptions & Called<CallFunctionResult>): void
  callFunction(options: CallFunctionOptions & Silent): Promise<CallFunctionResult>
  callFunction(options: CallFunctionOptions & Callbacks<any>): any {
    return told('cloud.callFunction', 'functions', options, async () => {
      const { name, data = {} } = options
      if (typeof name !== 'string') throw new TypeError('parameter.name should be String')
      const { http } = await this.entered()
      const path = `/v1/functions/${encodeURIComponent(name)}`
      const answer = await http.send('POST', path, JSON.stringify(encode(data)), 'key', {})
      const result = withTexts(parsed(answer.body))
      return { result, requestID: answer.headers['x-request-id'] || '' }
    })
  }

  uploadFile(options: UploadFileOptions & Called<UploadFileResult>): Task
  uploadFile(options: UploadFileOptions & Silent): Promise<UploadFileResult>
  uploadFile(options: UploadFileOptions & Callbacks<any>): any {
    const { cloudPath, filePath } = options
    const task = new Task(['totalBytesSent', 'totalBytesExpectedToSend'])
    const { signal, onProgress } = task
    const call = async () => {
      const file = await (await this.entered()).uploadFile({ cloudPath, filePath, signal, onProgress })
      return { fileID: file.fileID, statusCode: 204 }
    }
    return told('cloud.uploadFile', 'storage', options, call) || task
  }

  downloadFile(options: DownloadFileOptions & Called<DownloadFileResult>): Task
  downloadFile(options: DownloadFileOptions & Silent): Promise<DownloadFileResult>
  downloadFile(options: DownloadFileOptions & Callbacks<any>): any {
    const { fileID } = options
    const task = new Task(['totalBytesWritten', 'totalBytesExpectedToWrite'])
    const { signal, onProgress } = task
    const call = async () => {
      const found = await (await this.entered()).downloadFile({ fileID, signal, onProgress })
      return { tempFilePath: found.tempFilePath, statusCode: 200 }
    }
    return told('cloud.downloadFile', 'storage', options, call) || task
  }

  getTempFileURL(options: GetTempFileURLOptions & Called<GetTempFileURLResult>): void
  getTempFileURL(options: GetTempFileURLOptions & Silent): Promise<GetTempFileURLResult>
  getTempFileURL(options: GetTempFileURLOptions & Callbacks<any>): any {
    return told('cloud.getTempFileURL', 'storage', options, async () => {
      const wanted = listOf(options).map((one) => (typeof one === 'string' ? { fileID: one } : one))
      const files = wanted.map((one) => ({ ...one, fileID: named(one.fileID) }))
      const { fileList } = await (await this.entered()).getTempFileURL({ fileList: files })
      return {
        fileList: fileList.map(({ tempFileURL, code, errMsg }, place) => {
          const { fileID, maxAge = LINK_LASTS } = wanted[place]
          return { fileID, tempFileURL, maxAge, ...statusOf(code, errMsg) }
        }),
      }
    })
  }

  deleteFile(options: DeleteFileOptions & Called<DeleteFileResult>): void
  deleteFile(options: DeleteFileOptions & Silent): Promise<DeleteFileResult>
  deleteFile(options: DeleteFileOptions & Callbacks<any>): any {
    return told('cloud.deleteFile', 'storage', options, async () => {
      const wanted = listOf(options)
      const { fileList } = await (await this.entered()).deleteFile({ fileList: wanted.map(named) })
      return {
        fileList: fileList.map(({ code, errMsg }, place) => ({ fileID: wanted[place], ...statusOf(code, errMsg) })),
      }
    })
  }
}

function listOf<T>(options: { fileList: T[] }): T[] {
  if (!options || !Array.isArray(options.fileList)) throw new TypeError('parameter.fileList should be Array')
  return options.fileList
}

/** By its path: a `fileID` that was kept since `wx.cloud` names an environment that there is no more. */
function named(fileID: string): string {
  if (typeof fileID !== 'string') throw new TypeError('parameter.fileID should be String')
  return pathOf(fileID)
}

/** Of one file in a list: 0, or the number of what was wrong. */
function statusOf(code: string, errMsg: string): { status: number; errMsg: string } {
  return code === 'SUCCESS' ? { status: 0, errMsg: 'ok' } : { status: numberOf('storage', code), errMsg }
}

export const cloud = new WxCloud()
export { WxCloudError }
export type { Task as WxTransferTask }
export type { WxCollection, WxDatabase, WxDocument, WxQuery } from './wx-database.js'
