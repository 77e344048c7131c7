import { big } from './fields.ts'
import { ledgerKey } from './keys.ts'
import type { Reader, Transaction } from './table.ts'

const bumped = new WeakMap<Transaction, bigint>()

/**
 * The epoch that a step's changes of subscriptions belong to: one more than that before it, however many it changes.
 * Steps that change subscriptions follow each other by it, and whatever was resolved before is stale.
 */
export async function bumpEpoch(tx: Transaction): Promise<bigint> {
  const known = bumped.get(tx)
  if (known !== undefined) return known
  const key = ledgerKey('epoch')
  const item = await tx.get(key)
  const epoch = (item === undefined ? 0n : big(item.value)) + 1n
  tx.put({ ...item, ...key, value: epoch })
  bumped.set(tx, epoch)
  return epoch
}

export async function readEpoch(reader: Reader): Promise<number> {
  const item = await reader.get(ledgerKey('epoch'))
  return item === undefined ? 0 : Number(big(item.value))
}
