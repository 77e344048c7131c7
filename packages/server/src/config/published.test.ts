// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${NAME}` is the configuration's own syntax
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Type from 'typebox'
import Value from 'typebox/value'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { CONFIG_TEMPLATE, DEMO_CONFIG } from './demo.ts'
import { ENVIRONMENT } from './environment.ts'
import { configurationPage, publishedSchema } from './published.ts'
import { MarketplaceFileSchema } from './schema/marketplace-file.ts'
import { ConfigSchema } from './schema.ts'
import { asNode, type SchemaNode } from './schema-node.ts'
import { valueAt } from './source.ts'

/** Every property of a schema, with the way to it. */
function properties(node: SchemaNode, path: string[] = []): [string[], SchemaNode][] {
  const here = Object.entries(node.properties ?? {}).map(([name, property]): [string[], SchemaNode] => [
    [...path, name],
    property,
  ])
  const below = [...here, ...(node.items ? [[path, node.items] as [string[], SchemaNode]] : [])]
  return [...here, ...below.flatMap(([way, property]) => properties(property, way))]
}

describe('the published schema', () => {
  const schema = Type.Unsafe<unknown>(publishedSchema())

  it('describes every setting', () => {
    const all = [...properties(asNode(ConfigSchema)), ...properties(asNode(MarketplaceFileSchema))]
    expect(all.length).toBeGreaterThan(60)
    for (const [path, { description }] of all) expect(description, path.join('.')).toMatch(/\S\.$/)
  })

  it('takes what the loader takes', () => {
    for (const text of ['{}', DEMO_CONFIG, CONFIG_TEMPLATE])
      expect(Value.Errors(schema, parse(text))).toEqual([])
    const spellings = {
      server: null,
      aws: { accountId: 123456789012, region: '${REGION:-us-east-1}', endpoint: null },
      products: [{ id: 'a', dimensions: [{ key: 'x', unitSize: 1000, scale: '${SCALE}', price: 0.5 }] }],
    }
    expect(Value.Errors(schema, spellings)).toEqual([])
  })

  it.each([
    { prodcts: [] },
    { products: [{ title: 'A' }] },
    { mode: 'lvie' },
    { server: { port: '4000' } },
    { products: [{ id: null }] },
  ])('refuses what the loader refuses: %j', (value) => expect(Value.Check(schema, value)).toBe(false))

  it('is current, and so is its page', () => {
    const root = join(import.meta.dirname, '../../../..')
    const written = JSON.parse(
      readFileSync(join(root, 'packages/server/tollkeeper.schema.json'), 'utf8'),
    ) as unknown
    expect(written).toEqual(JSON.parse(JSON.stringify(publishedSchema())))
    expect(readFileSync(join(root, 'docs/configuration.md'), 'utf8')).toBe(configurationPage())
  })
})

describe('the names of the environment', () => {
  it('are listed once, and set what is there', () => {
    expect(new Set(ENVIRONMENT.map(({ name }) => name)).size).toBe(ENVIRONMENT.length)
    for (const { name, sets, how, meaning } of ENVIRONMENT) {
      expect(meaning, name).toMatch(/\.$/)
      if (sets === undefined) continue
      expect(how, name).toBeDefined()
      const way = sets
        .replace('[]', '.items')
        .split('.')
        .flatMap((step) => (step === 'items' ? [step] : ['properties', step]))
      expect(valueAt(ConfigSchema, way), name).toBeDefined()
    }
  })
})
