/** Accounts and sessions: signing in, staying signed in, signing out. */

import { callBack } from './callbacks.js'
import { BaasError } from './errors.js'
import { Http, TokenSource } from './http.js'
import { decode } from './values.js'

export type LoginType =
  | 'ANONYMOUS'
  | 'USERNAME'
  | 'EMAIL'
  | 'PHONE'
  | 'WECHAT'
  | 'OIDC'
  | 'CUSTOM'

export interface UserInfo {
  uid: string
  loginType: LoginType
  roles: string[]
  username?: string
  profile?: Record<string, any>
  identities?: Record<string, any>
  createTime?: Date
  [more: string]: any
}

export interface SessionInfo {
  id: string
  createTime: Date
  lastUsed: Date
  ip: string
  userAgent: string
  loginType: LoginType
  current: boolean
}

/** What is kept on the device. `expires` in milliseconds since 1970, by this device's clock. */
interface Kept {
  accessToken: string
  refreshToken: string
  expires: number
  user: any
}

/** Refreshed this long before its end, for clocks and ways that are not exact. Milliseconds. */
const EARLY = 30_000
/** Refusals after which the session is over; any other fault (no network) keeps it. */
const OVER = ['SESSION_REVOKED', 'UNAUTHENTICATED', 'TOKEN_EXPIRED', 'INVALID_CREDENTIALS']

export type AuthListener = (user: UserInfo | null) => void

export class Auth implements TokenSource {
  private kept: Kept | null
  private refreshing: Promise<string | null> | null = null
  private listeners: AuthListener[] = []
  private tokenListeners: Array<() => void> = []
  /** Calls of this class carry the token by themselves: they are never refreshed behind it. */
  private readonly bare: Http

  constructor(
    private readonly http: Http,
    private readonly key: string,
  ) {
    this.bare = new Http(http.platform, http.base, http.timeout, http.retries)
    this.kept = this.load()
    http.tokens = this
    const { storage } = http.platform
    if (storage.onChange) {
      storage.onChange((changed) => void ((changed === key || changed === null) && this.adopt()))
    }
  }

  /** Who is signed in on this device, as last heard; null for nobody. */
  get currentUser(): UserInfo | null {
    return this.kept === null ? null : decode(this.kept.user)
  }

  /** Calls back with the user now and at every change; returns how to stop that. */
  onAuthStateChange(listener: AuthListener): () => void {
    this.listeners.push(listener)
    listener(this.currentUser)
    return () => {
      this.listeners = this.listeners.filter((one) => one !== listener)
    }
  }

  /** Calls back whenever the access token has changed. */
  onToken(listener: () => void): void {
    this.tokenListeners.push(listener)
  }

  // -- signing in ------------------------------------------------------------------------------

  signUp(body: { username: string; password: string; profile?: object }): Promise<UserInfo> {
    return this.begin('sign-up', body)
  }

  signInWithPassword(body: { username: string; password: string }): Promise<UserInfo> {
    return this.begin('sign-in/password', body)
  }

  /** A new account without a name. Does nothing where somebody is signed in. */
  async signInAnonymously(): Promise<UserInfo> {
    return this.currentUser || this.begin('sign-in/anonymous', {})
  }

  /** In a mini-program without a code: asks the platform for one. */
  async signInWithWeChat(body?: { code: string }): Promise<UserInfo> {
    return this.begin('sign-in/wechat', body || { code: await this.platformCode('wechat') })
  }

  /** A ticket that your own server signed. */
  signInWithTicket(body: { ticket: string }): Promise<UserInfo> {
    return this.begin('sign-in/ticket', body)
  }

  /** Sends a code to an e-mail address or telephone. */
  async sendCode(body: { email: string } | { phone: string }): Promise<any> {
    return decode(await this.http.post('/v1/auth/code', body, 'once'))
  }

  signInWithCode(body: { email?: string; phone?: string; code: string }): Promise<UserInfo> {
    return this.begin('sign-in/code', body)
  }

  signInWithOidc(provider: string, body: object): Promise<UserInfo> {
    return this.begin(`sign-in/oidc/${encodeURIComponent(provider)}`, body)
  }

  /** Ends the session here and on the server; here even where the server is not there. */
  async signOut(): Promise<void> {
    const { kept } = this
    if (kept === null) return
    try {
      await this.http.post('/v1/auth/sign-out', {}, 'once')
    } catch (fault) {
      if (!(fault instanceof BaasError)) throw fault
    } finally {
      if (this.kept === kept || this.kept === null) this.keep(null)
    }
  }

  // -- the account -----------------------------------------------------------------------------

  /** One more way to sign in to this account: `{method: 'password', username, password}`. */
  link(body: { method: string; [more: string]: any }): Promise<UserInfo> {
    return this.begin('link', body, true)
  }

  async unlink(body: { method: string }): Promise<UserInfo | null> {
    await this.call('unlink', body)
    return this.me()
  }

