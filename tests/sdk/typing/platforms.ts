/** What the adapters ask of a platform is what its own types say that it has. Compiled, not run. */

import { alipay } from '../../../sdk/baas_sdkgen/runtime/ts/platforms/alipay.js'
import { MiniApi } from '../../../sdk/baas_sdkgen/runtime/ts/platforms/mini.js'
import { wechat } from '../../../sdk/baas_sdkgen/runtime/ts/platforms/wechat.js'

export const asked: MiniApi = wx
export const platform = wechat(wx)

type Called =
  | 'request'
  | 'uploadFile'
  | 'downloadFile'
  | 'connectSocket'
  | 'closeSocket'
  | 'sendSocketMessage'
  | 'onSocketOpen'
  | 'offSocketOpen'
  | 'onSocketMessage'
  | 'offSocketMessage'
  | 'onSocketClose'
  | 'offSocketClose'
  | 'onSocketError'
  | 'offSocketError'
  | 'getStorageSync'
  | 'setStorageSync'
  | 'removeStorageSync'
  | 'getAuthCode'
  | 'onAppShow'
  | 'onNetworkStatusChange'
export const there: Pick<typeof my, Called> = my
export const another = alipay(my)
