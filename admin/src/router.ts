import { createRouter, createWebHashHistory, type RouteRecordRaw } from 'vue-router'
import { signedIn } from './lib/session'

const routes: RouteRecordRaw[] = [
  { path: '/sign-in', name: 'sign-in', component: () => import('./pages/SignIn.vue'), meta: { open: true } },
  {
    path: '/set-up/:code',
    name: 'set-up',
    component: () => import('./pages/SetUp.vue'),
    props: true,
    meta: { open: true },
  },
  { path: '/', name: 'home', component: () => import('./pages/Home.vue') },
  { path: '/data/:collection?', name: 'data', component: () => import('./pages/Data.vue'), props: true },
  { path: '/rules/:file?', name: 'rules', component: () => import('./pages/Rules.vue'), props: true },
  { path: '/functions/:name?', name: 'functions', component: () => import('./pages/Functions.vue'), props: true },
  { path: '/files', name: 'files', component: () => import('./pages/Files.vue') },
  { path: '/users/:uid?', name: 'users', component: () => import('./pages/Users.vue'), props: true },
  { path: '/push', name: 'push', component: () => import('./pages/Push.vue') },
  { path: '/settings/:tab?', name: 'settings', component: () => import('./pages/Settings.vue'), props: true },
  { path: '/audit', name: 'audit', component: () => import('./pages/Audit.vue') },
  { path: '/:rest(.*)*', redirect: '/' },
]

export const router = createRouter({ history: createWebHashHistory(), routes })

router.beforeEach((to) => {
  if (!to.meta.open && !signedIn.value) return { name: 'sign-in', query: { to: to.fullPath } }
  if (to.name === 'sign-in' && signedIn.value) return { name: 'home' }
  return true
})

/** A page left open while the gateway was replaced asks for files of a build that is gone: it is
 * loaded anew, at the place that was wanted, and not again and again. */
const AGAIN_MS = 10_000
const MARK = 'baas.admin.loaded-anew'
router.onError((fault: Error, to) => {
  if (!/import/i.test(fault.message)) return
  if (Date.now() - Number(sessionStorage.getItem(MARK) ?? 0) < AGAIN_MS) return
  sessionStorage.setItem(MARK, String(Date.now()))
  location.hash = `#${to.fullPath}`
  location.reload()
})
