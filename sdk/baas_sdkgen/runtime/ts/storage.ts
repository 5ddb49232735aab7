/** Files: upload, download, links. */

import { BaasError, errorOf } from './errors.js'
import { CallOptions, Http } from './http.js'
import { Downloaded, HttpAnswer, Progress } from './platform.js'
import { decode, encode } from './values.js'

export interface StoredFile {
  fileID: string
  path: string
  size: number
  contentType: string
  hash: string
  openid: string | null
  metadata: Record<string, any>
  createTime: Date
  updateTime: Date
}

export interface TransferOptions extends CallOptions {
  onProgress?: (progress: Progress) => void
}

export interface UploadOptions extends TransferOptions {
  /** Where it will be: `avatars/u1/me.png`. */
  cloudPath: string
  /** The file's path, on platforms with paths. */
  filePath?: string
  /** Elsewhere a Blob, File, bytes or text. */
  file?: unknown
  contentType?: string
  metadata?: Record<string, any>
}

export interface ImageOptions {
  w?: number
  h?: number
  fit?: string
  format?: string
  q?: number
}

export interface Download {
  /** A temporary path where the platform has paths; else undefined. */
  tempFilePath: string | undefined
  /** The bytes where the platform has none: Blob in browsers, Uint8Array in Node. */
  data: any
  contentType: string
}

/** A file is named by its path or its `fileID` (`cloud://app/path`). */
type Name = string

const SCHEME = 'cloud://'
/** Files are large and networks slow: an upload or download may take this long. Milliseconds. */
const TRANSFER_TIMEOUT = 600_000

export class Storage {
  constructor(private readonly http: Http) {}

  async uploadFile(options: UploadOptions): Promise<StoredFile> {
    const { cloudPath, metadata, contentType } = options
    const file = options.file === undefined ? options.filePath : options.file
    if (file === undefined) throw new BaasError('INVALID_ARGUMENT', 'filePath or file is missing')
    const fields: Record<string, string> = { path: cloudPath }
    if (metadata !== undefined) fields.metadata = JSON.stringify(encode(metadata))
    const headers: Record<string, string> = {}
    const limits = { timeout: TRANSFER_TIMEOUT, ...options }
    // Once: whether a broken upload has replaced the file is not known, and files are large.
    const answer = await this.http.attempt(limits, 'once', headers, (timeout) =>
      this.http.platform.upload({
        url: `${this.http.base}/v1/storage/upload`,
        headers,
        fields,
        file,
        contentType,
        timeout,
        signal: options.signal,
        onProgress: options.onProgress,
      }),
    )
    return fileOf(JSON.parse(answer.body))
  }

  async downloadFile(options: TransferOptions & { fileID: Name; image?: ImageOptions }): Promise<Download> {
    const url = this.url(options.fileID, options.image)
    const headers: Record<string, string> = {}
    const limits = { timeout: TRANSFER_TIMEOUT, ...options }
    const found = await this.http.attempt(limits, 'read', headers, async (timeout) => {
      const got = await this.http.platform.download({
        url,
        headers,
        timeout,
        signal: options.signal,
        onProgress: options.onProgress,
      })
      return { ...got, body: got.text } as Downloaded & HttpAnswer
    })
    const path = typeof found.file === 'string' ? found.file : undefined
    const contentType = found.headers['content-type'] || ''
    return { tempFilePath: path, data: path === undefined ? found.file : undefined, contentType }
  }

  /** Links that work without a token until they expire. Each file by itself: see `status`. */
  async getTempFileURL(options: {
    fileList: Array<Name | { fileID: Name; maxAge?: number }>
  }): Promise<{ fileList: TempFile[] }> {
    const wanted = options.fileList.map((one) => (typeof one === 'string' ? { fileID: one } : one))
    const files = wanted.map((one: { fileID: Name; maxAge?: number }) => ({
      ...naming(one.fileID),
      ...(one.maxAge === undefined ? {} : { expires: one.maxAge }),
    }))
    const answer = await this.http.post('/v1/storage/sign', { files }, 'read')
    return {
      fileList: answer.files.map((file: any, place: number) => ({
        fileID: wanted[place].fileID,
        tempFileURL: file.url === undefined ? '' : this.absolute(file.url),
        status: file.code === undefined ? 0 : 1,
        code: file.code || 'SUCCESS',
        errMsg: file.detail || 'ok',
      })),
    }
  }

  async deleteFile(options: { fileList: Name[] }): Promise<{ fileList: DeletedFile[] }> {
    const files = options.fileList.map(naming)
    const answer = await this.http.post('/v1/storage/delete', { files }, 'key')
    return {
      fileList: answer.files.map((file: any, place: number) => ({
        fileID: options.fileList[place],
        status: file.code === undefined ? 0 : 1,
        code: file.code || 'SUCCESS',
        errMsg: file.detail || 'ok',
      })),
    }
  }

  async stat(name: Name): Promise<StoredFile> {
    return fileOf(await this.http.post('/v1/storage/stat', naming(name), 'read'))
  }

  async list(
    options: { prefix?: string; limit?: number; after?: string } = {},
  ): Promise<{ files: StoredFile[]; next: string | null }> {
    const answer = await this.http.post('/v1/storage/list', options, 'read')
    return { files: answer.files.map(fileOf), next: answer.next }
  }

  async copy(from: Name, to: Name): Promise<StoredFile> {
    return fileOf(await this.http.post('/v1/storage/copy', { from, to }, 'key'))
  }

  async move(from: Name, to: Name): Promise<StoredFile> {
    return fileOf(await this.http.post('/v1/storage/move', { from, to }, 'key'))
  }

  /** The address of a file that everybody may read. */
  url(name: Name, image: ImageOptions = {}): string {
    const path = pathOf(name).split('/').map(segment).join('/')
    const query = Object.keys(image)
      .filter((key) => (image as any)[key] !== undefined)
      .map((key) => `${key}=${encodeURIComponent((image as any)[key])}`)
      .join('&')
    return `${this.http.base}/v1/storage/files/${path}${query && `?${query}`}`
  }

  private absolute(url: string): string {
    return url[0] === '/' ? this.http.base + url : url
  }
}

export interface TempFile {
  fileID: string
  tempFileURL: string
  /** 0, or 1 where there is no link: then `code` says why. */
  status: number
  code: string
  errMsg: string
}

export interface DeletedFile {
  fileID: string
  status: number
  code: string
  errMsg: string
}

/** `..` would be another address than a file's, however it is spelled. */
function segment(text: string): string {
  if (text === '.' || text === '..') throw new BaasError('INVALID_ARGUMENT', 'a file is named by its whole path')
  return encodeURIComponent(text)
}

function naming(name: Name): { fileId: string } | { path: string } {
  return name.indexOf(SCHEME) === 0 ? { fileId: name } : { path: name }
}

/** Of the file, whichever app its `fileID` names. */
export function pathOf(name: Name): string {
  if (name.indexOf(SCHEME) !== 0) return name
  const rest = name.slice(SCHEME.length)
  return rest.slice(rest.indexOf('/') + 1)
}

function fileOf(wire: any): StoredFile {
  const { fileId, ...rest } = decode(wire)
  return { fileID: fileId, ...rest }
}

export { errorOf }
