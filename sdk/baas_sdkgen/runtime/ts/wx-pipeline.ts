/** Stages of `wx.cloud` pipelines by their names. */

import { toFilter } from './command.js'

type Stage = [name: string, value: any]

/** `_.aggregate.pipeline()`: what goes into `lookup`; `done()` gives its stages. */
export class WxPipeline {
  constructor(protected readonly stages: Stage[] = []) {}

  match = (condition: any) => this.then_('match', condition)
  project = (fields: any) => this.then_('project', fields)
  addFields = (fields: any) => this.then_('addFields', fields)
  group = (groups: any) => this.then_('group', groups)
  sort = (fields: any) => this.then_('sort', fields)
  limit = (most: number) => this.then_('limit', most)
  skip = (documents: number) => this.then_('skip', documents)
  unwind = (path: any) => this.then_('unwind', path)
  count = (name: string) => this.then_('count', name)
  sortByCount = (expression: any) => this.then_('sortByCount', expression)
  lookup = (options: any) => this.then_('lookup', options)
  replaceRoot = (options: any) => this.then_('replaceRoot', options)
  bucket = (options: any) => this.then_('bucket', options)
  /** Of so many documents; `{size}` as well. */
  sample = (size: any) => this.then_('sample', typeof size === 'number' ? { size } : size)
  /** `key` is needed. */
  geoNear = (options: any) => this.then_('geoNear', options)
  /** Refused by the gateway, which says so. */
  bucketAuto = (options: any) => this.then_('bucketAuto', options)

  /** As they travel. */
  done(): object[] {
    return this.stages.map(([name, value]) => ({ [`$${name}`]: wireOf(name, value) }))
  }

  protected then_(name: string, value: any): this {
    return this.with_([...this.stages, [name, value]]) as this
  }

  protected with_(stages: Stage[]): WxPipeline {
    return new WxPipeline(stages)
  }
}

function wireOf(name: string, value: any): any {
  if (name === 'match') return toFilter(value)
  const near = name === 'geoNear' && value.query !== undefined
  return near ? { ...value, query: toFilter(value.query) } : value
}
