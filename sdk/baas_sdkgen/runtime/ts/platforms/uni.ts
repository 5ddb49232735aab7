/** uni-app: `uni.*`, on every platform it builds for. */

import { Platform } from '../platform.js'
import { mini, MiniApi } from './mini.js'

declare const uni: MiniApi

export function uniapp(api: MiniApi = uni): Platform {
  return mini('uni', api, 'wechat')
}
