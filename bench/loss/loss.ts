import assert from 'node:assert/strict'
import { createRandom } from '../../e2e/simulation/random.ts'
import { createWorld, isCrash, type World } from '../../e2e/simulation/world.ts'
import {
  type Dimension,
  type Product,
  USAGE_PRODUCT,
} from '../../packages/server/src/domain/products/product.ts'
import { newSubscription } from '../../packages/server/src/domain/subscriptions/subscription.ts'
import { auditUsage } from '../../packages/server/src/domain/usage/audit-usage.ts'
import type { UsageReport } from '../../packages/server/src/domain/usage/ingest-usage.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const START = Date.UTC(2026, 10, 18, 0, 0)
/** Points at which a submitting process may die before it has an answer: three of expiring, three of claiming, one before the call. */
const POINTS_BEFORE_ANSWER = 7
const GHOST = 'not_in_the_listing'

/**
 * - `unprocessed`: 2 % of the records come back in `UnprocessedRecords`
 * - `refusedHour`: AWS refuses every call for an hour
 * - `diesAfterAccept`: the process dies after AWS took a call, and 5 % of the customers' events come again after the hour has turned
 * - `undefinedDimension`: 5 % of the customers also use a dimension that the listing does not have
 * - `manyDimensions`: each customer uses 26 dimensions: more records than a call takes
 * - `lostAnswers`: 5 % of the calls are cut after AWS took them
 */
export const LOSS_FAULTS = [
  'unprocessed',
  'refusedHour',
  'diesAfterAccept',
  'undefinedDimension',
  'manyDimensions',
  'lostAnswers',
] as const
export type LossFault = (typeof LOSS_FAULTS)[number]

export interface LossResult {
  /** Units used of dimensions that the listing has, and units that AWS bills for them. */
  readonly used: number
  readonly billed: number
  /** (billed - used) / used, percent. */
  readonly percent: number
  /** Customers and dimensions, together, whose bill is not exactly their usage: errors that cancel out count too. */
  readonly wrong: number
  /** Units of the dimension that the listing does not have: used, and kept in the ledger to be billed. */
  readonly undefinedUsed: number
  readonly undefinedKept: number
  /** Units of it that AWS bills once the listing has it. */
  readonly undefinedBilled: number
  readonly balanced: boolean
  readonly calls: number
  readonly deaths: number
}

interface Use {
  readonly report: UsageReport
  readonly account: string
  readonly quantity: number
}

/** Meters six hours of usage while things fail, then six clean hours, and compares AWS's bill with what was used. */
export async function measureLoss(
  faults: ReadonlySet<LossFault>,
  {
    customers = 200,
    hours = 6,
    cleanHours = 6,
  }: { customers?: number; hours?: number; cleanHours?: number } = {},
): Promise<LossResult> {
  const random = createRandom(42)
  const names = Array.from(
    { length: faults.has('manyDimensions') ? 26 : 3 },
    (_, index) => `dimension_${index + 1}`,
  )
  const product = createProduct([...names, GHOST])
  const listing = {
    productCode: product.productCode,
    title: product.title,
    metering: 'license',
    pricing: 'usage',
    fulfillmentUrl: 'http://127.0.0.1:4000/',
    dimensions: names.map((key) => ({ key })),
  } as const
  const world = await createWorld(
    {
      products: [product],
      listings: [listing],
      settings: { licenseDelayMs: 0 },
      start: START,
      onFile: false,
      steps: 0,
    },
    1,
    random,
  )
  try {
    return await play(world)
  } finally {
    await world.dispose()
  }

  async function play(world: World): Promise<LossResult> {
    const { marketplace, faults: orders, clock } = world.simulator
    const accounts = Array.from({ length: customers }, (_, index) => String(100_000_000_000 + index))
    for (const account of accounts) await subscribe(world, product, account)
    if (faults.has('unprocessed'))
      orders.order({ kind: 'unprocessed', share: 0.02, until: START + hours * HOUR_MS })
    if (faults.has('lostAnswers'))
      orders.order({ kind: 'cutAfter', share: 0.05, until: START + hours * HOUR_MS })
    if (faults.has('refusedHour')) {
      const from = START + Math.floor(hours / 2) * HOUR_MS
      orders.order({ kind: 'refuse', error: 'DisabledApiException', from, until: from + HOUR_MS })
    }
    const few = new Set(accounts.filter((_, index) => index % 20 === 0))
    const used = new Map<string, number>()
    let again: Use[] = []
    let deaths = 0

    for (let hour = 0; hour < hours + cleanHours; hour++) {
      const isClean = hour >= hours
      await send(world, again)
      again = []
      for (const quarter of [0, 1, 2, 3]) {
        clock.advance(START + hour * HOUR_MS + quarter * 15 * MINUTE_MS + MINUTE_MS - clock.now())
        const uses = isClean ? [] : useSome(accounts, few, hour, quarter)
        await send(world, uses)
        for (const { account, report, quantity } of uses) {
          const key = `${account} ${report.dimension}`
          used.set(key, (used.get(key) ?? 0) + quantity)
          if (faults.has('diesAfterAccept') && few.has(account)) again.push({ account, report, quantity })
        }
        clock.advance(START + hour * HOUR_MS + (quarter + 1) * 15 * MINUTE_MS - clock.now())
        await world.workers[0]!.close()
        const dies = faults.has('diesAfterAccept') && !isClean && quarter === 0
        if (await submit(world, dies)) deaths++
      }
    }
    const bill = billedUnits(world)
    const known = [...used].filter(([key]) => !key.endsWith(GHOST))
    const ghostUsed = sum([...used].filter(([key]) => key.endsWith(GHOST)).map(([, units]) => units))
    const total = sum(known.map(([, units]) => units))
    const billed = sum(known.map(([key]) => bill.get(key) ?? 0))
    const wrong = known.filter(([key, units]) => bill.get(key) !== units).length
    const undefinedKept = await keptUnits(world)

    marketplace.addProduct({ ...listing, dimensions: [...names, GHOST].map((key) => ({ key })) })
    for (let round = 0; round < 4; round++) {
      clock.advance(15 * MINUTE_MS)
      await world.workers[0]!.submit()
    }
    const mended = billedUnits(world)
    const audit = await auditUsage(world.workers[0]!.usage)
    return {
      used: total,
      billed,
      percent: (100 * (billed - total)) / total,
      wrong: wrong + known.filter(([key, units]) => mended.get(key) !== units).length,
      undefinedUsed: ghostUsed,
      undefinedKept,
      undefinedBilled: sum([...mended].filter(([key]) => key.endsWith(GHOST)).map(([, units]) => units)),
      balanced: audit.balanced,
      calls: sum(Object.values(marketplace.callCounts().BatchMeterUsage ?? {})),
      deaths,
    }
  }

  function useSome(
    accounts: readonly string[],
    few: ReadonlySet<string>,
    hour: number,
    quarter: number,
  ): Use[] {
    const time = START + hour * HOUR_MS + quarter * 15 * MINUTE_MS
    return accounts.flatMap((account) => {
      const dimensions = faults.has('undefinedDimension') && few.has(account) ? [...names, GHOST] : names
      return dimensions.map((dimension) => {
        const quantity = random.int(1, 20)
        const id = `${account}-${dimension}-${hour}-${quarter}`
        return {
          account,
          quantity,
          report: {
            reference: { customerAwsAccountId: account },
            dimension,
            id,
            time: time + random.int(0, 50_000),
            quantity,
          },
        }
      })
    })
  }
}

