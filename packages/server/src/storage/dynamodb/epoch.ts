import { big } from './fields.ts'
import { ledgerKey } from './keys.ts'
import type { Reader, Transaction } from './table.ts'

const bumped = new WeakMap<Transaction, bigint>()

/**
 * The epoch that a step's changes of subscriptions belong to: one more than that before it, however many it changes.
 * Steps that change subscriptions follow each other by it, and whatever was resolved before is stale.
 */
export function bumpEpoch(tx: Transaction): Promise<bigint> {
  return setEpoch(tx, 0n)
}

/**
 * The same, to where no lost copy of this ledger has been: what was resolved by an epoch of that one is never taken for this
 * one's, since it has made fewer changes than a millisecond each.
 *
 * @param now - ms
 */
export function jumpEpoch(tx: Transaction, now: number): Promise<bigint> {
  return setEpoch(tx, BigInt(now))
}

async function setEpoch(tx: Transaction, least: bigint): Promise<bigint> {
  const known = bumped.get(tx)
  if (known !== undefined) return known
  const key = ledgerKey('epoch')
  const item = await tx.get(key)
  const next = (item === undefined ? 0n : big(item.value)) + 1n
  const epoch = next > least ? next : least
  tx.put({ ...item, ...key, value: epoch })
  bumped.set(tx, epoch)
  return epoch
}

export async function readEpoch(reader: Reader): Promise<number> {
  const item = await reader.get(ledgerKey('epoch'))
  return item === undefined ? 0 : Number(big(item.value))
}
