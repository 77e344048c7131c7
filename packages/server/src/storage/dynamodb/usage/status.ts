import { MARGINS } from '../../../domain/usage/aws-rules.ts'
import type { Hour } from '../../../domain/usage/hour.ts'
import { lastOverdueHour, unsealedByProduct } from '../../../domain/usage/usage-at-risk.ts'
import type { RecordState } from '../../../domain/usage/usage-record.ts'
import type { BaseAmount, StatusAt, UnsealedHours, UsageStatus } from '../../../domain/usage/usage-store.ts'
import { big, int, optionalInt, text } from '../fields.ts'
import {
  hourDigits,
  latePartition,
  metersThatCarry,
  subscriptionKey,
  type Unsealed,
  unsealedPartitions,
} from '../keys.ts'
import type { Item, Range, Table } from '../table.ts'
import { carriesAtLeast } from './carry.ts'
import { readProducts } from './products.ts'
import { parsePendingDue } from './record-items.ts'
import { amountsOf, readTotals, type Totals } from './totals.ts'

const RECORD_STATES: readonly RecordState[] = [
  'ready',
  'sent',
  'accepted',
  'assumed',
  'in_doubt',
  'conflict',
  'refused',
  'carried',
]

/** Reads what is kept as counts, or by an index of the few that matter: never the history. */
export async function readStatus(
  table: Table,
  product: string | undefined,
  at: StatusAt | undefined,
): Promise<UsageStatus> {
  const products = product === undefined ? await readProducts(table) : [product]
  const totals = await readTotals(table, product)
  const held = await readHeld(table, products)
  const overdue = at === undefined ? [] : await readOverdue(table, products, at.now)
  const unsealed = [...held, ...overdue].map((hours) => ({ ...hours, hour: hours.oldestHour }))
  const unsettled = await readUnsettled(table, totals)
  const [oldest] = [...unsealed, ...unsettled].sort((a, b) => a.deadline - b.deadline || a.hour - b.hour)
  const late = (await table.query({ pk: latePartition })).filter(
    (item) => product === undefined || item.product === product,
  )
  const sumOf = (name: 'months' | 'agreements') => late.reduce((sum, item) => sum + int(item[name] ?? 0), 0)
  return {
    records: Object.fromEntries(
      RECORD_STATES.map((state) => [state, totals.reduce((sum, one) => sum + Number(one.of(state)), 0)]),
    ) as Record<RecordState, number>,
    oldest: oldest && { hour: oldest.hour, deadline: oldest.deadline, product: oldest.product },
    openBuckets: await countOpen(table, products),
    heldBuckets: held.reduce((sum, { buckets }) => sum + buckets, 0),
    overdue,
    held,
    pending: pendingOf(totals),
    carried: at === undefined ? [] : await readCarried(table, product, at),
    refusedUnrecorded: amountsOf(totals, 'refusedUnrecorded'),
    forgiven: amountsOf(totals, 'forgiven'),
    lateAcrossMonths: sumOf('months'),
    lateAcrossAgreements: sumOf('agreements'),
    unbillable: amountsOf(totals, 'unbillable'),
  }
}

function pendingOf(totals: readonly Totals[]): UsageStatus['pending'] {
  return totals
    .filter((one) => one.of('ready') + one.of('sent') > 0n)
    .map((one) => ({
      product: one.product,
      dimension: one.dimension,
      units: one.of('readyUnits') + one.of('sentUnits'),
    }))
}

/** Of each product, the sealed hour that AWS stops taking first. */
async function readUnsettled(table: Table, totals: readonly Totals[]) {
  const found: { product: string; hour: Hour; deadline: number }[] = []
  for (const product of new Set(pendingOf(totals).map((one) => one.product))) {
    const range = { pk: product, limit: 1 }
    const [first] = await table.queryIndex('PendingMeteringRecordsIndex', range)
    if (first === undefined) continue
    const { deadline } = parsePendingDue(text(first.pendingDue))
    found.push({ product, hour: int(first.hour), deadline })
  }
  return found
}

function rangesOf(products: readonly string[], kind: Unsealed, range: Omit<Range, 'pk'> = {}): Range[] {
  return products.flatMap((product) => unsealedPartitions(kind, product).map((pk) => ({ ...range, pk })))
}

async function countOpen(table: Table, products: readonly string[]): Promise<number> {
  let count = 0
  for (const range of [...rangesOf(products, 'OPEN'), ...rangesOf(products, 'ENDED')])
    for await (const page of table.entries('UnsealedBucketsIndex', range)) count += page.length
  return count
}

async function readHeld(table: Table, products: readonly string[]): Promise<UnsealedHours[]> {
  const shards = await readShards(table, rangesOf(products, 'HELD'))
  return byProduct(shards, await readFinals(table, shards))
}

/** Open hours that AWS soon takes no more, and those of subscriptions whose final window is about to close. */
async function readOverdue(table: Table, products: readonly string[], now: number): Promise<UnsealedHours[]> {
  const last = lastOverdueHour(now)
  const old = await readShards(table, rangesOf(products, 'OPEN', { to: `${hourDigits(last)}~` }))
  const ended = await readShards(table, rangesOf(products, 'ENDED'))
  const finals = await readFinals(table, [...old, ...ended])
  const closesSoon = (shard: Item) => {
    const final = finals.get(text(shard.subscription))
    return final !== undefined && final <= now + MARGINS.lastSealBeforeGoodbyeMs
  }
  return byProduct([...old, ...ended.filter((one) => int(one.hour) <= last || closesSoon(one))], finals)
}

/** First shards of unsealed buckets. */
async function readShards(table: Table, ranges: readonly Range[]): Promise<Item[]> {
  const shards: Item[] = []
  for (const range of ranges) shards.push(...(await table.queryIndex('UnsealedBucketsIndex', range)))
  return shards
}

/** Ends of the final windows of their subscriptions, where they have one. */
async function readFinals(table: Table, shards: readonly Item[]): Promise<Map<string, number>> {
  const ids = [...new Set(shards.map(({ subscription }) => text(subscription)))]
  const finals = new Map<string, number>()
  for (const item of await table.getMany(ids.map(subscriptionKey))) {
    const final = optionalInt(item?.finalWindowEnd)
    if (item !== undefined && final !== undefined) finals.set(text(item.id), final)
  }
  return finals
}

function byProduct(shards: readonly Item[], finals: ReadonlyMap<string, number>): UnsealedHours[] {
  return unsealedByProduct(
    shards.map((shard) => ({
      product: text(shard.product),
      hour: int(shard.hour),
      buckets: 1,
      finalWindowEnd: finals.get(text(shard.subscription)),
    })),
  )
}

/** Of each dimension, what its meters carry that have a whole unit or more. */
async function readCarried(
  table: Table,
  product: string | undefined,
  { units }: StatusAt,
): Promise<BaseAmount[]> {
  const found: BaseAmount[] = []
  for (const unit of units) {
    if (product !== undefined && unit.product !== product) continue
    const range = { pk: metersThatCarry(unit.product, unit.dimension), from: carriesAtLeast(unit.base) }
    let base = 0n
    for await (const page of table.pages(range, 'SecondListIndex'))
      for (const meter of page) base += big(meter.carry)
    if (base > 0n) found.push({ ...unit, base })
  }
  return found
}
