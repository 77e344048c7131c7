import { expect, it } from 'vitest'
import { decideHold } from '../../../domain/usage/decide-hold.ts'
import { hourOf } from '../../../domain/usage/hour.ts'
import { aDimension, aProduct, utc } from '../../contract/fixtures.ts'
import { startLedger } from '../../contract/ledger-harness.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo } from '../dynamodb.fixture.ts'
import { meterPartition, tagSumPrefix } from '../keys.ts'
import type { Requests } from '../requests.ts'
import { openUsage } from './usage.fixture.ts'

const START = utc('2026-11-21T10:30')

describeOnDynamo('closing hours on DynamoDB', () => {
  const open = async (product = aProduct()) => {
    const table = await aDynamoTable()
    const ledger = await startLedger(async () => openUsage(table), product, START)
    /** From now on the sums by tag of an hour never come to what the hour says. */
    const spoil = async (subscription: string, dimension: string) => {
      const pk = meterPartition(subscription, dimension)
      const [sum] = await table.query({ pk, prefix: tagSumPrefix(hourOf(START)) })
      await table.transaction(async (tx) => tx.put({ ...(await tx.get(sum!))!, quantity: 1_000n }))
    }
    return { ...ledger, spoil }
  }

  it('closes what others used, though an hour is never read whole, and raises an alarm for that one', async () => {
    const { subscribe, report, end, clock, close, records, usage, spoil } = await open()
    const [stuck, good] = [await subscribe(), await subscribe()]
    await report(stuck, 'a', 3, { tags: { team: 'a' } })
    await report(good, 'b', 4)
    // It is alone among those that are closed first.
    await end(stuck, START + 60_000)
    await spoil(stuck.id, 'requests')
    clock.set(utc('2026-11-21T11:20'))
    expect(await close()).toMatchObject({ closed: 1 })
    expect(await records()).toMatchObject([{ subscription: good.id, quantity: 4 }])
    expect(await usage.listAlarms(10)).toMatchObject([
      { kind: 'close_failed', subject: expect.stringContaining(stuck.id) },
    ])
  })

  it('decides on what others hold, though one hold is never read whole, and tells a person so', async () => {
    const held = aDimension({ key: 'held', holdAbove: { units: 5n } })
    const product = aProduct({ dimensions: [aDimension(), held] })
    const { subscribe, report, clock, close, catalog, records, usage, spoil } = await open(product)
    const [stuck, good] = [await subscribe(), await subscribe()]
    await report(stuck, 'a', 30, { dimension: 'held', tags: { team: 'a' } })
    await report(good, 'b', 40, { dimension: 'held' })
    clock.set(utc('2026-11-21T11:20'))
    expect(await close()).toMatchObject({ held: 2 })
    await spoil(stuck.id, 'held')
    const key = { subscription: stuck.id, dimension: 'held', hour: hourOf(START) }
    await expect(
      decideHold({ usage, catalog }, key, { kind: 'waive' }, 'person', clock.now()),
    ).rejects.toMatchObject({ code: 'ledger.busy' })
    clock.set(utc('2026-11-22T09:20'))
    expect(await close()).toMatchObject({ expired: 1, failed: 1 })
    expect(await records()).toMatchObject([{ subscription: good.id, quantity: 40 }])
  })

  it('seals no hour of an agreement that inherits usage in the very moment', async () => {
    const place = await aDynamoPlace()
    const dies = (requests: Requests): Requests => ({
      // Before it could settle what the heir is owed: for that it asks an index.
      send: (name, input) =>
        'IndexName' in input ? Promise.reject(new TypeError('died')) : requests.send(name, input),
    })
    const dying = await aDynamoTable({ place, through: dies })
    const { subscribe, report, end } = await startLedger(async () => openUsage(dying), undefined, START)
    const old = await subscribe()
    const heir = await subscribe({ accessStart: utc('2026-11-21T10:20') })
    await report(old, 'inherited', 5, { time: utc('2026-11-21T10:25') })
    await report(heir, 'own', 7)
    let isFirst = true
    const interrupted = (requests: Requests): Requests => ({
      async send(name, input) {
        if (name === 'TransactWriteItems' && isFirst) {
          isFirst = false
          await end(old, utc('2026-11-21T10:20'), heir)
        }
        return requests.send(name, input)
      },
    })
    const { usage } = openUsage(await aDynamoTable({ place, through: interrupted }))
    const seen: bigint[] = []
    await usage.close(
      [{ subscription: heir.id, dimension: 'requests', hour: hourOf(START) }],
      utc('2026-11-21T11:20'),
      ({ bucket }) => {
        seen.push(bucket.quantity)
        return { status: 'closed', transfers: [] }
      },
      { history: false, contract: false },
    )
    expect(seen).toEqual([7n, 12n])
  })
})
