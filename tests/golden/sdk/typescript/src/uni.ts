export * from './runtime/platforms/uni.js'
