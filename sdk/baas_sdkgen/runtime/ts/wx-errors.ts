/** Errors and callbacks in the manner of `wx.cloud`: numbers from its table of error codes. */

import { BaasError } from './errors.js'

export interface Callbacks<R> {
  success?(result: R): void
  fail?(error: WxCloudError): void
  complete?(result: R | WxCloudError): void
}

/** With a callback nothing is returned; without one, a promise. */
export type Called<R> = Callbacks<R> &
  ({ success(result: R): void } | { fail(error: WxCloudError): void } | { complete(result: any): void })
export interface Silent {
  config?: object
  success?: undefined
  fail?: undefined
  complete?: undefined
}

export type Told<R> = R & { errMsg: string }

export type Area = 'database' | 'storage' | 'functions' | 'cloud'

/** What a number means, in the words that programs look for. */
const MEANINGS: Record<number, string> = {
  [-401002]: 'invalid api parameters',
  [-403001]: 'file exceeds the size limit',
  [-501001]: 'resource system error',
  [-501002]: 'resource server timeout',
  [-501003]: 'exceed request limit',
  [-501004]: 'exceed concurrent request limit',
  [-501007]: 'invalid parameters',
  [-501021]: 'operation not supported',
  [-502001]: 'database request fail',
  [-502003]: 'database permission denied',
  [-502011]: 'database operation timeout',
  [-503001]: 'storage request fail',
  [-503002]: 'storage permission denied',
  [-503003]: 'storage file not exists',
  [-504001]: 'functions request fail',
  [-504002]: 'functions execute fail',
  [-601003]: 'network error',
  [-601004]: 'no permission to use the api',
  [-604101]: 'no permission to call the function',
  [-604102]: 'function call timeout',
}

/** By the gateway's code; `database`, `storage` and `functions` have some of their own. */
const NUMBERS: Record<string, number> = {
  INVALID_ARGUMENT: -501007,
  VALIDATION_FAILED: -501007,
  RATE_LIMITED: -501004,
  QUOTA_EXCEEDED: -501003,
  TIMEOUT: -501002,
  QUERY_TIMEOUT: -501002,
  NETWORK: -601003,
  UNAUTHENTICATED: -601004,
  NOT_SUPPORTED: -501021,
  UNAVAILABLE: -501001,
  INTERNAL: -501001,
}
const OWN: Record<Area, Record<string, number>> = {
  cloud: {},
  database: { PERMISSION_DENIED: -502003, NOT_FOUND: -1, QUERY_TIMEOUT: -502011 },
  storage: { PERMISSION_DENIED: -503002, NOT_FOUND: -503003, PAYLOAD_TOO_LARGE: -403001 },
  functions: { PERMISSION_DENIED: -604101, NOT_FOUND: -504001, FUNCTION_TIMEOUT: -604102 },
}
const OTHERS: Record<Area, number> = {
  cloud: -1,
  database: -502001,
  storage: -503001,
  functions: -504002,
}

export function numberOf(area: Area, code: string): number {
  const own = OWN[area][code]
  return own !== undefined ? own : NUMBERS[code] || OTHERS[area]
}

/** `errCode` and `errMsg` as `wx.cloud` gives them, `code` and `requestId` as the gateway does. */
export class WxCloudError extends Error {
  readonly errCode: number
  readonly errMsg: string
  readonly code: string
  readonly requestId: string

  constructor(api: string, area: Area, fault: BaasError) {
    const errCode = fault.code === 'ARGUMENT' ? -401002 : numberOf(area, fault.code)
    const said = fault.message.replace(`${fault.code}: `, '')
    const meaning = MEANINGS[errCode]
    const errMsg = `${api}:fail ${meaning === undefined ? said : `${errCode} ${meaning} | errMsg: ${said}`}`
    super(errMsg)
    Object.setPrototypeOf(this, WxCloudError.prototype)
    this.name = 'WxCloudError'
    this.errCode = errCode
    this.errMsg = errMsg
    this.code = fault.code
    this.requestId = fault.requestId
  }
}

/** Any fault as `wx.cloud` tells it. Wrong arguments are found before anything is sent. */
export function asWxError(api: string, area: Area, fault: any): any {
  if (fault instanceof TypeError || fault instanceof RangeError) {
    fault = new BaasError('ARGUMENT', fault.message)
  }
  return fault instanceof BaasError ? new WxCloudError(api, area, fault) : fault
}

/** Runs a call for its callbacks, or for its promise where there are none. */
export function told<R extends object>(
  api: string,
  area: Area,
  callbacks: Callbacks<any> | undefined,
  call: () => Promise<R>,
): any {
  const promise = Promise.resolve()
    .then(call)
    .then(
      (result) => ({ ...result, errMsg: `${api}:ok` }),
      (fault) => {
        throw asWxError(api, area, fault)
      },
    )
  const { success, fail, complete } = callbacks || {}
  if (!success && !fail && !complete) return promise
  promise.then(
    (result) => {
      if (success) success(result)
      if (complete) complete(result)
    },
    (fault) => {
      if (fail) fail(fault)
      if (complete) complete(fault)
    },
  )
  return undefined
}
