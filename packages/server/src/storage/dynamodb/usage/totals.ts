import { randomInt } from 'node:crypto'
import type { Transfer } from '../../../domain/usage/account.ts'
import type { RecordState } from '../../../domain/usage/usage-record.ts'
import type { BaseAmount } from '../../../domain/usage/usage-store.ts'
import { big, text } from '../fields.ts'
import { totalsKey, totalsPartition } from '../keys.ts'
import type { Item, Reader, Transaction } from '../table.ts'

/** Every sealing and every answer counts here: processes write to items of their own, or they would wait for each other. */
const SHARDS = 16
const shard = randomInt(SHARDS)

/** What is counted of a dimension of a product. Base units, but for records and `…Units`. */
export type TotalName = RecordState | `${RecordState}Units` | 'unbillable' | 'forgiven' | 'refusedUnrecorded'

type Amounts = { readonly [name in TotalName]?: bigint | number }

/** Counts within a step: what a status shows is as exact as what it is of. */
export function addToTotals(tx: Transaction, product: string, dimension: string, amounts: Amounts): void {
  const changed = Object.entries(amounts).filter(([, amount]) => BigInt(amount) !== 0n)
  if (changed.length === 0) return
  tx.add(totalsKey(product, dimension, shard), {
    amounts: Object.fromEntries(changed),
    initial: { product, dimension },
  })
}

/** Counts a record of so many units out of one state, if it was in any, and into another. */
export function countState(
  tx: Transaction,
  record: { readonly product: string; readonly dimension: string; readonly quantity: number },
  from: RecordState | undefined,
  to: RecordState,
): void {
  if (from === to) return
  addToTotals(tx, record.product, record.dimension, {
    ...(from && { [from]: -1, [`${from}Units`]: -record.quantity }),
    [to]: 1,
    [`${to}Units`]: record.quantity,
  })
}

/** What transfers without a record lose, or round up: a status shows it. */
export function countLosses(
  tx: Transaction,
  product: string,
  dimension: string,
  transfers: readonly Transfer[],
): void {
  let forgiven = 0n
  let refusedUnrecorded = 0n
  for (const { from, to, amount } of transfers) {
    if (from === to) continue
    if (to === 'forgiven') forgiven += amount
    if (from === 'forgiven') forgiven -= amount
    if (to === 'refused') refusedUnrecorded += amount
  }
  addToTotals(tx, product, dimension, { forgiven, refusedUnrecorded })
}

/** The totals of one dimension of one product. */
export interface Totals {
  readonly product: string
  readonly dimension: string
  of(name: TotalName): bigint
}

/** In order of product and dimension; strongly consistent. */
export async function readTotals(
  reader: Pick<Reader, 'query'>,
  product: string | undefined,
): Promise<readonly Totals[]> {
  const found = new Map<string, { product: string; dimension: string; items: Item[] }>()
  for (const item of await reader.query({ pk: totalsPartition })) {
    const total = { product: text(item.product), dimension: text(item.dimension), items: [] as Item[] }
    if (product !== undefined && total.product !== product) continue
    const key = JSON.stringify([total.product, total.dimension])
    const known = found.get(key) ?? total
    known.items.push(item)
    found.set(key, known)
  }
  return [...found.values()]
    .map(({ product, dimension, items }) => ({
      product,
      dimension,
      of: (name: TotalName) => items.reduce((sum, item) => sum + big(item[name] ?? 0n), 0n),
    }))
    .sort((a, b) => compare(a.product, b.product) || compare(a.dimension, b.dimension))
}

/** Those that are not zero. */
export function amountsOf(totals: readonly Totals[], name: TotalName): BaseAmount[] {
  return totals
    .map((total) => ({ product: total.product, dimension: total.dimension, base: total.of(name) }))
    .filter(({ base }) => base !== 0n)
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
