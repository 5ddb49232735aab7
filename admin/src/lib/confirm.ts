/** Asks before something that cannot be taken back. */

import { ref } from 'vue'

export interface Question {
  title: string
  text: string
  action: string
  /** What has to be typed first, for the worst. */
  typed?: string
  answer: (yes: boolean) => void
}

export const question = ref<Question | null>(null)

export function confirm(asked: Omit<Question, 'answer'>): Promise<boolean> {
  return new Promise((resolve) => {
    question.value = {
      ...asked,
      answer: (yes) => {
        question.value = null
        resolve(yes)
      },
    }
  })
}
