import { text } from '../fields.ts'
import { productsPartition } from '../keys.ts'
import type { Reader } from '../table.ts'

/** Every product that ever had a subscription, in order. */
export async function readProducts(reader: Pick<Reader, 'query'>): Promise<string[]> {
  return (await reader.query({ pk: productsPartition })).map(({ product }) => text(product)).sort()
}
