/** A fake of the rest of a mini-program: its files and their `require`, App, Page, and a finger. */

import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import vm from 'node:vm'
import { createPlace } from './place.js'
import { Element, handlers, parse, show, Shown, withClass } from './wxml.js'
import { createWx, FakeWx } from './wx.js'

export class MiniProgram {
  readonly fake: FakeWx
  readonly pages: OpenPage[] = []
  readonly toasts: string[] = []
  /** What chooseMedia gives next. */
  picked: string[] = []
  private readonly place: vm.Context
  private readonly modules = new Map<string, any>()
  private registered: any = null

  constructor(
    private readonly folder: string,
    config: object,
    code: string,
  ) {
    this.fake = createWx({ code })
    const wx = Object.assign(Object.create(this.fake.wx), this.ui())
    this.place = createPlace({
      wx,
      App: (app: any) => (this.registered = app),
      Page: (page: any) => (this.registered = page),
      getApp: () => this.app,
      getCurrentPages: () => this.pages,
    })
    this.modules.set('config.js', config)
  }

  private app: any = null

  start(): void {
    this.require('app.js')
    this.app = this.registered
    this.app.onLaunch({ path: this.settings.pages[0], query: {} })
    this.open(`/${this.settings.pages[0]}`)
  }

  get settings(): any {
    return JSON.parse(this.text('app.json'))
  }

  get page(): OpenPage {
    return this.pages[this.pages.length - 1]
  }

  text(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8')
  }

  close(): void {
    while (this.pages.length > 0) this.back()
    this.fake.close()
  }

  open(url: string): void {
    const [path, query = ''] = url.replace(/^\//, '').split('?')
    if (!this.settings.pages.includes(path)) throw new Error(`${path} is not in app.json`)
    this.modules.delete(`${path}.js`)
    this.require(`${path}.js`)
    const page = new OpenPage(path, this.registered, parse(this.text(`${path}.wxml`), path))
    JSON.parse(this.text(`${path}.json`))
    this.pages.push(page)
    page.call('onLoad', Object.fromEntries(new URLSearchParams(query)))
    page.call('onShow')
  }

  back(): void {
    const page = this.pages.pop() as OpenPage
    page.call('onUnload')
    if (this.pages.length > 0) this.page.call('onShow')
  }

  /** As a mini-program resolves it: by a path beside the file. */
  private require(file: string): any {
    const known = this.modules.get(file)
    if (known !== undefined) return known
    const module = { exports: {} as any }
    this.modules.set(file, module.exports)
    const run = vm.runInContext(
      `(function (require, module, exports) { ${this.text(file)}\n})`,
      this.place,
      { filename: file },
    )
    run((path: string) => this.require(`${normalize(join(dirname(file), path))}.js`), module, module.exports)
    this.modules.set(file, module.exports)
    return module.exports
  }

  private ui(): object {
    return {
      showToast: ({ title }: any) => this.toasts.push(title),
      showModal: ({ success }: any) => setImmediate(() => success({ confirm: true, cancel: false })),
      navigateTo: ({ url }: any) => this.open(url),
      navigateBack: () => this.back(),
      chooseMedia: ({ success }: any) =>
        setImmediate(() => success({ tempFiles: this.picked.map((tempFilePath) => ({ tempFilePath })) })),
      previewImage: () => undefined,
      stopPullDownRefresh: () => undefined,
    }
  }
}

export class OpenPage {
  private readonly instance: any

  constructor(
    readonly path: string,
    definition: any,
    private readonly markup: Element[],
  ) {
    const data = JSON.parse(JSON.stringify(definition.data))
    this.instance = { ...definition, data, setData: (changes: any) => this.setData(changes) }
    const missing = handlers(markup).filter((name) => typeof definition[name] !== 'function')
    if (missing.length > 0) throw new Error(`${path}.wxml names what ${path}.js does not have: ${missing}`)
  }

  get data(): any {
    return this.instance.data
  }

  call(name: string, ...given: any[]): any {
    return this.instance[name] && this.instance[name](...given)
  }

  /** What is on the screen now. Fails where the markup needs data that is not there. */
  shown(): Shown[] {
    return show(this.markup, this.data)
  }

  /** All that has the class. */
  find(name: string): Shown[] {
    return withClass(this.shown(), name)
  }

  /** A finger on the first that has the class, and the text. */
  tap(name: string, text = ''): any {
    const found = this.find(name).filter((one) => one.text.includes(text))[0]
    if (found === undefined) throw new Error(`no .${name} with ${JSON.stringify(text)} in ${this.path}`)
    const { bindtap, catchtap } = found.attributes
    return this.call((bindtap || catchtap) as string, { currentTarget: { dataset: datasetOf(found) }, detail: {} })
  }

  /** Keys in the first that has the class. */
  type(name: string, value: string, event = 'bindinput'): any {
    const found = this.find(name)[0]
    return this.call(found.attributes[event] as string, { currentTarget: { dataset: datasetOf(found) }, detail: { value } })
  }

  /** Data travels as JSON between a page's two threads: no functions, no undefined. */
  private setData(changes: any): void {
    for (const [name, value] of Object.entries(changes)) {
      if (!isJson(value)) throw new Error(`${this.path}: setData({ ${name} }) is no JSON`)
      this.instance.data[name] = JSON.parse(JSON.stringify(value))
    }
  }
}

function isJson(value: any): boolean {
  if (value === null || typeof value !== 'object') return ['string', 'number', 'boolean', 'object'].includes(typeof value)
  if (Array.isArray(value)) return value.every(isJson)
  return typeof value.getTime !== 'function' && Object.values(value).every(isJson)
}

function datasetOf({ attributes }: Shown): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  for (const name of Object.keys(attributes)) {
    if (name.startsWith('data-')) found[name.slice(5)] = attributes[name]
  }
  return found
}
