/**
 * What the SDK needs of the place it runs in. One small adapter each for browsers, Node, WeChat,
 * Alipay, uni-app and Taro (platforms/); the rest of the SDK knows nothing else of its place.
 */

export interface HttpRequest {
  /** No platform needs more: some mini-programs have nothing else. */
  method: 'GET' | 'POST'
  url: string
  headers: Record<string, string>
  body?: string
  /** Milliseconds. */
  timeout: number
  signal?: Signal
}

export interface HttpAnswer {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  body: string
}

export interface Progress {
  loaded: number
  /** Unknown: undefined. */
  total?: number
}

export interface UploadRequest {
  url: string
  headers: Record<string, string>
  /** Sent before the file. */
  fields: Record<string, string>
  /** A path on platforms with paths, else a Blob, bytes or text. */
  file: unknown
  contentType?: string
  timeout: number
  signal?: Signal
  onProgress?: (progress: Progress) => void
}

export interface DownloadRequest {
  url: string
  headers: Record<string, string>
  timeout: number
  signal?: Signal
  onProgress?: (progress: Progress) => void
}

/** `file` is a temporary path where the platform has paths, else the bytes (Blob, Uint8Array). */
export interface Downloaded {
  status: number
  headers: Record<string, string>
  file: unknown
  /** Where `status` is no success: the answer's text, as far as the platform shows it. */
  text: string
}

/** A WebSocket. Handlers are set before anything can arrive. */
export interface Socket {
  send(text: string): void
  close(): void
}

export interface SocketHandlers {
  open(): void
  message(text: string): void
  /** Once, after an error too. */
  closed(code: number, reason: string): void
}

/** The part of AbortSignal that is used; platforms without it get ours (`Abort`). */
export interface Signal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export interface Platform {
  name: string
  /** Rejects with anything where no answer came. */
  request(request: HttpRequest): Promise<HttpAnswer>
  upload(request: UploadRequest): Promise<HttpAnswer>
  download(request: DownloadRequest): Promise<Downloaded>
  /** Undefined where there are no sockets: then the SDK polls. */
  connect?(url: string, handlers: SocketHandlers): Socket
  /** Small texts that outlive the app. */
  storage: {
    get(key: string): string | null
    set(key: string, value: string): void
    remove(key: string): void
    /** Where several may write at once (tabs): all keys, so that each text has its own. */
    keys?(): string[]
    /** Calls back where somebody else (another tab) has changed a key. */
    onChange?(call: (key: string | null) => void): void
  }
  /** The platform's own sign-in, as far as it has one: the code for `sign-in/...`. */
  login?(): Promise<{ method: string; code: string }>
  /** Calls back whenever the app comes to the front or the network comes back. */
  onResume?(call: () => void): void
}

/** For platforms without AbortController. */
export class Abort implements Signal {
  aborted = false
  private listeners: Array<() => void> = []

  get signal(): Signal {
    return this
  }

  abort(): void {
    if (this.aborted) return
    this.aborted = true
    const listeners = this.listeners
    this.listeners = []
    listeners.forEach((listener) => listener())
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.listeners = this.listeners.filter((one) => one !== listener)
  }
}

export function memoryStorage(): Platform['storage'] {
  const kept = new Map<string, string>()
  return {
    get: (key) => (kept.has(key) ? (kept.get(key) as string) : null),
    set: (key, value) => void kept.set(key, value),
    remove: (key) => void kept.delete(key),
  }
}