export function isLossless(result: LossResult): boolean {
  const { billed, used, wrong, undefinedUsed, undefinedKept, undefinedBilled, balanced } = result
  return (
    billed === used &&
    wrong === 0 &&
    balanced &&
    undefinedKept === undefinedUsed &&
    undefinedBilled === undefinedUsed
  )
}

async function send(world: World, uses: readonly Use[]): Promise<void> {
  for (let from = 0; from < uses.length; from += 500) {
    const slice = uses.slice(from, from + 500)
    const outcomes = await world.workers[0]!.ingest(slice.map(({ report }) => report))
    for (const outcome of outcomes)
      assert(outcome.status !== 'refused' && outcome.status !== 'conflict', outcome.reason)
  }
}

/** @returns whether the process died, after AWS took its first call and before it saw the answer */
async function submit(world: World, dies: boolean): Promise<boolean> {
  const worker = world.workers[0]!
  if (dies) worker.life.arm(POINTS_BEFORE_ANSWER)
  const before = world.simulator.marketplace.recordCount
  try {
    await worker.submit()
    worker.life.disarm()
    return false
  } catch (error) {
    if (!isCrash(error)) throw error
    assert(
      world.simulator.faults.list().length > 0 || world.simulator.marketplace.recordCount > before,
      'it died too early',
    )
    await world.revive(worker)
    return true
  }
}

async function subscribe(world: World, product: Product, account: string): Promise<void> {
  const { licenseArn, startAt, accountId } = world.simulator.marketplace.subscribe({
    productCode: product.productCode,
    accountId: account,
  })
  await world.workers[0]!.subscriptions.create(
    newSubscription({
      id: `sub_${account}`,
      product: product.id,
      buyer: `buy_${account}`,
      status: 'active',
      licenseArn,
      customerAwsAccountId: accountId,
      accessStart: startAt,
      createdAt: startAt,
    }),
    'bench',
  )
}

function billedUnits(world: World): Map<string, number> {
  const billed = new Map<string, number>()
  for (const { accountId, dimension, quantity } of world.simulator.marketplace.ledger().records) {
    const key = `${accountId} ${dimension}`
    billed.set(key, (billed.get(key) ?? 0) + quantity)
  }
  return billed
}

/** What the ledger shows as waiting, of the dimension that AWS refuses. */
async function keptUnits(world: World): Promise<number> {
  const { pending } = await world.workers[0]!.usage.status(undefined)
  return Number(
    pending.filter(({ dimension }) => dimension === GHOST).reduce((total, { units }) => total + units, 0n),
  )
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function createProduct(dimensions: readonly string[]): Product {
  return {
    id: 'bench',
    title: 'Loss',
    ...USAGE_PRODUCT,
    productCode: 'lossbench',
    metering: 'license',
    region: 'us-east-1',
    listing: 'bench',
    graceMs: 15 * MINUTE_MS,
    goodbyeSettleMs: 10 * MINUTE_MS,
    dimensions: dimensions.map(
      (key): Dimension => ({
        key,
        name: key,
        aggregation: 'sum',
        per: 'month',
        scale: 0,
        unitSize: 1n,
        holdAbove: undefined,
        onDeadline: 'release',
        remainder: 'forgive',
        reportZero: false,
        price: undefined,
        metrics: [],
        meteredBy: 'product',
      }),
    ),
    plans: [],
  }
}
