/** Asks before what somebody has typed and not saved is left behind, by whatever way. */

import { onBeforeUnmount } from 'vue'
import { onBeforeRouteLeave, onBeforeRouteUpdate } from 'vue-router'
import { t } from '@/i18n'
import { confirm } from './confirm'

/** In a page's setup. What it gives asks, where `dirty` holds, and says whether to go on. */
export function guarded(dirty: () => boolean): () => Promise<boolean> {
  const stay = async (): Promise<boolean> =>
    !dirty() || confirm({ title: t('unsaved'), text: t('unsaved.why'), action: t('unsaved.leave') })
  onBeforeRouteLeave(stay)
  onBeforeRouteUpdate(stay)
  const closing = (event: BeforeUnloadEvent) => dirty() && event.preventDefault()
  window.addEventListener('beforeunload', closing)
  onBeforeUnmount(() => window.removeEventListener('beforeunload', closing))
  return stay
}
