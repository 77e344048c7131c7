import fc from 'fast-check'
import { expect, it } from 'vitest'
import { aClock, aDimension, aProduct, aSubscription, LONG_MS, utc } from '../../storage/contract/fixtures.ts'
import { createSqlApiKeyStore } from '../../storage/sql/api-key-store.ts'
import { createSqlEntitlementStore } from '../../storage/sql/entitlement-store.ts'
import { migrate } from '../../storage/sql/migrations.ts'
import { createSqlOutboxStore } from '../../storage/sql/outbox-store.ts'
import { createSqlQuotaStore } from '../../storage/sql/quota-store.ts'
import { openSqlite } from '../../storage/sql/sqlite.ts'
import { createSqliteUsageStore } from '../../storage/sql/sqlite-stores.ts'
import { createSqlSubscriptionStore } from '../../storage/sql/subscription-store.ts'
import { createCheckAccess } from '../entitlements/check-access.ts'
import { DomainError } from '../error.ts'
import { createApiKeyVerifier } from '../keys/verify-api-key.ts'
import { type Limit, PLAIN_PLAN, type Plan } from '../plans/plan.ts'
import { createProductCatalog } from '../products/product.ts'
import { createIngestUsage } from '../usage/ingest-usage.ts'
import type { QuotaAnswer } from './quota-answer.ts'
import { createQuotaGate } from './quota-gate.ts'
import type { ReserveAnswer } from './reserve-quota.ts'
import { windowAt } from './window.ts'

const DAY_MS = 86_400_000
/** Near to the end of an hour, a day and a month. */
const START = utc('2026-11-30T23:50')
const RUNS = 80
const HOLDERS = 2
const NODES = 2
const DIMENSIONS = ['small', 'large', 'metered'] as const

function limit(dimension: string, quantity: number, window: Limit['window']): Limit {
  return { dimension, quantity, window, onExceed: 'block' }
}

const PLANS: readonly Plan[] = [
  {
    ...PLAIN_PLAN,
    id: 'low',
    title: 'Low',
    limits: [
      limit('small', 7, 'day'),
      limit('small', 11, 'lifetime'),
      limit('large', 10_000, 'hour'),
      limit('large', 15_000, 'day'),
      limit('metered', 6, 'hour'),
    ],
  },
  {
    ...PLAIN_PLAN,
    id: 'high',
    title: 'High',
    limits: [
      limit('small', 12, 'day'),
      limit('small', 25, 'lifetime'),
      limit('large', 20_000, 'hour'),
      limit('large', 24_000, 'day'),
      limit('metered', 9, 'hour'),
    ],
  },
]

const PRODUCT = aProduct({
  dimensions: [aDimension({ key: 'metered', meteredBy: 'gate' })],
  plans: PLANS,
})

/** Of what is leased: part of a slice, nearly all of one, and more than one. */
const LARGE = [1, 90, 1_500, 4_500] as const

function quantityOf(dimension: string, share: number): number {
  return dimension === 'large' ? LARGE[share - 1]! : share
}

interface Use {
  readonly kind: 'validate' | 'reserve'
  readonly node: number
  readonly holder: number
  readonly dimension: (typeof DIMENSIONS)[number]
  readonly share: number
  readonly id: string
}

type Step =
  | Use
  | { readonly kind: 'settle'; readonly node: number; readonly pick: number; readonly share: number }
  | { readonly kind: 'release'; readonly node: number; readonly pick: number }

type Turn =
  /** At once. */
  | { readonly kind: 'steps'; readonly steps: readonly Step[] }
  | { readonly kind: 'plan'; readonly holder: number; readonly plan: string }
  | { readonly kind: 'pass'; readonly ms: number }
  /** Dropped as it is, and another in its place. */
  | { readonly kind: 'crash'; readonly node: number }
  | { readonly kind: 'sweep' | 'stop'; readonly node: number }

const node = fc.nat(NODES - 1)
const holder = fc.nat(HOLDERS - 1)
const share = fc.integer({ min: 1, max: 4 })
const use = fc.record<Use>({
  kind: fc.constantFrom('validate', 'validate', 'validate', 'reserve'),
  node,
  holder,
  dimension: fc.constantFrom(...DIMENSIONS),
  share,
  // Some are retries.
  id: fc.nat(40).map((number) => `use-${number}`),
})
const step = fc.oneof(
  { weight: 6, arbitrary: use },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('settle' as const), node, pick: fc.nat(), share }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const), node, pick: fc.nat() }) },
)
const turn: fc.Arbitrary<Turn> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('steps' as const),
      steps: fc.array(step, { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('plan' as const),
      holder,
      plan: fc.constantFrom('low', 'high'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 999, 4_999, 5_000, 60_000, 600_000, 3_600_000, DAY_MS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), node }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('sweep' as const, 'stop' as const), node }) },
)

