/** Taro: pass the object itself, `taro(Taro)`, since it is an import and no global. */

import { Platform, Socket, SocketHandlers } from '../platform.js'
import { mini, MiniApi } from './mini.js'

export function taro(api: MiniApi): Platform {
  return {
    ...mini('taro', api, 'wechat'),
    connect: (url, handlers) => connect(api, url, handlers),
  }
}

/** `Taro.connectSocket` gives a promise of the task. */
function connect(api: MiniApi, url: string, handlers: SocketHandlers): Socket {
  let task: any = null
  let over = false
  const closed = (code: number, reason: string) => {
    if (!over) handlers.closed(code, reason)
    over = true
  }
  Promise.resolve(api.connectSocket({ url })).then(
    (found: any) => {
      task = found
      if (over) return task.close({})
      task.onOpen(() => handlers.open())
      task.onMessage((message: any) => handlers.message(String(message.data)))
      task.onClose((end: any) => closed((end && end.code) || 1006, (end && end.reason) || ''))
      task.onError(() => closed(1006, ''))
    },
    (fault) => closed(1006, String((fault && fault.errMsg) || fault)),
  )
  return {
    send: (data) => task.send({ data }),
    close: () => {
      over = true
      if (task !== null) task.close({})
    },
  }
}
