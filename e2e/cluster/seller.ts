import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { createSimulator, createVirtualClock, type Simulator } from '../../packages/simulator/src/index.ts'
import { aFolder } from '../a-folder.ts'
import { tollkeeper } from '../processes.ts'

const PRODUCT_CODE = 'clusterdemo0tollkeeper000'
export const DIMENSIONS = ['api_requests', 'scans'] as const
const HOUR_MS = 3_600_000

/** A simulated AWS Marketplace with one product, and buyers who have had it for a while. */
export interface SoldProduct {
  readonly simulator: Simulator
  /** Where AWS's services are. */
  readonly endpoint: string
  readonly buyers: readonly {
    readonly licenseArn: string
    readonly accountId: string
    readonly startAt: number
  }[]
}

/**
 * @param runs - with real time; else it stands still until it is advanced
 */
export async function sellProduct(buyers: number, { runs }: { runs: boolean }): Promise<SoldProduct> {
  const clock = createVirtualClock({ start: Date.now() - 3 * HOUR_MS, running: false })
  const simulator = await createSimulator({
    clock,
    products: [
      {
        productCode: PRODUCT_CODE,
        title: 'Demo',
        fulfillmentUrl: 'http://127.0.0.1:4000/marketplace/register/demo',
        metering: 'license',
        pricing: 'usage',
        dimensions: DIMENSIONS.map((key) => ({ key })),
      },
    ],
  })
  onTestFinished(() => simulator.close())
  const { url } = await simulator.listen()
  const accounts = Array.from({ length: buyers }, (_, index) => `7828582850${String(index).padStart(2, '0')}`)
  const sold = accounts.map((accountId) =>
    simulator.marketplace.subscribe({ productCode: PRODUCT_CODE, accountId }),
  )
  clock.set(Date.now())
  clock.run(runs)
  return {
    simulator,
    endpoint: url,
    buyers: sold.map(({ licenseArn, accountId, startAt }) => ({
      licenseArn: licenseArn!,
      accountId,
      startAt,
    })),
  }
}

/**
 * The seller's side: one configuration for all nodes.
 *
 * @param more - YAML that is added
 * @param plan - of all buyers: YAML of the product's one plan `load`
 * @param meteredByGate - dimensions that the product does not report
 */
export function aSeller(
  { endpoint, buyers }: SoldProduct,
  storeUrl: string,
  more = '',
  { plan, meteredByGate = [] }: { plan?: string; meteredByGate?: readonly string[] } = {},
) {
  const cwd = aFolder()
  const subscriptions = buyers.map(
    ({ licenseArn, accountId, startAt }) =>
      `  - { product: demo, licenseArn: "${licenseArn}", customerAwsAccountId: "${accountId}", accessStart: "${new Date(startAt).toISOString()}"${plan === undefined ? '' : ', plan: load'} }\n`,
  )
  writeFileSync(
    join(cwd, 'tollkeeper.yaml'),
    `mode: simulated
log: { level: warn }
store: { url: "${storeUrl}" }
aws: { endpoint: "${endpoint}", timeoutMs: 2000 }
jobs: { intervalSeconds: 1 }
products:
  - id: demo
    productCode: ${PRODUCT_CODE}
    graceMinutes: 5
    dimensions:
${DIMENSIONS.map((key) => `      - { key: ${key}${meteredByGate.includes(key) ? ', meteredBy: gate' : ''} }\n`).join('')}${plan ?? ''}subscriptions:
${subscriptions.join('')}${more}`,
  )
  const place = { cwd }
  return {
    place,
    /** A service key that may do everything. */
    async issueKey(): Promise<string> {
      const { out, err, code } = await tollkeeper(
        ['key', 'create', '--name', 'test', '--scope', 'admin', '--json'],
        place,
      )
      if (code !== 0) throw new Error(err)
      return (JSON.parse(out) as { secret: string }).secret
    },
    async audit(): Promise<{ balanced: boolean; discrepancies: readonly unknown[] }> {
      return JSON.parse((await tollkeeper(['usage', 'audit', '--json'], place)).out)
    },
  }
}
