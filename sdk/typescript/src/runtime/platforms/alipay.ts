/** Alipay mini-programs: `my.*`, brought into the manner of `wx`. */

import { Platform } from '../platform.js'
import { mini, MiniApi } from './mini.js'

declare const my: any

export function alipay(api: any = my): Platform {
  return { ...mini('alipay', inTheMannerOfWx(api), 'alipay'), login: () => login(api) }
}

function inTheMannerOfWx(api: any): MiniApi {
  return {
    request: (options) =>
      api.request({
        ...options,
        headers: options.header,
        // An answer that is no success comes as a failure that carries it.
        success: (answer: any) => options.success(asAnswer(answer)),
        fail: (fault: any) =>
          fault && (fault.status || fault.statusCode)
            ? options.success(asAnswer(fault))
            : options.fail(fault),
      }),
    uploadFile: (options) =>
      api.uploadFile({
        ...options,
        fileName: options.name,
        fileType: typeOf(options.filePath),
        headers: options.header,
        success: (answer: any) => options.success(asAnswer(answer)),
      }),
    downloadFile: (options) =>
      api.downloadFile({
        ...options,
        headers: options.header,
        success: (answer: any) =>
          options.success({
            ...asAnswer(answer),
            statusCode: answer.statusCode || 200,
            tempFilePath: answer.apFilePath || answer.tempFilePath,
          }),
      }),
    connectSocket: (options) => {
      const task = api.connectSocket({ ...options, multiple: true })
      return {
        onOpen: (call: any) => task.onOpen(call),
        onMessage: (call: any) => task.onMessage((found: any) => call(found.data.data ? found.data : found)),
        onClose: (call: any) => task.onClose((found: any) => call(found && found.data ? found.data : found)),
        onError: (call: any) => task.onError(call),
        send: (message: any) => task.send(message),
        close: (how: any) => task.close(how),
      }
    },
    getStorageSync: (key) => api.getStorageSync({ key }).data,
    setStorageSync: (key, data) => void api.setStorageSync({ key, data }),
    removeStorageSync: (key) => void api.removeStorageSync({ key }),
    onNetworkStatusChange: api.onNetworkStatusChange && ((call) => api.onNetworkStatusChange(call)),
    onAppShow: api.onAppShow && ((call) => api.onAppShow(call)),
  }
}

function asAnswer(answer: any): any {
  return {
    statusCode: answer.statusCode || answer.status,
    header: answer.headers || answer.header,
    data: answer.data,
  }
}

function typeOf(path: string): 'image' | 'video' | 'audio' | 'file' {
  if (/\.(jpe?g|png|gif|webp|heic)$/i.test(path)) return 'image'
  if (/\.(mp4|mov|m4v)$/i.test(path)) return 'video'
  return /\.(mp3|m4a|aac|wav)$/i.test(path) ? 'audio' : 'file'
}

function login(api: any): Promise<{ method: string; code: string }> {
  return new Promise((resolve, reject) =>
    api.getAuthCode({
      scopes: 'auth_base',
      success: (found: any) => resolve({ method: 'alipay', code: found.authCode }),
      fail: reject,
    }),
  )
}
