export * from './runtime/platforms/taro.js'
