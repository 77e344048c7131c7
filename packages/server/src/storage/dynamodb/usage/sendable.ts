import { padded } from '../keys.ts'
import type { Table } from '../table.ts'
import { listHalts } from './halts.ts'
import { parsePendingDue } from './record-items.ts'
import { productsWithPending } from './settle.ts'

/** Products that have records to send now, the most urgent first. What an index says is enough: a claim looks closer. */
export async function listSendable(
  table: Table,
  now: number,
): Promise<{ product: string; deadline: number }[]> {
  const stopped = new Set(
    (await listHalts(table))
      .filter(({ probeAt }) => probeAt === undefined || probeAt > now)
      .map(({ product }) => product),
  )
  const found: { product: string; deadline: number }[] = []
  for (const product of await productsWithPending(table)) {
    if (stopped.has(product)) continue
    const deadline = await firstDue(table, product, now)
    if (deadline !== undefined) found.push({ product, deadline })
  }
  return found.sort((a, b) => a.deadline - b.deadline)
}

async function firstDue(table: Table, product: string, now: number): Promise<number | undefined> {
  const range = { pk: product, from: padded(now + 1) }
  for await (const page of table.entries('PendingMeteringRecordsIndex', range)) {
    for (const { sort } of page) {
      const { deadline, availableAt } = parsePendingDue(sort)
      if (availableAt <= now) return deadline
    }
  }
  return undefined
}
