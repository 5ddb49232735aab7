/** What went wrong, as the gateway says it (docs/errors.md) or as the network did. */

/** Codes that the client itself makes; every other `code` is the gateway's or a function's own. */
export type ClientCode = 'NETWORK' | 'TIMEOUT' | 'ABORTED' | 'BAD_ANSWER' | 'UNKNOWN_OUTCOME'

export interface FieldError {
  path: string
  message: string
}

/** `status` is the HTTP status, 0 where no answer came. `requestId` finds the line in the logs. */
export class BaasError extends Error {
  readonly code: string
  readonly status: number
  readonly requestId: string
  readonly errors: FieldError[]
  /** Seconds after which it may work. */
  readonly retryAfter: number | undefined
  /** A transaction's operation that was refused, from 0. */
  readonly operation: number | undefined

  constructor(code: string, message: string, more: Partial<BaasError> = {}) {
    super(`${code}: ${message}`)
    // Where ES5 code extends it, the prototype would be Error's.
    Object.setPrototypeOf(this, BaasError.prototype)
    this.name = 'BaasError'
    this.code = code
    this.status = more.status || 0
    this.requestId = more.requestId || ''
    this.errors = more.errors || []
    this.retryAfter = more.retryAfter
    this.operation = more.operation
  }
}

/** Some platforms give the status of an answer and nothing of what it said. */
const BY_STATUS: Record<number, string> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'CONFLICT',
  413: 'PAYLOAD_TOO_LARGE',
  429: 'RATE_LIMITED',
}

/** The error of an answer that is a problem document (RFC 9457), or of one that is not. */
export function errorOf(status: number, body: string, retryAfter?: string): BaasError {
  let problem: any = null
  try {
    problem = JSON.parse(body)
  } catch {
    // A proxy's page: said below.
  }
  const seconds = retryAfter === undefined ? NaN : Number(retryAfter)
  const more = { status, retryAfter: isFinite(seconds) ? seconds : undefined }
  if (problem === null || typeof problem !== 'object' || typeof problem.code !== 'string') {
    const silent = body === '' ? BY_STATUS[status] : undefined
    const code = silent || (status === 503 || status === 502 ? 'UNAVAILABLE' : 'BAD_ANSWER')
    return new BaasError(code, `The server answered ${status} without a problem.`, more)
  }
  return new BaasError(problem.code, problem.detail || problem.title || '', {
    ...more,
    requestId: problem.requestId,
    errors: problem.errors,
    operation: problem.operation,
  })
}
