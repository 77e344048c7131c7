import { expect, it } from 'vitest'
import { MarketplaceFileSchema } from './schema/marketplace-file.ts'
import { ConfigSchema } from './schema.ts'
import { asNode, type SchemaNode } from './schema-node.ts'

/** Names of all settings, at any depth. */
function names(node: SchemaNode): string[] {
  const own = Object.entries({ ...node.properties, ...node.patternProperties })
  const children = [...own.map(([, child]) => child), ...(node.items ? [node.items] : [])]
  return [...own.map(([name]) => name), ...children.flatMap(names)]
}

it('has no setting for AWS keys: a role’s end by themselves, a key in a file is there for good', () => {
  const all = [...names(asNode(ConfigSchema)), ...names(asNode(MarketplaceFileSchema))]
  expect(all).toContain('assumeRole')
  expect(all).toContain('roleArn')
  const forbidden = all.filter((name) =>
    /access_?key|secret_?(access_?)?key|session_?token|profile|credential/i.test(name),
  )
  expect(forbidden).toEqual([])
})
