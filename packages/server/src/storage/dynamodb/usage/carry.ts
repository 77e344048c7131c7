import { type TagSetKey, UNTAGGED } from '../../../domain/usage/tags.ts'
import { big, int, text } from '../fields.ts'
import { metersThatCarry, padded } from '../keys.ts'
import type { Item, Reader, Transaction } from '../table.ts'
import { readText, storeText, textPartKey } from './stored-text.ts'

const TAGS = 'carryTags'
/** A meter's own item is read and written with every hour that is sealed: many tag sets lie beside it. */
const TAGS_INLINE_MAX = 8_000
/** Digits of what 64 bits hold, and one more. */
const CARRY_DIGITS = 20

/** What a meter carries to its next hour, in base units. */
export interface Carry {
  readonly amount: bigint
  /** Signed: a tag set may have been billed ahead of its share. Sums to the amount where any is set. */
  readonly tags: ReadonlyMap<TagSetKey, bigint>
}

/** @param meter - its item `META` */
export async function readCarry(reader: Pick<Reader, 'getMany'>, meter: Item): Promise<Carry> {
  const tags = await readText(reader, meter, meter.pk, TAGS)
  return {
    amount: big(meter.carry ?? 0n),
    tags: new Map(tags === undefined ? [] : (JSON.parse(tags) as [string, string][]).map(toShare)),
  }
}

function toShare([tags, amount]: [string, string]): [TagSetKey, bigint] {
  return [tags, BigInt(amount)]
}

/** @param meter - its item as this step read it */
export async function writeCarry(tx: Transaction, meter: Item, { amount, tags }: Carry): Promise<void> {
  const shares = [...tags]
    .filter(([key, share]) => key !== UNTAGGED && share !== 0n)
    .map(([key, share]) => [key, String(share)])
  const { attributes, parts } = storeText(
    meter.pk,
    TAGS,
    shares.length === 0 ? '' : JSON.stringify(shares),
    TAGS_INLINE_MAX,
  )
  const before = int(meter[`${TAGS}Parts`] ?? 0)
  // Read, so that they may be written over.
  for (let part = 0; part < before; part++) await tx.get(textPartKey(meter.pk, TAGS, part))
  for (const part of parts) tx.put(part)
  for (let part = parts.length; part < before; part++) tx.delete(textPartKey(meter.pk, TAGS, part))
  tx.put({
    ...meter,
    ...attributes,
    ...(shares.length === 0 && { [TAGS]: undefined }),
    carry: amount,
    also: amount === 0n ? undefined : metersThatCarry(text(meter.product), text(meter.dimension)),
    alsoListed: amount === 0n ? undefined : `${padded(amount, CARRY_DIGITS)}.${text(meter.subscription)}`,
  })
}

/** Of the list of meters that carry something: those that carry at least so much. */
export const carriesAtLeast = (base: bigint): string => padded(base, CARRY_DIGITS)
