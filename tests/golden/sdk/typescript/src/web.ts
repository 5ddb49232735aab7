export * from './runtime/platforms/web.js'
