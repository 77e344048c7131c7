import type { Filling } from '../../domain/moving/ledger-copy.ts'
import { text } from './fields.ts'
import { ledgerKey } from './keys.ts'
import type { Reader } from './table.ts'

/** How far a copying has filled this ledger; undefined where none does. */
export async function readFilling(reader: Pick<Reader, 'get'>): Promise<Filling | undefined> {
  const item = await reader.get(ledgerKey('filling'))
  return item === undefined ? undefined : (JSON.parse(text(item.value)) as Filling)
}
