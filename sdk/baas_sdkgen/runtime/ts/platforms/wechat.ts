/** WeChat mini-programs: `wx.*`. */

import { Platform } from '../platform'
import { mini, MiniApi } from './mini'

declare const wx: MiniApi

export function wechat(api: MiniApi = wx): Platform {
  return mini('wechat', api, 'wechat')
}