/** What was let through, counted by hand. */
interface Let {
  readonly holder: string
  readonly dimension: string
  readonly at: number
  /** What it was asked by. */
  readonly name: string
  /** Of a reservation; what is held counts until it is settled, released or over. */
  reservation: string | undefined
  readonly expiresAt: number
  quantity: number
  state: 'used' | 'held' | 'released'
}

/** Two nodes on one ledger. */
async function aGate() {
  const database = openSqlite(':memory:')
  await migrate(database)
  const clock = aClock(START)
  const catalog = createProductCatalog([PRODUCT])
  const subscriptions = createSqlSubscriptionStore(database)
  const entitlements = createSqlEntitlementStore(database)
  const usage = createSqliteUsageStore(database)
  const limits = { acceptBackMs: 30 * DAY_MS, acceptAheadMs: 300_000 }
  const ids: string[] = []
  const plans = new Map<string, string>()
  for (let index = 0; index < HOLDERS; index++) {
    const { subscription } = await subscriptions.create(
      aSubscription({
        id: `sub_${index}`,
        buyer: `buy_${index}`,
        tenantId: `tenant-${index}`,
        licenseArn: undefined,
        customerAwsAccountId: undefined,
        channel: 'direct',
        plan: 'low',
        accessStart: START - DAY_MS,
      }),
      'test',
    )
    ids.push(subscription.id)
    plans.set(subscription.id, 'low')
  }
  const startNode = () =>
    createQuotaGate({
      checkAccess: createCheckAccess({ subscriptions, entitlements, catalog }),
      verifyKey: createApiKeyVerifier({ apiKeys: createSqlApiKeyStore(database), clock }).verify,
      findVisitor: async () => {
        throw new Error('nobody comes without a key here')
      },
      catalog,
      quotas: createSqlQuotaStore(database),
      usage,
      ingest: createIngestUsage({ usage, subscriptions, catalog, clock, limits }),
      outbox: createSqlOutboxStore(database),
      clock,
      onError: (error) => {
        throw error
      },
    })
  const gates = Array.from({ length: NODES }, startNode)
  const quotas = createSqlQuotaStore(database)
  return { clock, subscriptions, usage, quotas, ids, plans, gates, startNode, close: () => database.close() }
}

/** @returns undefined where it was refused in one of these ways */
async function unless<T>(codes: readonly string[], asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof DomainError && codes.includes(error.code)) return undefined
    throw error
  }
}

