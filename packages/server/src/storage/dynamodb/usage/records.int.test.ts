import { expect, it } from 'vitest'
import { hourOf } from '../../../domain/usage/hour.ts'
import type { RecordState } from '../../../domain/usage/usage-record.ts'
import { utc } from '../../contract/fixtures.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo } from '../dynamodb.fixture.ts'
import { withFaults } from '../faults.fixture.ts'
import { big } from '../fields.ts'
import { ledgerKey, meterKey } from '../keys.ts'
import { readCarry } from './carry.ts'
import { extendDeadlines, shortenDeadlines } from './deadlines.ts'
import { createRecordStore } from './record-store.ts'
import {
  claimOptions,
  findErrors,
  NOW,
  recordStoreOn,
  SUCCESS,
  sealRecords,
  settleAs,
} from './records.fixture.ts'
import { createUnsentUsage } from './unsent.ts'

describeOnDynamo('records on DynamoDB', () => {
  it('are listed newest first, in pages that leave nothing out, by whatever they are asked for', async () => {
    const table = await aDynamoTable()
    const store = recordStoreOn(table)
    const sealed: string[] = []
    for (const [product, dimension, count] of [
      ['a', 'requests', 4],
      ['b', 'requests', 3],
      ['a', 'storage', 2],
      ['b', 'requests', 2],
    ] as const)
      sealed.push(...(await sealRecords(table, count, { product, dimension })))
    const states: RecordState[] = ['accepted', 'refused', 'in_doubt', 'ready']
    const batch = (await store.claim({ ...claimOptions(), product: 'a' }))!
    await settleAs(store, batch, SUCCESS, ({ quantity }) => states[quantity % 4]!)
    const all = (await store.listRecords({ limit: 100 })).items
    expect(all.map(({ id }) => id)).toEqual(sealed.toReversed())
    const read = async (filter: Partial<Parameters<typeof store.listRecords>[0]>, limit: number) => {
      const found = []
      let cursor: string | undefined
      do {
        const page = await store.listRecords({ ...filter, limit, cursor })
        expect(page.items.length).toBeLessThanOrEqual(limit)
        found.push(...page.items)
        cursor = page.next
      } while (cursor !== undefined)
      return found
    }
    for (const limit of [2, 5])
      for (const filter of [
        {},
        { product: 'a' },
        { product: 'b', dimension: 'requests' },
        { dimension: 'storage' },
        { subscription: all[3]!.subscription },
        ...[...states, 'sent' as const].flatMap((state) => [{ state }, { product: 'a', state }]),
      ])
        expect(await read(filter, limit), JSON.stringify(filter)).toEqual(
          all.filter((record) =>
            Object.entries(filter).every(([name, value]) => record[name as 'product'] === value),
          ),
        )
    expect(await findErrors(table, all)).toEqual([])
  })

  it('carry their amount and their tags to the meter when AWS takes their hour no more', async () => {
    const table = await aDynamoTable()
    const opened: number[] = []
    const store = createRecordStore(table, async (_, __, from) => {
      opened.push(from)
      return from
    })
    const allocations = [
      { quantity: 3, tags: [['team', 'a']] as const },
      { quantity: 2, tags: [] },
    ]
    const [id] = await sealRecords(table, 1, { quantity: 5, allocations })
    await sealRecords(table, 1, { quantity: 7 })
    const later = utc('2026-11-22T11:00')
    const inFlight = (await store.claim({ ...claimOptions(), only: [id!] }))!
    await settleAs(store, inFlight, { kind: 'unprocessed' }, 'ready')
    const expired = await store.expire(later, 10, (record) => ({
      state: record.quantity === 5 ? 'carried' : 'refused',
      unanswered: 0,
      openFrom: record.quantity === 5 ? 99 : undefined,
    }))
    expect(expired.map(({ state }) => state).toSorted()).toEqual(['carried', 'refused'])
    expect(opened).toEqual([99])
    const record = await store.getRecord(id!)
    const meter = (await table.get(meterKey(record.subscription, record.dimension)))!
    expect(await readCarry(table, meter)).toEqual({
      amount: 50n,
      tags: new Map([['[["team","a"]]', 30n]]),
    })
    expect((await store.listTransfers(record)).map(({ from, to, amount }) => [from, to, amount])).toEqual([
      ['open', 'ready', 50n],
      ['ready', 'sent', 50n],
      ['sent', 'ready', 50n],
      ['ready', 'carry', 50n],
    ])
    expect(await store.expire(later, 10, () => ({ state: 'refused', unanswered: 0 }))).toEqual([])
    expect(await findErrors(table, (await store.listRecords({ limit: 9 })).items)).toEqual([])
  })

  it('of a stopped product are tried by one process at a time', async () => {
    const place = await aDynamoPlace()
    const stores = await Promise.all([0, 1, 2].map(async () => recordStoreOn(await aDynamoTable({ place }))))
    await sealRecords(await aDynamoTable({ place }), 3)
    const [store] = stores
    await store!.halt({ product: 'demo', reason: 'denied', since: NOW, probeAt: NOW + 1_000 })
    expect(await store!.listSendable(NOW)).toEqual([])
    expect(await store!.claim(claimOptions())).toBeUndefined()
    const later = claimOptions(NOW + 1_000)
    expect(await store!.listSendable(later.now)).toMatchObject([{ product: 'demo' }])
    const probes = await Promise.all(stores.map((one) => one.claim(later)))
    expect(probes.filter((batch) => batch !== undefined)).toMatchObject([{ probe: true }])
    await store!.halt({ product: 'demo', reason: 'paused by ada', since: NOW, probeAt: undefined })
    await store!.halt({ product: 'demo', reason: 'denied', since: NOW, probeAt: NOW })
    expect(await store!.listHalts()).toEqual([
      { product: 'demo', reason: 'paused by ada', since: NOW, probeAt: undefined },
    ])
  })

  it('are due earlier when their subscription ends, and later when its end does', async () => {
    const table = await aDynamoTable()
    const store = recordStoreOn(table)
    const [id, other] = await sealRecords(table, 2)
    const { subscription, deadline } = await store.getRecord(id!)
    const of = { id: subscription, dimensions: new Set(['requests', 'never used']) }
    const end = NOW + 3_600_000
    await table.transaction((tx) => shortenDeadlines(tx, of, deadline + 1))
    expect(await store.getRecord(id!)).toMatchObject({ deadline })
    await table.transaction((tx) => shortenDeadlines(tx, of, end))
    expect(await store.getRecord(id!)).toMatchObject({ deadline: end })
    expect(await store.getRecord(other!)).toMatchObject({ deadline })
    expect(await store.listSendable(NOW)).toEqual([{ product: 'demo', deadline: end }])
    await table.transaction((tx) => extendDeadlines(tx, of, end - 1, end + 500))
    await table.transaction((tx) => extendDeadlines(tx, of, end, end + 500))
    expect(await store.getRecord(id!)).toMatchObject({ deadline: end + 500 })
    const batch = (await store.claim(claimOptions()))!
    expect(batch.records.map((record) => record.id)).toEqual([id, other])
    await settleAs(store, batch, SUCCESS, 'accepted')
    await table.transaction((tx) => shortenDeadlines(tx, of, end))
    expect(await store.getRecord(id!)).toMatchObject({ deadline: end + 500 })
  })

  it('that are unsent in a restored ledger are doubted once, wherever who marked them died', async () => {
    const place = await aDynamoPlace()
    const table = await aDynamoTable({ place })
    const store = recordStoreOn(table)
    const ids = await sealRecords(table, 25)
    const accepted = (await store.claim({ ...claimOptions(), only: ids.slice(0, 2) }))!
    await settleAs(store, accepted, SUCCESS, 'accepted')
    const faults = withFaults((write) => (write === 2 ? 'dies before' : undefined))
    const dying = createUnsentUsage(await aDynamoTable({ place, through: faults.through }))
    await expect(dying.doubtUnsent('first')).rejects.toThrow('dead')
    const unanswered = async () =>
      (await store.listRecords({ limit: 100 })).items.map((record) => record.unanswered)
    expect((await unanswered()).filter((count) => count === 1).length).toBeGreaterThan(0)
    const unsent = createUnsentUsage(table)
    for (let time = 0; time < 2; time++) await unsent.doubtUnsent('first')
    expect((await unanswered()).toSorted()).toEqual([0, 0, ...Array(23).fill(1)])
    await unsent.doubtUnsent('second')
    expect((await unanswered()).toSorted()).toEqual([0, 0, ...Array(23).fill(2)])
    const doubt = JSON.stringify({ from: hourOf(NOW) - 5, to: hourOf(NOW) })
    await table.transaction(async (tx) => tx.put({ ...ledgerKey('doubt'), value: doubt }))
    const [sealed] = await sealRecords(table, 1)
    expect(await store.getRecord(sealed!)).toMatchObject({
      unanswered: 1,
      note: expect.stringContaining('another copy'),
    })
  })

  it('are no longer told of as refused once the last isolation ends, also where two end at once', async () => {
    const place = await aDynamoPlace()
    const [one, other] = await Promise.all(
      [0, 1].map(async () => recordStoreOn(await aDynamoTable({ place }))),
    )
    for (let round = 0; round < 5; round++) {
      for (const value of ['l-1', 'l-2']) await one!.isolate('demo', 'identity', value, true)
      for (const subject of ['demo/requests', 'demo-2/requests'])
        await one!.raise({ kind: 'poison', subject, message: 'refused', at: NOW })
      await Promise.all([
        one!.isolate('demo', 'identity', 'l-1', false),
        other!.isolate('demo', 'identity', 'l-2', false),
      ])
      expect((await one!.listAlarms(9)).map(({ subject }) => subject)).toEqual(['demo-2/requests'])
    }
  })

  it('count what they come to in totals that many write at once', async () => {
    const place = await aDynamoPlace()
    const tables = await Promise.all([0, 1].map(() => aDynamoTable({ place })))
    await Promise.all(tables.map((table) => sealRecords(table, 8)))
    const store = recordStoreOn(tables[0]!)
    const records = (await store.listRecords({ limit: 100 })).items
    expect(records).toHaveLength(16)
    expect(await findErrors(tables[0]!, records)).toEqual([])
    const meter = await tables[0]!.get(meterKey(records[0]!.subscription, records[0]!.dimension))
    expect(big(meter!.carry)).toBe(0n)
  })
})
