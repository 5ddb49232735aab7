/** WeChat mini-programs: `wx.*`. */

import { Platform } from '../platform.js'
import { mini, MiniApi } from './mini.js'

declare const wx: MiniApi

export function wechat(api: MiniApi = wx): Platform {
  return mini('wechat', api, 'wechat')
}
