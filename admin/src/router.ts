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
  { path: '/data/:collection?', name: 'data', component: () => import('./pages/Data.vue'), props: true },
  { path: '/', name: 'home', redirect: '/data' },
  { path: '/:rest(.*)*', redirect: '/' },
]

export const router = createRouter({ history: createWebHashHistory(), routes })

router.beforeEach((to) => {
  if (!to.meta.open && !signedIn.value) return { name: 'sign-in', query: { to: to.fullPath } }
  if (to.name === 'sign-in' && signedIn.value) return { name: 'home' }
  return true
})
