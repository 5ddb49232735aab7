export * from './runtime/platforms/node.js'
