/** Words in English and Chinese. The Chinese table must have every key: the compiler looks. */

import { ref } from 'vue'
import { kept } from '@/lib/kept'
import { en, type Key, type Words } from './en'
import { zh } from './zh'

export type Language = 'en' | 'zh'

const TABLES: Record<Language, Words> = { en, zh }
const first: Language = navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'

export const language = ref<Language>(kept<Language>('language', first))

export function setLanguage(next: Language): void {
  language.value = next
  kept.set('language', next)
  document.documentElement.lang = next === 'zh' ? 'zh-CN' : 'en'
}
setLanguage(language.value)

/** The words for `key`; `{name}` in them is filled from `given`. */
export function t(key: Key, given: Record<string, string | number> = {}): string {
  return TABLES[language.value][key].replace(/\{(\w+)\}/g, (_, name: string) => String(given[name] ?? ''))
}

const locale = () => (language.value === 'zh' ? 'zh-CN' : 'en-GB')
const made = new Map<string, any>()

/** Formatters are dear to make, and a grid asks for hundreds. */
function formatter<T>(name: string, make: (locale: string) => T): T {
  const key = `${locale()} ${name}`
  if (!made.has(key)) made.set(key, make(locale()))
  return made.get(key)
}

export function number(value: number | null | undefined, digits = 0): string {
  if (value === null || value === undefined || !isFinite(value)) return '–'
  return formatter(
    `number ${digits}`,
    (where) => new Intl.NumberFormat(where, { maximumFractionDigits: digits }),
  ).format(value)
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let size = value
  let unit = 0
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  return `${number(size, size < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`
}

type When = Date | number | string | { $date: string } | null | undefined

export function moment(value: When): Date | null {
  if (value === null || value === undefined) return null
  const date = new Date(typeof value === 'object' && '$date' in value ? value.$date : value)
  return isNaN(date.getTime()) ? null : date
}

export function time(value: When): string {
  const date = moment(value)
  if (date === null) return '–'
  return formatter(
    'time',
    (where) => new Intl.DateTimeFormat(where, { dateStyle: 'medium', timeStyle: 'medium' }),
  ).format(date)
}

/** `3 min ago`. */
export function ago(value: When): string {
  const date = moment(value)
  if (date === null) return '–'
  const seconds = (date.getTime() - Date.now()) / 1000
  const format = formatter(
    'ago',
    (where) => new Intl.RelativeTimeFormat(where, { numeric: 'auto', style: 'short' }),
  )
  const steps: Array<[Intl.RelativeTimeFormatUnit, number]> = [
    ['day', 86400],
    ['hour', 3600],
    ['minute', 60],
  ]
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size) return format.format(Math.round(seconds / size), unit)
  }
  return format.format(Math.round(seconds), 'second')
}
