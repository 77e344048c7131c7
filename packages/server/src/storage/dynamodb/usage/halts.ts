import type { ProductHalt } from '../../../domain/usage/usage-store.ts'
import { clearAlarm, clearPoison } from '../alarms.ts'
import { appendAudit } from '../audit-trail.ts'
import { int, optionalInt, text } from '../fields.ts'
import { haltKey, isolationKey, isolationPartition } from '../keys.ts'
import type { Item, Reader, Table } from '../table.ts'
import { markOf } from './record-items.ts'

/** A person's stop is not loosened by an error's. */
export async function haltProduct(table: Table, halt: ProductHalt): Promise<void> {
  await table.transaction(async (tx) => {
    const key = haltKey(halt.product)
    const known = await tx.get(key)
    if (known !== undefined && known.probeAt === undefined && halt.probeAt !== undefined) return
    // It goes on, for another reason.
    tx.put({ ...key, ...halt, since: known === undefined ? halt.since : int(known.since) })
  })
}

/** @returns whether it was stopped */
export async function resumeProduct(
  table: Table,
  product: string,
  actor: string,
  now: number,
): Promise<boolean> {
  return table.transaction(async (tx) => {
    const halt = await tx.get(haltKey(product))
    if (halt === undefined) return false
    tx.delete(haltKey(product))
    await clearAlarm(tx, 'halted', product)
    await appendAudit(tx, {
      at: now,
      actor,
      action: 'usage.resume',
      subject: product,
      before: { halted: text(halt.reason) },
      after: undefined,
    })
    return true
  })
}

/** In order of their products. */
export async function listHalts(reader: Reader): Promise<ProductHalt[]> {
  const { pk } = haltKey('')
  return (await reader.query({ pk }))
    .map((item) => ({
      product: text(item.product),
      reason: text(item.reason),
      since: int(item.since),
      probeAt: optionalInt(item.probeAt),
    }))
    .sort((a, b) => (a.product < b.product ? -1 : 1))
}

/** May a stopped product be tried at this time? */
export function mayProbe(halt: Item, now: number): boolean {
  return halt.probeAt !== undefined && int(halt.probeAt) <= now
}

/** Takes the one try that a stopped product has until `again`. @returns whether it is ours */
export async function takeProbe(table: Table, product: string, now: number, again: number): Promise<boolean> {
  return table.transaction(async (tx) => {
    const halt = await tx.get(haltKey(product))
    // Ended meanwhile: what is found then is sent as always, in the next call.
    if (halt === undefined || !mayProbe(halt, now)) return false
    tx.put({ ...halt, probeAt: again })
    return true
  })
}

/** Records of this dimension or license are sent alone until one succeeds. */
export async function isolate(
  table: Table,
  product: string,
  kind: 'dimension' | 'identity',
  value: string,
  on: boolean,
): Promise<void> {
  await table.transaction(async (tx) => {
    const key = isolationKey(product, kind, value)
    const known = await tx.get(key)
    if (on) {
      if (known === undefined) tx.put({ ...key, product, kind, value })
    } else if (known !== undefined) {
      tx.delete(key)
      await clearPoison(tx, product, kind === 'dimension' ? value : undefined)
    }
  })
}

/** What of a product was refused before. */
export interface Isolations {
  readonly size: number
  has(dimension: string, identityKey: string): boolean
  /** By their marks in PendingMeteringRecordsIndex. */
  mayHave(dimensionMark: string, identityMark: string): boolean
}

export async function readIsolations(reader: Reader, product: string): Promise<Isolations> {
  const items = await reader.query({ pk: isolationPartition(product) })
  const values = new Set(items.map(({ kind, value }) => `${kind}:${value}`))
  const marks = new Set(items.map(({ kind, value }) => `${kind}:${markOf(text(value))}`))
  return {
    size: values.size,
    has: (dimension, identityKey) =>
      values.has(`dimension:${dimension}`) || values.has(`identity:${identityKey}`),
    mayHave: (dimensionMark, identityMark) =>
      marks.has(`dimension:${dimensionMark}`) || marks.has(`identity:${identityMark}`),
  }
}
