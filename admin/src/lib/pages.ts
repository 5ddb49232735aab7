/** The pages, in the order of the navigation, with the letter that goes there after `g`. */

import type { Key } from '@/i18n/en'

export interface Page {
  name: string
  words: Key
  icon: string
  letter: string
}

export const PAGES: Page[] = [
  { name: 'home', words: 'nav.home', icon: 'home', letter: 'h' },
  { name: 'data', words: 'nav.data', icon: 'data', letter: 'd' },
  { name: 'rules', words: 'nav.rules', icon: 'rules', letter: 'r' },
  { name: 'functions', words: 'nav.functions', icon: 'functions', letter: 'f' },
  { name: 'files', words: 'nav.files', icon: 'files', letter: 'i' },
  { name: 'users', words: 'nav.users', icon: 'users', letter: 'u' },
  { name: 'push', words: 'nav.push', icon: 'push', letter: 'p' },
  { name: 'settings', words: 'nav.settings', icon: 'settings', letter: 's' },
  { name: 'audit', words: 'nav.audit', icon: 'audit', letter: 'a' },
]
