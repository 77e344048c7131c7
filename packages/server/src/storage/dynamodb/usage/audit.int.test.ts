import { expect, it } from 'vitest'
import { hourOf } from '../../../domain/usage/hour.ts'
import { aDimension, aProduct, utc } from '../../contract/fixtures.ts'
import { startLedger } from '../../contract/ledger-harness.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo } from '../dynamodb.fixture.ts'
import { bucketKey, meterPartition, recordKey } from '../keys.ts'
import type { Requests } from '../requests.ts'
import { createDynamoSubscriptionStore } from '../subscriptions.ts'
import type { Table } from '../table.ts'
import { createDynamoUsageStore, dynamoUsageOfSubscriptions } from './usage-store.ts'

const START = utc('2026-11-21T10:30')

function storesOn(table: Table) {
  return {
    table,
    usage: createDynamoUsageStore(table),
    subscriptions: createDynamoSubscriptionStore(table, dynamoUsageOfSubscriptions),
  }
}

describeOnDynamo('the audit on DynamoDB', () => {
  it('is exact while usage comes in, hours close and subscriptions end', async () => {
    const place = await aDynamoPlace()
    const product = aProduct({ dimensions: [aDimension({ unitSize: 10n })] })
    const open = async () => storesOn(await aDynamoTable({ place }))
    const [one, other] = [await startLedger(open, product, START), await startLedger(open, product, START)]
    const [buyer, leaver] = [await one.subscribe(), await one.subscribe()]
    let isOver = false
    const work = async () => {
      for (let round = 0; round < 12; round++) {
        one.clock.set(START + round * 1_200_000)
        await Promise.all([
          one.report(buyer, `a ${round}`, 7),
          one.report(buyer, `b ${round}`, 5),
          round < 8 ? one.report(leaver, `c ${round}`, 9) : undefined,
        ])
        if (round === 8) await one.end(leaver, one.clock.now())
        await one.close()
        await one.submit()
      }
      isOver = true
    }
    const look = async () => {
      const reports = []
      while (!isOver) reports.push(await other.audit())
      return reports
    }
    const [, reports] = await Promise.all([work(), look()])
    reports.push(await other.audit())
    expect(reports.flatMap(({ discrepancies }) => discrepancies)).toEqual([])
    expect(reports.at(-1)).toMatchObject({ balanced: true, meters: 2 })
  })

  it('tells what no longer fits together', async () => {
    const stores = storesOn(await aDynamoTable())
    const { subscribe, report, clock, close, audit, records } = await startLedger(
      async () => stores,
      undefined,
      START,
    )
    const buyer = await subscribe()
    await report(buyer, 'a', 7)
    clock.set(START + 3_600_000)
    await close()
    await report(buyer, 'b', 5)
    expect(await audit()).toMatchObject({ balanced: true })
    const change = (key: { pk: string; sk: string }, values: Record<string, bigint | string>) =>
      stores.table.transaction(async (tx) => tx.put({ ...(await tx.get(key))!, ...values }))
    const hour = hourOf(START)
    await change(recordKey(buyer.id, 'requests', hour), { state: 'accepted' })
    const [record] = await records()
    expect(record).toMatchObject({ state: 'accepted' })
    const said = async () => (await audit()).discrepancies.map(({ what }) => what).toSorted()
    expect(await said()).toEqual([
      'accepted: the journal says 0, the rows say 7',
      'ready: the journal says 7, the rows say 0',
    ])
    await change(recordKey(buyer.id, 'requests', hour), { state: 'ready' })
    const bucket = bucketKey(meterPartition(buyer.id, 'requests'), hour + 1, 0)
    const shards = await stores.table.query({ pk: bucket.pk, prefix: bucket.sk.slice(0, -1) })
    await change(shards.find(({ quantity }) => quantity !== undefined)!, { quantity: 6n })
    expect(await said()).toEqual([
      'hour 2026-11-21T11:00:00.000Z differs from its events',
      'measured: the events say 12, the journal says 13',
    ])
  })

  it('waits for an index that is behind before it tells of a difference', async () => {
    let behind = 0
    const through = (requests: Requests): Requests => ({
      async send(name, input) {
        const answer = await requests.send(name, input)
        const isOfEvents = (input as { IndexName?: string }).IndexName === 'BucketEventsIndex'
        if (!isOfEvents || behind === 0) return answer
        behind--
        return { ...answer, Items: [] }
      },
    })
    const stores = storesOn(await aDynamoTable({ through }))
    const { subscribe, report, audit } = await startLedger(async () => stores, undefined, START)
    await report(await subscribe(), 'a', 7)
    behind = 3
    expect(await audit()).toMatchObject({ balanced: true })
    expect(behind).toBe(0)
  })
})
