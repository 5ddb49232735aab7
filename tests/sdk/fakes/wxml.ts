/** WXML, as far as it is needed to see a page: read, checked, shown with data, tapped. */

import vm from 'node:vm'

export interface Element {
  name: string
  attributes: Record<string, string>
  children: Array<Element | string>
}

export interface Shown {
  name: string
  classes: string[]
  attributes: Record<string, unknown>
  text: string
  children: Shown[]
}

const NAME = /^[a-zA-Z_][\w-]*/
const NO_END = ['input', 'image', 'progress', 'import', 'include']

/** Errors name the place. */
export function parse(text: string, file: string): Element[] {
  const root: Element = { name: '', attributes: {}, children: [] }
  const open = [root]
  const tags = /<!--[\s\S]*?-->|<(\/?)([a-z-]+)((?:\s+[\w:*-]+(?:="[^"]*")?)*)\s*(\/?)>/g
  let at = 0
  for (let found = tags.exec(text); found !== null; found = tags.exec(text)) {
    say(open, text.slice(at, found.index), file)
    at = tags.lastIndex
    const [whole, ends, name, attributes, alone] = found
    if (whole.startsWith('<!--')) continue
    if (ends) {
      const last = open.pop() as Element
      if (last.name !== name) throw new Error(`${file}: </${name}> ends <${last.name}>`)
      continue
    }
    const element = { name, attributes: attributesOf(attributes), children: [] }
    open[open.length - 1].children.push(element)
    if (!alone && !NO_END.includes(name)) open.push(element)
  }
  say(open, text.slice(at), file)
  if (open.length > 1) throw new Error(`${file}: <${open[open.length - 1].name}> has no end`)
  return root.children.filter((child): child is Element => typeof child !== 'string')
}

function say(open: Element[], text: string, file: string): void {
  if (/[<>]/.test(text.replace(/\{\{[\s\S]*?\}\}/g, ''))) throw new Error(`${file}: not WXML: ${text.trim()}`)
  if (text.trim() !== '') open[open.length - 1].children.push(text.trim())
}

function attributesOf(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [, name, , value] of text.matchAll(/([\w:*-]+)(="([^"]*)")?/g)) found[name] = value === undefined ? '' : value
  return found
}

/** Every handler that the markup names. */
export function handlers(elements: Element[]): string[] {
  return elements.flatMap(({ attributes, children }) => [
    ...Object.keys(attributes).filter((name) => /^(bind|catch)/.test(name)).map((name) => attributes[name]),
    ...handlers(children.filter((child): child is Element => typeof child !== 'string')),
  ])
}

// -- shown with data ---------------------------------------------------------------------------

export function show(elements: Array<Element | string>, data: object): Shown[] {
  const shown: Shown[] = []
  let chosen = true
  for (const element of elements) {
    if (typeof element === 'string') {
      shown.push({ name: '#', classes: [], attributes: {}, text: String(filled(element, data)), children: [] })
      continue
    }
    const { attributes } = element
    if ('wx:if' in attributes) chosen = Boolean(filled(attributes['wx:if'], data))
    else if ('wx:elif' in attributes) {
      if (chosen) continue
      chosen = Boolean(filled(attributes['wx:elif'], data))
    } else if ('wx:else' in attributes) {
      if (chosen) continue
      chosen = true
    } else chosen = true
    if (chosen) shown.push(...each(element, data))
  }
  return shown
}

function each(element: Element, data: object): Shown[] {
  const list = element.attributes['wx:for']
  if (list === undefined) return one(element, data)
  const { 'wx:for-item': item = 'item', 'wx:for-index': index = 'index' } = element.attributes
  const values = filled(list, data) as any[]
  if (!Array.isArray(values)) throw new Error(`wx:for="${list}" is no list`)
  return values.flatMap((value, place) => one(element, { ...data, [item]: value, [index]: place }))
}

function one({ name, attributes, children }: Element, data: object): Shown[] {
  const inner = show(children, data)
  if (name === 'block') return inner
  const values: Record<string, unknown> = {}
  for (const key of Object.keys(attributes)) {
    if (!key.startsWith('wx:')) values[key] = filled(attributes[key], data)
  }
  const text = inner.map((child) => child.text).join(' ').trim()
  const classes = String(values.class || '').split(/\s+/).filter(Boolean)
  return [{ name, classes, attributes: values, text, children: inner.filter((child) => child.name !== '#') }]
}

/** `{{a}}` alone is the value; within a text, its words. */
function filled(text: string, data: object): unknown {
  const alone = /^\{\{([\s\S]*)\}\}$/.exec(text)
  if (alone && !alone[1].includes('}}')) return evaluate(alone[1], data)
  return text.replace(/\{\{([\s\S]*?)\}\}/g, (_, inner) => {
    const value = evaluate(inner, data)
    return value === undefined || value === null ? '' : String(value)
  })
}

function evaluate(expression: string, data: object): unknown {
  return vm.runInNewContext(`(${expression})`, { ...data })
}

/** All that have the class, in order. */
export function withClass(shown: Shown[], name: string): Shown[] {
  return shown.flatMap((one) => [...(one.classes.includes(name) ? [one] : []), ...withClass(one.children, name)])
}
