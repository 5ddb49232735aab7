export * from './runtime/platforms/wechat.js'
