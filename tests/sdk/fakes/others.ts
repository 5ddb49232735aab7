/** uni-app and Taro, over the fake of `wx`: the same calls, with promises of their own. */

const TASKS = ['request', 'uploadFile', 'downloadFile']

/** Without one of the three callbacks a call gives a promise, `connectSocket` too: and so no task. */
export function asUni(wx: any): any {
  return new Proxy(wx, {
    get: (target, name) => {
      if (![...TASKS, 'connectSocket'].includes(name as string)) return target[name]
      return (options: any) => {
        const { success, fail, complete } = options
        if (success || fail || complete) return target[name](options)
        return new Promise((resolve, reject) => target[name]({ ...options, success: resolve, fail: reject }))
      }
    },
  })
}

/** A call gives a promise that is a task as well, and is refused beside `fail`; a socket's task comes
 * by promise alone. */
export function asTaro(wx: any): any {
  return new Proxy(wx, {
    get: (target, name) => {
      if (name === 'connectSocket') return (options: any) => Promise.resolve(target.connectSocket(options))
      if (!TASKS.includes(name as string)) return target[name]
      return (options: any) => {
        let task: any
        const promise = new Promise((resolve, reject) => {
          task = target[name]({
            ...options,
            success: (found: any) => (options.success && options.success(found), resolve(found)),
            fail: (fault: any) => (options.fail && options.fail(fault), reject(fault)),
          })
        })
        return Object.assign(promise, task)
      }
    },
  })
}
