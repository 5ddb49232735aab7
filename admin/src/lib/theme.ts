/** Light, dark, or what the system says; kept on this device. */

import { ref, watchEffect } from 'vue'
import { kept } from './kept'

export type Theme = 'system' | 'light' | 'dark'

const asked = window.matchMedia('(prefers-color-scheme: dark)')

export const theme = ref<Theme>(kept<Theme>('theme', 'system'))
/** What is shown: `theme` with `system` looked up. */
export const shown = ref<'light' | 'dark'>('light')

export function applyTheme(): void {
  const apply = () => {
    shown.value = theme.value === 'system' ? (asked.matches ? 'dark' : 'light') : theme.value
    document.documentElement.dataset.theme = shown.value
  }
  asked.addEventListener('change', apply)
  watchEffect(apply)
}

export function setTheme(next: Theme): void {
  theme.value = next
  kept.set('theme', next)
}
