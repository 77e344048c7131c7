import type { CopyRow, CopyValue } from '../../../domain/moving/ledger-kinds.ts'
import { texts } from '../fields.ts'
import { meterKey, padded } from '../keys.ts'
import type { Attribute, Item, Key } from '../table.ts'
import { type Meter, meterAt } from '../usage/meters.ts'
import type { Batch } from './batch.ts'

export interface Target {
  readonly batch: Batch
  /** Rows that were written before this page: what has an order is numbered by it. */
  readonly before: number
  /** ms. */
  readonly horizon: number
  /** May DynamoDB delete what is too old? */
  readonly expires: boolean
}

export type Write = (row: CopyRow, target: Target, number: number) => Promise<void> | void

export const ORDINAL_DIGITS = 12
export const ALLOCATIONS_INLINE_MAX = 4_000
export const TEXT_INLINE_MAX = 30_000

/** A row's fields as attributes: what is null is left out. */
export function attributes(row: CopyRow, ...names: readonly string[]): Record<string, CopyValue | undefined> {
  return Object.fromEntries(names.map((name) => [name, row[name] ?? undefined])) as Record<
    string,
    CopyValue | undefined
  >
}

/** Fields and values are the same here: nulls are never among them. */
export function item(key: Key, row: CopyRow, ...names: readonly string[]): Item {
  return { ...key, ...(attributes(row, ...names) as Record<string, Attribute | undefined>) }
}

export const str = (value: CopyValue | undefined) => value as string
export const maybe = (value: CopyValue | undefined) => (value ?? undefined) as string | undefined
export const num = (value: CopyValue | undefined) => Number(value)

/** Behind all that was written before, in front of all that comes later. */
export const placed = (at: CopyValue | undefined, number: number) =>
  `${padded(num(at))}-${padded(number, ORDINAL_DIGITS)}-copied`

export function meterIn(row: CopyRow): Meter {
  return meterAt({ subscription: str(row.subscription), dimension: str(row.dimension) })
}

export async function metaOf(batch: Batch, meter: Meter): Promise<Item> {
  return (await batch.get(meterKey(meter.subscription, meter.dimension)))!
}

export function appended(list: Attribute | undefined, value: string): readonly string[] {
  const known = texts(list)
  return known.includes(value) ? known : [...known, value]
}

export type Period = { readonly [name: string]: Attribute | undefined }
