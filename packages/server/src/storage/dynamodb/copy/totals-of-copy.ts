import { big, text } from '../fields.ts'
import { includedPrefix, recordPrefix, sinkKey, totalsKey } from '../keys.ts'
import type { Requests } from '../requests.ts'
import type { Item, Table } from '../table.ts'
import { readBuckets } from '../usage/buckets.ts'
import { meterOf } from '../usage/meters.ts'
import { toTransfers } from '../usage/record-items.ts'
import type { Batch } from './batch.ts'
import { scanAll } from './scan.ts'

/** What a table counts of its own items, counted anew: the same however often. */
export async function countAnew(table: Table, requests: Requests, batch: Batch): Promise<void> {
  const totals = new Map<string, Item>()
  const add = (product: string, dimension: string, name: string, amount: bigint) => {
    const key = totalsKey(product, dimension, 0)
    const known = totals.get(key.sk) ?? { ...key, product, dimension }
    totals.set(key.sk, { ...known, [name]: big(known[name] ?? 0n) + amount })
  }
  for await (const meta of scanAll(requests, table.name, { pkPrefix: 'METER#', sk: 'META' })) {
    const [product, dimension] = [text(meta.product), text(meta.dimension)]
    // What a closing asks of the meter, before it believes what it finds of the periods.
    const included = await table.query({ pk: meta.pk, prefix: includedPrefix })
    if (included.length > 0)
      batch.put({ ...meta, includedUsed: included.reduce((sum, { used }) => sum + big(used), 0n) })
    for (const record of await table.query({ pk: meta.pk, prefix: recordPrefix })) {
      add(product, dimension, text(record.state), 1n)
      add(product, dimension, `${text(record.state)}Units`, big(record.quantity))
    }
    for (const { shards, unbillable } of await readBuckets(table, meterOf(meta))) {
      if (unbillable > 0n) add(product, dimension, 'unbillable', unbillable)
      for (const { from, to, amount } of toTransfers(shards[0]!.transfers)) {
        if (to === 'forgiven') add(product, dimension, 'forgiven', amount)
        if (from === 'forgiven') add(product, dimension, 'forgiven', -amount)
        if (to === 'refused') add(product, dimension, 'refusedUnrecorded', amount)
      }
    }
  }
  for (const total of totals.values()) batch.put(total)
  const dead = new Map<string, number>()
  for await (const delivery of scanAll(requests, table.name, { pkPrefix: 'TOLD#', skPrefix: 'D#' }))
    if (delivery.state === 'dead') dead.set(text(delivery.sink), (dead.get(text(delivery.sink)) ?? 0) + 1)
  for (const [sink, count] of dead)
    batch.put({ ...(await batch.get(sinkKey(sink))), ...sinkKey(sink), name: sink, dead: count })
  await batch.flush()
}
