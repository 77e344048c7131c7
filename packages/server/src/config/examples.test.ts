import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig, parseConfig } from '../config.ts'
import type { Product } from '../domain/products/product.ts'

const FOLDER = join(import.meta.dirname, '../../../../examples/plans')

/** The one product of an example. */
function productOf(file: string): Product {
  const { products } = loadConfig({ file, cwd: FOLDER, env: {} })
  expect(products).toHaveLength(1)
  return products[0]!
}

const limitsOf = ({ plans }: Product, dimension: string) =>
  plans.map(({ id, limits }) => [id, limits.findLast((limit) => limit.dimension === dimension)?.quantity])

describe('examples/plans/tiered-api.yaml', () => {
  const product = productOf('tiered-api.yaml')

  it('seed 003, section 3: tiered access control', () => {
    expect(
      product.plans.map(({ id, audience, trial, upgradeTo }) => [id, audience, trial?.days, upgradeTo]),
    ).toEqual([
      ['anonymous', 'anonymous', 15, 'registered'],
      ['registered', 'registered', 30, 'pro'],
      ['pro', 'paid', undefined, 'enterprise'],
      ['enterprise', 'paid', undefined, undefined],
    ])
    // 10 calls or 15 days; 100 calls or 30 days; then higher limits, and high ones.
    expect(limitsOf(product, 'api_calls')).toEqual([
      ['anonymous', 10],
      ['registered', 100],
      ['pro', 10_000],
      ['enterprise', 'unlimited'],
    ])
    expect(product.plans[0]?.limits[0]?.window).toBe('lifetime')
    expect(product.plans[3]?.features).toMatchObject({ support: 'dedicated', sso: true })
    expect(product.upgradeUrl.direct).toBeDefined()
  })

  it('bills what a paid plan uses beyond what it includes', () => {
    const pro = product.plans[2]!
    expect(product.dimensions).toMatchObject([{ key: 'api_calls', aggregation: 'sum', meteredBy: 'gate' }])
    expect(pro.limits.at(-1)).toMatchObject({ quantity: 10_000, onExceed: 'bill' })
    expect(pro.included).toMatchObject([{ dimension: 'api_calls', units: 10_000n }])
  })
})

it('docs/plans.md shows a configuration that loads', () => {
  const page = readFileSync(join(FOLDER, '../../docs/plans.md'), 'utf8')
  const [, yaml] = /```yaml\n(.*?)```/s.exec(page)!
  const { products } = parseConfig(yaml!, { name: 'docs/plans.md', directory: FOLDER, env: {} })
  expect(products[0]?.plans.map(({ id }) => id)).toEqual(['anonymous', 'registered', 'pro'])
})

describe('examples/plans/compliance-platform.yaml', () => {
  const product = productOf('compliance-platform.yaml')

  it('seed 001, subscription plans', () => {
    expect(product.plans.map(({ title, price, grantedBy }) => [title, price, grantedBy])).toEqual([
      ['Basic', { amount: '99', currency: 'USD', per: 'month' }, 'basic'],
      ['Standard', { amount: '299', currency: 'USD', per: 'month' }, 'standard'],
      ['Premium', { amount: '799', currency: 'USD', per: 'month' }, 'premium'],
      ['Enterprise', 'custom', 'enterprise'],
    ])
    expect(['scans', 'users', 'storage-gb'].map((dimension) => limitsOf(product, dimension))).toEqual(
      [
        [100, 500, 2000, 'unlimited'],
        [5, 25, 100, 'unlimited'],
        [10, 50, 200, 'unlimited'],
      ].map((quantities) => quantities.map((quantity, index) => [product.plans[index]!.id, quantity])),
    )
    expect(product.plans.map(({ features }) => [features.reports, features.ai_chat ?? false])).toEqual([
      ['basic', false],
      ['advanced', true],
      ['advanced', true],
      ['advanced', true],
    ])
  })

  it('seed 001, AWS Marketplace dimensions', () => {
    expect(product.dimensions.map(({ key }) => key)).toEqual([
      'scans',
      'users',
      'findings',
      'storage-gb',
      'api-calls',
      'ai-sessions',
    ])
  })
})
