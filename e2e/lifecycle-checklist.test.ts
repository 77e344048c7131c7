import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ItemResult } from '../packages/server/src/cli/rehearse/lifecycle/play-checklist.ts'
import {
  type LifecycleReport,
  lifecycleDemo,
  productOf,
  rehearseLifecycle,
} from '../packages/server/src/cli/rehearse/lifecycle/rehearse-lifecycle.ts'
import type { World } from '../packages/server/src/cli/rehearse/lifecycle/world.ts'
import { aFolder } from './a-folder.ts'
import { tollkeeper } from './processes.ts'

type Failed = Extract<ItemResult, { outcome: 'failed' }>

function itemsOf({ products }: LifecycleReport): readonly ItemResult[] {
  return products.flatMap(({ groups }) => groups.flatMap(({ items }) => items))
}

function itemOf(report: LifecycleReport, title: string): ItemResult {
  const item = itemsOf(report).find((candidate) => candidate.title === title)
  if (item === undefined) throw new Error(`no item ${title}`)
  return item
}

/** One of the demo's products, with something broken before anything is played. */
async function rehearseBroken(product: string, prepare: (world: World) => void): Promise<LifecycleReport> {
  const config = lifecycleDemo()
  return rehearseLifecycle({
    config,
    products: [productOf(config, product)],
    progress: { update: () => undefined, end: () => undefined },
    prepare,
  })
}

describe('the lifecycle checklist', () => {
  it('passes for a license-metered and a legacy product, and for contracts', async () => {
    const { code, out, err } = await tollkeeper(['rehearse', '--lifecycle', '--json'], { cwd: aFolder() })
    const report: LifecycleReport = JSON.parse(out)
    expect(itemsOf(report).filter(({ outcome }) => outcome === 'failed')).toEqual([])
    expect([code, report.failed, err]).toEqual([0, 0, ''])
    expect(report.products.map(({ product }) => [product.metering, product.pricing])).toEqual([
      ['license', 'usage'],
      ['legacy', 'usage'],
      ['license', 'contract-with-consumption'],
      ['legacy', 'contract'],
    ])
    // Each item was played for one of them at least.
    const titles = new Set(itemsOf(report).map(({ title }) => title))
    const played = new Set(
      itemsOf(report)
        .filter(({ outcome }) => outcome === 'passed')
        .map(({ title }) => title),
    )
    expect([...titles].filter((title) => !played.has(title))).toEqual([])
  })

  it('plays a product of the seller’s own configuration, and prints a list', async () => {
    const place = { cwd: aFolder() }
    await writeFile(
      join(place.cwd, 'tollkeeper.yaml'),
      `mode: shadow
aws: { accountId: "123456789012", assumeRole: { roleArn: "arn:aws:iam::123456789012:role/seller" } }
events: { webhooks: [{ id: mine, url: "https://seller.example.com/hook", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLwSWMfKQ9r8G }] }
products:
  - id: other
    productCode: other00000000000000000000
    dimensions: [{ key: anything, aggregation: count }]
  - id: mine
    productCode: mine000000000000000000000
    region: eu-west-1
    graceMinutes: 45
    goodbyeSettleMinutes: 0
    landing: { fields: [{ name: name, required: true }, { name: phone, required: true }] }
    dimensions:
      - { key: calls, aggregation: count, unitSize: 1000 }
      - { key: peak, aggregation: max, per: day, scale: 2, holdAbove: { units: 1000 } }
`,
    )
    const { code, out } = await tollkeeper(['rehearse', '--lifecycle', '--product', 'mine'], place)
    expect(out).not.toContain('✗')
    expect(out).toMatch(/✓ 4\.1 .*calls 2, peak 4/)
    expect(out).toMatch(/✓ All \d\d items pass/)
    expect(out).not.toContain('\u001b')
    expect(code).toBe(0)
  })

  it('says which item a deployment fails that AWS’s notifications do not reach', async () => {
    const report = await rehearseBroken('demo-api', ({ simulator }) => {
      simulator.delivery.faults.order({ kind: 'drop' })
    })
    expect(itemOf(report, 'Service is withheld until AWS says that access starts').outcome).toBe('passed')
    const starts = itemOf(report, 'Access starts with AWS’s word') as Failed
    expect(starts.outcome).toBe('failed')
    expect(starts.expected).toContain('active a minute after AWS sent License Updated')
    expect(starts.seen).toBe('pending (License Updated - Manufacturer was dropped)')
    expect(starts.look).toContain('notifications.sqsQueues')
    expect(itemOf(report, 'The fulfilment URL answers 200 to GET and HEAD').outcome).toBe('passed')
  })

  it('says which item a deployment fails that AWS takes no usage from', async () => {
    const report = await rehearseBroken('demo-reports', ({ simulator }) => {
      simulator.faults.order({ kind: 'refuse', operation: 'BatchMeterUsage', error: 'DisabledApiException' })
    })
    const metering = itemOf(report, 'Usage of every dimension is accepted by AWS, to the unit') as Failed
    expect(metering.expected).toContain('{"pages":4,"reports":3}')
    expect([metering.outcome, metering.seen]).toEqual(['failed', '{}'])
    expect(itemOf(report, 'Access starts with AWS’s word').outcome).toBe('passed')
  })

  it('says what is wrong with the command line', async () => {
    const place = { cwd: aFolder() }
    const err = async (...args: string[]) => (await tollkeeper(['rehearse', ...args], place)).err
    expect(await err()).toContain('or --lifecycle')
    expect(await err('access.log', '--lifecycle')).toContain('a log does not go with --lifecycle')
    expect(await err('--lifecycle', '--price', 'a=1')).toContain('--price does not go with --lifecycle')
    expect(await err('--lifecycle', '--product', 'nobody')).toContain('there is no product nobody')
  })
})
