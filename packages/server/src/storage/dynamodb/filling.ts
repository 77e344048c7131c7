import type { Filling } from '../../domain/moving/ledger-copy.ts'
import { text } from './fields.ts'
import { ledgerKey } from './keys.ts'
import type { Item, Reader } from './table.ts'

export const FILLING = ledgerKey('filling')

/** How far a copying has filled this ledger; undefined where none does. */
export async function readFilling(reader: Pick<Reader, 'get'>): Promise<Filling | undefined> {
  return toFilling(await reader.get(FILLING))
}

export function toFilling(item: Item | undefined): Filling | undefined {
  return item === undefined ? undefined : (JSON.parse(text(item.value)) as Filling)
}

/**
 * Its `run` stands apart as well: what the run writes is conditional on it.
 *
 * @param rows - written so far
 */
export function fillingItem(filling: Filling, rows: number): Item {
  return { ...FILLING, value: JSON.stringify(filling), run: filling.run, rows }
}
