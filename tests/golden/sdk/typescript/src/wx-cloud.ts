export * from './runtime/wx-cloud.js'