async function play(turns: readonly Turn[]): Promise<{ lets: number; refusals: number }> {
  const world = await aGate()
  const { clock, gates, ids, plans } = world
  const lets: Let[] = []
  let refusals = 0

  const limitsOf = (holder: string, dimension: string) =>
    PLANS.find(({ id }) => id === plans.get(holder))!.limits.filter((one) => one.dimension === dimension)
  /** Of one window, as of now. */
  const total = (holder: string, dimension: string, window: Limit['window'], start: number) =>
    lets
      .filter((one) => one.holder === holder && one.dimension === dimension)
      .filter(({ at }) => windowAt(window, at, START - DAY_MS).start === start)
      .filter(({ state, expiresAt }) => state === 'used' || (state === 'held' && clock.now() < expiresAt))
      .reduce((sum, { quantity }) => sum + quantity, 0)
  /** What was let through now had room in every limit. */
  const check = ({ holder, dimension, at }: Let) => {
    for (const { window, quantity } of limitsOf(holder, dimension)) {
      const { start } = windowAt(window, at, START - DAY_MS)
      expect(total(holder, dimension, window, start), `${dimension} a ${window}`).toBeLessThanOrEqual(
        quantity as number,
      )
    }
  }

  const nameOf = ({ holder, dimension, id }: Use) => `${ids[holder]} ${dimension} ${id}`
  /** Whose turn it is: of one reservation only one thing is asked at once, so that it is known what came of it. */
  function targetsOf(steps: readonly Step[]): readonly (Let | undefined)[] {
    const reserved = lets.filter(({ reservation }) => reservation !== undefined)
    const taken = new Set(steps.flatMap((one) => (one.kind === 'reserve' ? [nameOf(one)] : [])))
    return steps.map((one) => {
      if (one.kind !== 'settle' && one.kind !== 'release') return undefined
      const known = reserved[one.pick % Math.max(1, reserved.length)]
      if (known === undefined || taken.has(known.name)) return undefined
      taken.add(known.name)
      return known
    })
  }

  async function take(one: Step, known: Let | undefined): Promise<Let | undefined> {
    const gate = gates[one.node]!
    const now = clock.now()
    if (one.kind === 'settle' || one.kind === 'release') {
      if (known === undefined) return undefined
      const id = known.reservation!
      if (one.kind === 'release') {
        const { reservation } = await gate.release(id)
        if (reservation.state === 'released') known.state = 'released'
        return undefined
      }
      const used = Math.min(known.quantity, quantityOf(known.dimension, one.share))
      const settled = await unless(['reservation.ended'], gate.settle(id, used))
      if (settled?.isSettled !== true || known.state === 'used') return undefined
      // What is still held is there to be used, whatever became of the limit.
      const wasHeld = known.state === 'held' && now < known.expiresAt
      known.state = 'used'
      known.quantity = used
      return wasHeld ? undefined : known
    }
    const { dimension } = one
    const quantity = quantityOf(dimension, one.share)
    const question = {
      reference: { subscriptionId: ids[one.holder]! },
      dimension,
      quantity,
      id: one.id,
    }
    const ask = async (): Promise<QuotaAnswer & Partial<ReserveAnswer>> =>
      one.kind === 'validate'
        ? gate.validate({ ...question, mode: 'consume' })
        : gate.reserve({ ...question, forMs: one.share * 60_000 })
    const answer = await unless(['quota.id_conflict'], ask())
    if (answer?.allowed === false) refusals++
    if (answer?.allowed !== true || answer.isRepeat) return undefined
    const { reservation } = answer
    const name = nameOf(one)
    // What was let go of is held anew.
    for (const before of lets)
      if (reservation !== undefined && before.reservation === reservation.id) {
        before.reservation = undefined
        before.state = 'released'
      }
    const added: Let = {
      holder: ids[one.holder]!,
      dimension,
      name,
      at: now,
      reservation: reservation?.id,
      expiresAt: reservation?.expiresAt ?? Number.POSITIVE_INFINITY,
      quantity,
      state: reservation === undefined ? 'used' : 'held',
    }
    // One that was let go of is held anew under its id.
    const before = lets.findIndex(({ reservation: id }) => id !== undefined && id === added.reservation)
    if (before >= 0) lets.splice(before, 1)
    lets.push(added)
    return added
  }

  for (const turn of turns) {
    if (turn.kind === 'steps') {
      const targets = targetsOf(turn.steps)
      const taken = await Promise.all(turn.steps.map((one, index) => take(one, targets[index])))
      for (const one of taken) if (one !== undefined) check(one)
    } else if (turn.kind === 'plan') {
      const id = ids[turn.holder]!
      await world.subscriptions.change(id, () => ({ plan: turn.plan }), 'test', clock.now())
      plans.set(id, turn.plan)
    } else if (turn.kind === 'pass') clock.set(clock.now() + turn.ms)
    else if (turn.kind === 'sweep') await gates[turn.node]!.sweep()
    else {
      if (turn.kind === 'stop') await gates[turn.node]!.close()
      gates[turn.node] = world.startNode()
    }
  }

  // What the ledger has counted is what was let through; of slices that died with a node, more.
  for (const gate of gates) await gate.close()
  for (const one of lets)
    for (const { window } of limitsOf(one.holder, one.dimension)) {
      const { holder, dimension } = one
      const { start } = windowAt(window, one.at, START - DAY_MS)
      const [counter] = await world.quotas.read([{ holder, dimension, window, start }])
      const used = lets
        .filter((other) => other.holder === holder && other.dimension === dimension)
        .filter(({ at, state }) => state === 'used' && windowAt(window, at, START - DAY_MS).start === start)
        .reduce((sum, { quantity }) => sum + quantity, 0)
      if (dimension === 'large') expect(counter!.used).toBeGreaterThanOrEqual(used)
      else expect(counter!.used, `${dimension} a ${window}`).toBe(used)
    }
  const billed = (await world.usage.listBuckets({ limit: 500 })).items.reduce(
    (sum, { quantity }) => sum + Number(quantity),
    0,
  )
  const metered = lets.filter(({ dimension, state }) => dimension === 'metered' && state === 'used')
  expect(billed).toBe(metered.reduce((sum, { quantity }) => sum + quantity, 0))
  await world.close()
  return { lets: lets.length, refusals }
}

it(
  'never lets more through than the limit: whatever is asked, reserved, settled and changed at once, on two nodes that die and at the edge of windows',
  async () => {
    let [lets, refusals] = [0, 0]
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { minLength: 1, maxLength: 40, size: 'max' }), async (turns) => {
        const played = await play(turns)
        lets += played.lets
        refusals += played.refusals
      }),
      { numRuns: RUNS },
    )
    // It was about something.
    expect(lets).toBeGreaterThan(RUNS)
    expect(refusals).toBeGreaterThan(RUNS)
  },
  LONG_MS,
)
