/** Small choices that outlive the page. In a private window they do not. */

const PREFIX = 'baas.admin.'

export function kept<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(PREFIX + name)
    return text === null ? otherwise : (JSON.parse(text) as T)
  } catch {
    return otherwise
  }
}

kept.set = (name: string, value: unknown): void => {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value))
  } catch {
    return
  }
}
