/**
 * A network that fails: a proxy in front of the gateway that refuses, loses, halves, delays and
 * repeats what goes through it, and cuts or freezes sockets. What is planned happens to the next
 * requests, one each.
 */

import http from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'

export type Fault =
  | 'refuse' // the connection ends before the request is passed on
  | 'lose' // the request is carried out, and its answer never comes
  | 'half' // half of the answer comes, then the end
  | 'hang' // neither answer nor end
  | 'twice' // the request is carried out twice; the second answer comes
  | 'page' // a proxy's own page, 502
  | 'slow' // the answer comes after a second

export interface Seen {
  path: string
  key: string | undefined
  /** What the gateway answered; 0 where it was not asked. */
  status: number
}

export class Flaky {
  readonly seen: Seen[] = []
  readonly sockets: Duplex[] = []
  /** As some proxies are: requests pass, sockets do not. */
  noSockets = false
  private plan: Array<{ path: RegExp; fault: Fault }> = []
  private always: Fault | null = null
  private frozen = false
  private readonly server = http.createServer((asked, answer) =>
    // Whoever breaks off in the middle gets no answer.
    this.pass(asked, answer).catch(() => answer.destroy()),
  )
  private readonly target: URL

  private constructor(target: string) {
    this.target = new URL(target)
    this.server.on('upgrade', (asked, socket, head) => this.tunnel(asked, socket as net.Socket, head))
  }

  static async before(target: string): Promise<Flaky> {
    const flaky = new Flaky(target)
    await new Promise<void>((go) => flaky.server.listen(0, '127.0.0.1', go))
    return flaky
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as net.AddressInfo).port}`
  }

  /** The next requests whose path fits meet these, one each. */
  next(path: RegExp, ...faults: Fault[]): void {
    this.plan.push(...faults.map((fault) => ({ path, fault })))
  }

  /** The network is away, or back (null). */
  away(fault: Fault | null = 'refuse'): void {
    this.always = fault
    if (fault !== null) this.cut()
  }

  cut(): void {
    this.sockets.splice(0).forEach((socket) => socket.destroy())
  }

  /** Sockets stay open, and nothing goes through them any more. */
  freeze(): void {
    this.frozen = true
    this.sockets.forEach((socket) => socket.pause())
  }

  /** New ones work again. Those that are frozen stay so. */
  thaw(): void {
    this.frozen = false
    this.sockets.splice(0)
  }

  count(path: RegExp): number {
    return this.seen.filter((one) => path.test(one.path)).length
  }

  close(): void {
    this.cut()
    this.server.closeAllConnections()
    this.server.close()
  }

  // -- requests --------------------------------------------------------------------------------

  private async pass(asked: http.IncomingMessage, answer: http.ServerResponse): Promise<void> {
    const path = asked.url as string
    const seen: Seen = { path, key: asked.headers['idempotency-key'] as string | undefined, status: 0 }
    this.seen.push(seen)
    const fault = this.faultFor(path)
    const parts: Buffer[] = []
    for await (const part of asked) parts.push(part)
    if (fault === 'refuse') return void asked.socket.destroy()
    if (fault === 'page') return void answer.writeHead(502).end('<h1>Bad gateway</h1>')
    let got = await this.ask(asked, Buffer.concat(parts))
    if (fault === 'twice') got = await this.ask(asked, Buffer.concat(parts))
    seen.status = got.status
    if (fault === 'hang') return
    if (fault === 'lose') return void asked.socket.destroy()
    if (fault === 'slow') await new Promise((go) => setTimeout(go, 1000))
    answer.writeHead(got.status, got.headers)
    if (fault !== 'half') return void answer.end(got.body)
    answer.write(got.body.subarray(0, got.body.length / 2), () => asked.socket.destroy())
  }

  private faultFor(path: string): Fault | null {
    const at = this.plan.findIndex((one) => one.path.test(path))
    return at < 0 ? this.always : this.plan.splice(at, 1)[0].fault
  }

  private ask(asked: http.IncomingMessage, body: Buffer) {
    const { method, headers, url } = asked
    return new Promise<{ status: number; headers: http.IncomingHttpHeaders; body: Buffer }>((done, failed) => {
      const request = http.request(new URL(url as string, this.target), { method, headers }, (answer) => {
        const parts: Buffer[] = []
        answer.on('data', (part) => parts.push(part))
        answer.on('end', () =>
          done({ status: answer.statusCode as number, headers: answer.headers, body: Buffer.concat(parts) }),
        )
      })
      request.on('error', failed)
      request.end(body)
    })
  }

  // -- sockets ---------------------------------------------------------------------------------

  private tunnel(asked: http.IncomingMessage, socket: net.Socket, head: Buffer): void {
    socket.on('error', () => undefined)
    if (this.always !== null || this.noSockets) return void socket.destroy()
    const inner = net.connect(Number(this.target.port), this.target.hostname, () => {
      const lines = [`GET ${asked.url} HTTP/1.1`]
      for (let at = 0; at < asked.rawHeaders.length; at += 2) {
        lines.push(`${asked.rawHeaders[at]}: ${asked.rawHeaders[at + 1]}`)
      }
      inner.write(`${lines.join('\r\n')}\r\n\r\n`)
      inner.write(head)
      // By hand: a pipe would begin again what has been paused.
      socket.on('data', (data) => this.frozen || inner.write(data))
      inner.on('data', (data) => this.frozen || socket.write(data))
    })
    inner.on('error', () => socket.destroy())
    inner.on('close', () => socket.destroy())
    socket.on('close', () => inner.destroy())
    this.sockets.push(socket)
  }
}
