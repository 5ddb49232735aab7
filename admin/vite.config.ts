import vue from '@vitejs/plugin-vue'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// Relative addresses, so that the panel works below any prefix that a proxy adds. Names follow the
// content, and nothing else goes in: the same source gives the same bytes.
export default defineConfig({
  base: './',
  plugins: [vue()],
  resolve: { alias: { '@sdk': at('../sdk/baas_sdkgen/runtime/ts'), '@': at('./src') } },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    sourcemap: false,
    assetsInlineLimit: 0, // the policy allows no inline script, and data: for images alone
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/v1': 'http://127.0.0.1:8000' } },
})
