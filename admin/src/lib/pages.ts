/** The pages, in the order of the navigation, with the letter that goes there after `g`. */

import type { Key } from '@/i18n/en'

export interface Page {
  name: string
  words: Key
  icon: string
  letter: string
}

export const PAGES: Page[] = [
  { name: 'data', words: 'nav.data', icon: 'data', letter: 'd' },
]
