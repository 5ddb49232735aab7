export * from './runtime/platforms/alipay.js'