  async me(): Promise<UserInfo> {
    const user = await this.http.get('/v1/auth/me')
    if (this.kept !== null) this.keep({ ...this.kept, user })
    return decode(user)
  }

  /** Sets members of the profile; null takes one away. */
  async updateProfile(profile: object): Promise<UserInfo> {
    await this.call('profile', profile)
    return this.me()
  }

  changePassword(body: { oldPassword: string; newPassword: string }): Promise<any> {
    return this.call('password/change', body)
  }

  resetPassword(body: object): Promise<any> {
    return this.call('password/reset', body)
  }

  async sessions(): Promise<SessionInfo[]> {
    return (await this.call('sessions', {})).sessions
  }

  /** One session, or all of them. */
  async revokeSession(body: { id: string } | { all: true }): Promise<void> {
    await this.call('sessions/revoke', body)
    if ('all' in body) this.keep(null)
  }

  /** The account itself. Documents that it made stay. */
  async deleteAccount(): Promise<void> {
    await this.call('delete', {})
    this.keep(null)
  }

  // -- tokens ----------------------------------------------------------------------------------

  /** A token that is good for a while, or null for nobody. */
  async token(): Promise<string | null> {
    const { kept } = this
    if (kept === null) return null
    if (kept.expires - EARLY > Date.now()) return kept.accessToken
    return this.refresh()
  }

  renew(refused: string): Promise<string | null> {
    const { kept } = this
    if (kept === null) return Promise.resolve(null)
    if (kept.accessToken !== refused) return Promise.resolve(kept.accessToken)
    return this.refresh()
  }

  /** Once for however many ask. */
  private refresh(): Promise<string | null> {
    if (this.refreshing === null) {
      const refused = (this.kept as Kept).accessToken
      this.refreshing = this.trade(refused).finally(() => {
        this.refreshing = null
      })
    }
    return this.refreshing
  }

  private async trade(refused: string): Promise<string | null> {
    this.adopt()
    const { kept } = this
    if (kept === null) return null
    if (kept.accessToken !== refused && kept.expires - EARLY > Date.now()) return kept.accessToken
    try {
      // An old token yields the same successor again until that is used: safe to repeat.
      const body = { refreshToken: kept.refreshToken }
      const session = await this.bare.post('/v1/auth/refresh', body, 'read')
      if (this.kept === kept) this.keepSession(session)
      return session.accessToken
    } catch (fault) {
      if (!(fault instanceof BaasError) || OVER.indexOf(fault.code) < 0) throw fault
      if (this.kept === kept) this.keep(null)
      throw new BaasError(fault.code, 'The session has ended; sign in again.', fault)
    }
  }

  private async begin(path: string, body: object, asUser = false): Promise<UserInfo> {
    const http = asUser ? this.http : this.bare
    this.keepSession(await http.post(`/v1/auth/${path}`, body, 'once'))
    return this.currentUser as UserInfo
  }

  private async call(path: string, body: object): Promise<any> {
    return decode(await this.http.post(`/v1/auth/${path}`, body, 'once'))
  }

  private async platformCode(method: string): Promise<string> {
    const { login } = this.http.platform
    const found = login ? await login() : null
    if (found === null || found.method !== method) {
      throw new BaasError('NOT_SUPPORTED', `This platform has no ${method} sign-in; pass a code.`)
    }
    return found.code
  }

  // -- what is kept ----------------------------------------------------------------------------

  private keepSession(session: any): void {
    this.keep({
      accessToken: session.accessToken,
      refreshToken: session.refreshToken,
      expires: Date.now() + session.expiresIn * 1000,
      user: session.user,
    })
  }

  private keep(kept: Kept | null): void {
    const { storage } = this.http.platform
    try {
      if (kept === null) storage.remove(this.key)
      else storage.set(this.key, JSON.stringify(kept))
    } catch {
      // The device is full: the session lasts as long as the app does.
    }
    this.become(kept)
  }

  /** Takes over what another tab has stored: its refreshed tokens, which make ours too old to use a
   * second time, somebody else who signed in, or nobody. */
  private adopt(): void {
    if (this.http.platform.storage.onChange === undefined) return
    const stored = this.load()
    const [theirs, ours] = [stored && stored.refreshToken, this.kept && this.kept.refreshToken]
    if (theirs !== ours) this.become(stored)
  }

  private become(kept: Kept | null): void {
    const before = this.kept
    this.kept = kept
    if ((before && before.accessToken) !== (kept && kept.accessToken)) {
      this.tokenListeners.forEach((listener) => listener())
    }
    const changed = JSON.stringify(before && before.user) !== JSON.stringify(kept && kept.user)
    if (changed) this.listeners.slice().forEach((listener) => callBack(() => listener(this.currentUser)))
  }

  private load(): Kept | null {
    try {
      const text = this.http.platform.storage.get(this.key)
      const kept = text ? JSON.parse(text) : null
      return kept && typeof kept.refreshToken === 'string' ? kept : null
    } catch {
      return null
    }
  }
}
