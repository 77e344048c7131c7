import { randomBytes, randomUUID } from 'node:crypto'
import { checkAccount, checkDimension, checkFilled, checkMode } from '../../domain/ledger-identity.ts'
import type { ProductCatalog } from '../../domain/products/product.ts'
import type { LedgerMode } from '../../domain/stores.ts'
import type { MeterKind } from '../../domain/usage/usage-store.ts'
import { int, optionalText, text } from './fields.ts'
import { readFilling } from './filling.ts'
import { dimensionKey, dimensionPartition, ledgerKey } from './keys.ts'
import type { Table, Transaction } from './table.ts'

/**
 * A ledger is simulated, shadow or live for good, and of one seller's account: pretend and real usage never mix.
 *
 * @throws {DomainError} `ledger.mode_mismatch`
 */
export async function claimLedger(
  table: Table,
  wanted: { readonly mode: LedgerMode; readonly accountId: string | undefined },
): Promise<void> {
  const ledger = { name: table.name, kind: 'table' } as const
  checkFilled(ledger, await readFilling(table))
  // Each on its own: all are set for good, and a claim that fails must leave the ledger as it was.
  checkMode(ledger, await claim(table, 'mode', wanted.mode), wanted.mode)
  if (wanted.accountId !== undefined)
    checkAccount(ledger, await claim(table, 'account', wanted.accountId), wanted.accountId)
  await claim(table, 'id', randomUUID())
}

/**
 * A random key of this ledger, made when it is first asked for and the same ever after, in every process.
 *
 * @param name - what it is for: one key, one purpose
 * @param bytes - its length; of an existing one it changes nothing
 */
export async function ledgerSecret(table: Table, name: string, bytes: number): Promise<Uint8Array> {
  const fresh = randomBytes(bytes).toString('base64url')
  return Buffer.from(await claim(table, `secret:${name}`, fresh), 'base64url')
}

/** How many items share the counters of a bucket: what the ledger was made with, whatever is configured since. */
export async function claimShards(table: Table, shards: number): Promise<number> {
  return Number(await claim(table, 'shards', String(shards)))
}

/** The first to set a value sets it for good. */
function claim(table: Table, name: string, value: string): Promise<string> {
  return table.transaction(async (tx) => {
    const known = await tx.get(ledgerKey(name))
    if (known !== undefined) return text(known.value)
    tx.put({ ...ledgerKey(name), value })
    return value
  })
}

/** Notes with a dimension's first meter what it is counted in. It is never changed, and so read without a check. */
export async function noteDimension(tx: Transaction, dimension: string, kind: MeterKind): Promise<void> {
  const key = dimensionKey(kind.product, dimension)
  if ((await tx.peek(key)) !== undefined) return
  const { product, scale, aggregation, per } = kind
  tx.put({ ...key, product, dimension, scale, aggregation, per })
}

/**
 * A dimension keeps its smallest unit and its way of adding up: what was counted in cents cannot go on in dollars, and a
 * month's unique users would be billed again as a day's.
 *
 * @throws {DomainError} `ledger.dimension_changed`
 */
export async function checkDimensions(table: Table, catalog: ProductCatalog): Promise<void> {
  for (const item of await table.query({ pk: dimensionPartition })) {
    checkDimension(
      {
        product: text(item.product),
        dimension: text(item.dimension),
        scale: int(item.scale),
        aggregation: text(item.aggregation),
        per: optionalText(item.per),
      },
      catalog,
    )
  }
}
