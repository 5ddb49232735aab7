/** Copies a text. Pages served without TLS have no clipboard, but may still copy a selection. */
export async function copy(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const field = document.createElement('textarea')
  field.value = text
  field.className = 'hidden'
  // Inside an open dialog, which keeps the focus to itself.
  const place = document.querySelector('[role=dialog]') ?? document.body
  place.append(field)
  field.select()
  const done = document.execCommand('copy')
  field.remove()
  if (!done) throw new Error('This browser does not let pages copy here.')
}
