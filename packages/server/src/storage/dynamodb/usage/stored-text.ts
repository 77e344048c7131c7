import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { padded } from '../keys.ts'
import type { Attribute, Item, Key, Reader } from '../table.ts'

/** Shorter texts are kept as they are: a person may read them in the table. */
const PLAIN_CHARS_MAX = 1_000
/** An item holds 400 KB. */
const PART_BYTES_MAX = 300_000

/** A text of any length on its way into the table: within its item, or beside it. */
export interface StoredText {
  /** For the item: the text itself under its name, or `…Parts`, how many items hold it. */
  readonly attributes: { readonly [name: string]: Attribute | undefined }
  /** Items that must be there when the item is. */
  readonly parts: readonly Item[]
}

/** Where the parts of a text are. */
export const textPartKey = (pk: string, name: string, part: number): Key => ({
  pk,
  sk: `${name}#${padded(part, 3)}`,
})

/**
 * Long texts are deflated: a call's records are much alike.
 *
 * @param pk - partition of the parts, where it needs any
 * @param inlineMax - bytes that the item itself may take of it; it is written whole with every change
 */
export function storeText(pk: string, name: string, value: string, inlineMax: number): StoredText {
  const text = value.length <= PLAIN_CHARS_MAX ? value : deflateRawSync(value)
  const { length } = typeof text === 'string' ? Buffer.from(text) : text
  if (length <= inlineMax) return { attributes: { [name]: text, [`${name}Parts`]: undefined }, parts: [] }
  const bytes = Buffer.from(text as Uint8Array)
  const parts: Item[] = []
  for (let at = 0; at < bytes.length; at += PART_BYTES_MAX) {
    const key = textPartKey(pk, name, parts.length)
    parts.push({ ...key, bytes: bytes.subarray(at, at + PART_BYTES_MAX) })
  }
  return { attributes: { [name]: undefined, [`${name}Parts`]: parts.length }, parts }
}

/** @returns undefined where the item has no such text */
export async function readText(
  reader: Pick<Reader, 'getMany'>,
  item: Item,
  pk: string,
  name: string,
): Promise<string | undefined> {
  const parts = Number(item[`${name}Parts`] ?? 0)
  const value = parts === 0 ? item[name] : await readParts(reader, pk, name, parts)
  return value instanceof Uint8Array ? inflateRawSync(value).toString('utf8') : (value as string | undefined)
}

async function readParts(
  reader: Pick<Reader, 'getMany'>,
  pk: string,
  name: string,
  count: number,
): Promise<Uint8Array> {
  const keys = Array.from({ length: count }, (_, part) => textPartKey(pk, name, part))
  const items = await reader.getMany(keys)
  return Buffer.concat(
    items.map((item, part) => {
      if (item === undefined) throw new Error(`part ${part} of ${name} is missing in ${pk}`)
      return item.bytes as Uint8Array
    }),
  )
}
