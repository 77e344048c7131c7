import type { LedgerRecord } from '@tollkeeper/simulator'
import type { Included } from '../../../domain/plans/plan.ts'
import type { Dimension, Product } from '../../../domain/products/product.ts'
import { AWS_RULES } from '../../../domain/usage/aws-rules.ts'
import { hourEnd, hourOf, MINUTE_MS } from '../../../domain/usage/hour.ts'
import { type Buyer, CONTRACT_UNITS, type Reference, referenceOf } from './buyer.ts'
import { expectSame, expectThat, shown } from './finding.ts'
import { EVENTS_MAX, eventsFor, type MadeEvent } from './usage-maker.ts'
import type { World } from './world.ts'

/** What `POST /usage` answers to one event. */
export interface UsageOutcome {
  readonly id: string
  readonly status: 'accepted' | 'late' | 'duplicate' | 'conflict' | 'refused'
  readonly code?: string
  readonly reason?: string
}

export interface Use {
  /** Default: the one that is simplest to count. */
  readonly dimension?: Dimension
  /** When it was used; default now. */
  readonly time?: number
  /** Default: the license, or of a legacy product the customer. */
  readonly by?: Reference
  readonly key?: string
}

/** Events in one request, as the API allows. */
const BATCH = 1_000
/** The items report what was buffered within this after an end. */
const BUFFERED_MS = 4 * MINUTE_MS
/** A record that AWS did not take at first is tried again within this. */
const RETRY_MS = 15 * MINUTE_MS

/** Reports so many billed units. @returns the outcomes */
export async function report(
  world: World,
  buyer: Buyer,
  units: number,
  { dimension = plainDimension(world.product), time = world.now(), ...use }: Use = {},
): Promise<readonly UsageOutcome[]> {
  return send(world, buyer, buyer.usage.make(dimension, units, time), use)
}

/** Sends events as they are: again, for instance. */
export async function send(
  { api, product }: World,
  buyer: Buyer,
  events: readonly MadeEvent[],
  { by = referenceOf(buyer), key }: Pick<Use, 'by' | 'key'> = {},
): Promise<readonly UsageOutcome[]> {
  const outcomes: UsageOutcome[] = []
  for (let from = 0; from < events.length; from += BATCH) {
    const body = events.slice(from, from + BATCH).map((event) => ({ product: product.id, ...by, ...event }))
    const answer = await api.ask<{ outcomes: UsageOutcome[] }>('/usage', {
      body,
      ...(key !== undefined && { key }),
    })
    outcomes.push(...answer.outcomes)
  }
  return outcomes
}

/** Reports, and sees that all of it counts. @throws {Finding} */
export async function use(world: World, buyer: Buyer, units: number, use: Use = {}): Promise<void> {
  const outcomes = await report(world, buyer, units, use)
  const bad = outcomes.find(({ status }) => status !== 'accepted' && status !== 'late')
  expectThat(bad === undefined, {
    expected: `usage of ${shown(use.by ?? referenceOf(buyer))} to be accepted`,
    seen: `${bad?.status} ${bad?.code ?? ''}: ${bad?.reason ?? ''}`,
    look: 'POST /usage',
  })
}

/** The dimension that takes the fewest events, of those that are billed from the first unit on. */
export function plainDimension(product: Product): Dimension {
  const order = ['sum', 'total', 'max', 'count', 'unique']
  const [plain] = product.dimensions
    .filter(({ key }) => includedIn(product, key) === undefined)
    .toSorted((a, b) => order.indexOf(a.aggregation) - order.indexOf(b.aggregation))
  return plain!
}

/** What the plan that a rehearsed buyer accepts includes of a dimension. */
export function includedIn({ pricing, plans }: Product, dimension: string): Included | undefined {
  if (pricing !== 'contract-with-consumption') return undefined
  return plans[0]?.included.find((included) => included.dimension === dimension)
}

/** Billed units of a dimension that so many units of the contract include. */
export function allowanceOf(product: Product, dimension: string, contractUnits = CONTRACT_UNITS): number {
  const { units = 0n, per } = includedIn(product, dimension) ?? {}
  return Number(units) * (per === undefined ? 1 : contractUnits)
}

/** Why so many units cannot be rehearsed. */
export function tooMany(dimension: Dimension, units: number): string | undefined {
  const events = eventsFor(dimension, units)
  return events <= EVENTS_MAX ? undefined : `${dimension.key}: it would take ${events} events`
}

/** Does the hour in progress stay open after an end for what a product may still have to report? */
export function takesBuffered({ goodbyeSettleMs }: Product): boolean {
  return goodbyeSettleMs > BUFFERED_MS
}

/** Until AWS has been sent what was used in this hour. */
export async function untilHourIsSent(world: World): Promise<void> {
  const { graceMs } = world.product
  await world.passUntil(hourEnd(hourOf(world.now())) + graceMs + 6 * MINUTE_MS)
}

/** Until the jobs have tried again whatever AWS did not take. */
export const untilRetried = (world: World): Promise<void> => world.pass(RETRY_MS)

/** Until AWS's hour for final usage is over. */
export const untilGoodbyeIsOver = (world: World): Promise<void> =>
  world.pass(AWS_RULES.finalWindowMs + 10 * MINUTE_MS)

/** What AWS accepted for an agreement. */
export function acceptedRecords(
  { simulator: { marketplace } }: World,
  { agreement }: Pick<Buyer, 'agreement'>,
): readonly LedgerRecord[] {
  return marketplace
    .listRecords({ from: 0, limit: marketplace.recordCount })
    .filter(({ subscriptionId }) => subscriptionId === agreement.id)
}

/** Units that AWS accepted for agreements together, of all dimensions. */
export function unitsOf(world: World, buyers: readonly Pick<Buyer, 'agreement'>[]): number {
  const records = buyers.flatMap((buyer) => acceptedRecords(world, buyer))
  return records.reduce((sum, { quantity }) => sum + quantity, 0)
}

/** Units that AWS accepted for an agreement, by dimension; zeros are left out. */
export function acceptedUnits(
  world: World,
  buyer: Pick<Buyer, 'agreement'>,
): Readonly<Record<string, number>> {
  const units: Record<string, number> = {}
  for (const { dimension, quantity } of acceptedRecords(world, buyer))
    if (quantity > 0) units[dimension] = (units[dimension] ?? 0) + quantity
  return units
}

/** AWS has exactly so many units. @throws {Finding} */
export function expectBilled(
  world: World,
  buyer: Pick<Buyer, 'agreement'>,
  units: number | Readonly<Record<string, number>>,
  when = '',
): void {
  const expected =
    typeof units === 'number' ? (units === 0 ? {} : { [plainDimension(world.product).key]: units }) : units
  expectSame(`AWS to have accepted for ${buyer.agreement.agreementId}${when === '' ? '' : ` ${when}`}`, {
    expected: sorted(expected),
    seen: sorted(acceptedUnits(world, buyer)),
    look: 'GET /usage/records, and `tollkeeper usage explain RECORD`',
  })
}

function sorted(units: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(units).sort(([a], [b]) => (a < b ? -1 : 1)))
}
