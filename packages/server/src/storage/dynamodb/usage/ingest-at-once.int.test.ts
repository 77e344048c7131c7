import { expect, it } from 'vitest'
import { AWS_RULES } from '../../../domain/usage/aws-rules.ts'
import { hourOf } from '../../../domain/usage/hour.ts'
import { anEvent, EVERY_KIND, ingestAtOnceContract } from '../../contract/ingest-at-once.contract.ts'
import { startLedger } from '../../contract/ledger-harness.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo, type Place } from '../dynamodb.fixture.ts'
import { type Fault, withFaults } from '../faults.fixture.ts'
import { bucketKey, meterPartition } from '../keys.ts'
import { openUsage } from './usage.fixture.ts'

describeOnDynamo('several processes on one table', () => {
  const places = new WeakMap<symbol, Promise<Place>>()
  ingestAtOnceContract(
    'DynamoDB',
    async (ledger) => {
      const place = places.get(ledger) ?? aDynamoPlace()
      places.set(ledger, place)
      return openUsage(await aDynamoTable({ place: await place }))
    },
    { runs: 1, reports: 4 },
  )
})

describeOnDynamo('a table that fails', () => {
  /** What happens to one write of so many. */
  async function start(every: number, fault: Fault) {
    const place = await aDynamoPlace()
    let isOn = false
    const faults = withFaults((write) => (isOn && write % every === 0 ? fault : undefined))
    const failing = await startLedger(
      async () => openUsage(await aDynamoTable({ place, through: faults.through })),
      EVERY_KIND,
    )
    const whole = await startLedger(async () => openUsage(await aDynamoTable({ place })), EVERY_KIND)
    const buyer = await failing.subscribe()
    isOn = true
    return { failing, whole, buyer, faults }
  }

  const throttled: Fault = {
    refusedAs: 'TransactionCanceledException',
    reasons: ['None', 'ThrottlingError'],
  }

  it.each([
    ['loses an answer', 'lost after'],
    ['loses a request', 'lost before'],
    ['is throttled', throttled],
    ['cancels for another transaction', { ...throttled, reasons: ['None', 'TransactionConflict'] }],
  ] as const)('counts each event once where every third write %s', async (_, fault) => {
    const { failing, whole, buyer } = await start(3, fault)
    const reports = Array.from({ length: 30 }, (_, index) => [
      anEvent(buyer, 'requests', `r${index}`, failing.clock.now(), { quantity: 3 }),
      anEvent(buyer, 'users', `u${index}`, failing.clock.now(), { value: `user-${index % 7}` }),
    ]).flat()
    const told = (await failing.ingest(reports)).map(({ status }) => status)
    expect(new Set(told)).toEqual(new Set(['accepted']))
    expect(new Set((await whole.ingest(reports)).map(({ status }) => status))).toEqual(new Set(['duplicate']))
    const { items } = await whole.usage.listBuckets({ limit: 5 })
    expect(items.map(({ dimension, quantity, events }) => [dimension, quantity, events]).sort()).toEqual([
      ['requests', 90n, 30],
      ['users', 7n, 30],
    ])
    expect(await whole.audit()).toMatchObject({ balanced: true, meters: 2 })
  })

  it('keeps tag sets apart for as long as there are no more than AWS takes, however many processes began each', async () => {
    const place = await aDynamoPlace()
    const open = async () => openUsage(await aDynamoTable({ place, shards: 1 }))
    const [first, later, last] = [await startLedger(open), await startLedger(open), await startLedger(open)]
    const buyer = await first.subscribe()
    const tagged = (team: string) => ({ tags: { team } })
    await first.report(buyer, 'a1', 1, tagged('a'))
    // As after many lives of processes, each of which took up the same ones.
    const shard = bucketKey(meterPartition(buyer.id, 'requests'), hourOf(first.clock.now()), 0)
    await (await aDynamoTable({ place })).transaction(async (tx) =>
      tx.put({ ...(await tx.get(shard))!, tagSets: AWS_RULES.allocationsMax }),
    )
    await later.report(buyer, 'a2', 2, tagged('a'))
    await later.report(buyer, 'b', 4, tagged('b'))
    await last.report(buyer, 'c', 8, tagged('c'))
    first.clock.set(first.clock.now() + 3_600_000)
    await first.close()
    const [record] = await first.records()
    expect(record!.allocations.map(({ tags, quantity }) => [tags[0]?.[1], quantity])).toEqual([
      ['a', 3],
      ['b', 4],
      ['c', 8],
    ])
  })

  it('takes in the rest when it is sent again, where a process died between two transactions of a request', async () => {
    const { failing, whole, buyer } = await start(4, 'dies after')
    const reports = Array.from({ length: 50 }, (_, index) =>
      anEvent(buyer, 'requests', `r${index}`, failing.clock.now()),
    )
    await expect(failing.ingest(reports)).rejects.toMatchObject({ code: 'ledger.busy' })
    const statuses = (await whole.ingest(reports)).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set(['accepted', 'duplicate']))
    expect((await whole.usage.listBuckets({ limit: 5 })).items).toMatchObject([{ quantity: 50n, events: 50 }])
    expect(await whole.audit()).toMatchObject({ balanced: true })
  })
})
