import { expect, it } from 'vitest'
import { aDynamoPlace, aDynamoTable, describeOnDynamo } from '../dynamodb.fixture.ts'
import { withFaults } from '../faults.fixture.ts'
import {
  claimOptions,
  findErrors,
  LEASE_MS,
  NOW,
  recordStoreOn,
  SUCCESS,
  sealRecords,
  settleAs,
} from './records.fixture.ts'

/** A process that dies at its nth write, before or after it is done. */
function dyingAt(writes: number) {
  const death = writes % 2 === 0 ? 'dies before' : 'dies after'
  return withFaults((write) => (write === Math.floor(writes / 2) + 1 ? death : undefined))
}

function orDied(process: { readonly isDead: boolean }) {
  return (error: unknown) => {
    if (!process.isDead) throw error
  }
}

describeOnDynamo('records on DynamoDB that are sent', () => {
  it('are taken by one of several processes each, whoever is faster', async () => {
    const place = await aDynamoPlace()
    const tables = await Promise.all([0, 1, 2].map(() => aDynamoTable({ place })))
    const ids = await sealRecords(tables[0]!, 40)
    const stores = tables.map(recordStoreOn)
    const batches = await Promise.all(stores.map((store) => store.claim(claimOptions())))
    // What was left over because others were faster.
    for (;;) {
      const more = await stores[0]!.claim(claimOptions())
      if (more === undefined) break
      batches.push(more)
    }
    const sent = batches.flatMap((batch) => batch?.records.map(({ id }) => id) ?? [])
    expect(sent.toSorted()).toEqual(ids.toSorted())
    for (const batch of batches) {
      if (batch === undefined) continue
      const [attempt] = (await stores[0]!.listAttempts({ record: batch.records[0]!.id, limit: 9 })).items
      const own = batch.records.map(({ id }) => id)
      expect(attempt).toMatchObject({ id: batch.attempt, records: own, request: JSON.stringify(own) })
    }
    const turns = batches.flatMap((batch) => batch?.sendAt ?? []).toSorted((a, b) => a - b)
    expect(turns.every((turn, index) => index === 0 || turn - turns[index - 1]! >= 112)).toBe(true)
    const records = (await stores[0]!.listRecords({ limit: 100 })).items
    expect(records.every(({ state, attempts }) => state === 'sent' && attempts === 1)).toBe(true)
    expect(await findErrors(tables[0]!, records)).toEqual([])
  })

  it('take turns by a region’s rate, whichever process sends', async () => {
    const place = await aDynamoPlace()
    const tables = await Promise.all([0, 1].map(() => aDynamoTable({ place })))
    await sealRecords(tables[0]!, 2, { product: 'a' })
    await sealRecords(tables[0]!, 2, { product: 'b' })
    await sealRecords(tables[0]!, 1, { product: 'c', region: 'eu-west-1' })
    const claims = [
      recordStoreOn(tables[0]!).claim({ ...claimOptions(), product: 'a' }),
      recordStoreOn(tables[1]!).claim({ ...claimOptions(), product: 'b' }),
      recordStoreOn(tables[1]!).claim({ ...claimOptions(), product: 'c' }),
    ]
    const [a, b, c] = await Promise.all(claims)
    expect([a!.sendAt, b!.sendAt].toSorted()).toEqual([NOW, NOW + 112])
    expect(c!.sendAt).toBe(NOW)
  })

  it('are sent again after a crash at any point, as unanswered once they were taken', async () => {
    for (let writes = 0; ; writes++) {
      const place = await aDynamoPlace()
      const alive = await aDynamoTable({ place })
      const store = recordStoreOn(alive)
      const ids = await sealRecords(alive, 12)
      const faults = dyingAt(writes)
      const dying = recordStoreOn(await aDynamoTable({ place, through: faults.through }))
      await dying.claim(claimOptions()).catch(orDied(faults))
      if (!faults.isDead) break
      const records = (await store.listRecords({ limit: 100 })).items
      const taken = new Set(records.filter(({ state }) => state === 'sent').map(({ id }) => id))
      expect(await findErrors(alive, records)).toEqual([])
      // Until the lease is over, only what was not taken may be sent.
      const early = await store.claim(claimOptions(NOW + 1_000))
      expect(early?.records.map(({ id }) => id) ?? []).toEqual(ids.filter((id) => !taken.has(id)))
      if (early !== undefined) await settleAs(store, early, SUCCESS, 'accepted')
      const late = await store.claim(claimOptions(NOW + 2 * LEASE_MS))
      expect(late?.records.map(({ id }) => id) ?? []).toEqual(ids.filter((id) => taken.has(id)))
      if (late === undefined) continue
      for (const id of taken) expect(await store.getRecord(id)).toMatchObject({ attempts: 2, unanswered: 1 })
      const { items } = await store.listAttempts({ record: late.records[0]!.id, limit: 10 })
      expect(items.map(({ outcome }) => outcome)).toEqual(['unanswered', 'in_flight'])
      await settleAs(store, late, SUCCESS, 'accepted')
      expect(await findErrors(alive, (await store.listRecords({ limit: 100 })).items)).toEqual([])
    }
  })

  it('are judged once, wherever who judged them died', async () => {
    for (let writes = 0; ; writes++) {
      const place = await aDynamoPlace()
      const alive = await aDynamoTable({ place })
      const store = recordStoreOn(alive)
      await sealRecords(alive, 12)
      const batch = (await store.claim(claimOptions()))!
      const faults = dyingAt(writes)
      const dying = recordStoreOn(await aDynamoTable({ place, through: faults.through }))
      await settleAs(dying, batch, SUCCESS, 'accepted').catch(orDied(faults))
      const records = (await store.listRecords({ limit: 100 })).items
      expect(await findErrors(alive, records)).toEqual([])
      const open = records.filter(({ state }) => state === 'sent')
      if (!faults.isDead) {
        expect(open).toEqual([])
        break
      }
      const again = await store.claim(claimOptions(NOW + 2 * LEASE_MS))
      if (again === undefined) {
        expect(open).toEqual([])
        continue
      }
      expect(again.records.map(({ id }) => id).toSorted()).toEqual(open.map(({ id }) => id).toSorted())
      await settleAs(store, again, SUCCESS, 'accepted')
      const after = (await store.listRecords({ limit: 100 })).items
      expect(after.every(({ state }) => state === 'accepted')).toBe(true)
      expect(await findErrors(alive, after)).toEqual([])
    }
  })

  it('keep allocations and requests of any length', async () => {
    const table = await aDynamoTable()
    const store = recordStoreOn(table)
    const allocations = Array.from({ length: 2_500 }, (_, index) => ({
      quantity: 1,
      tags: [['user', `${index}-${crypto.randomUUID()}`.repeat(7)] as const],
    }))
    const [id] = await sealRecords(table, 1, { allocations, quantity: 2_500 })
    expect((await store.getRecord(id!)).allocations).toEqual(allocations)
    const requestOf = () => JSON.stringify(allocations)
    const batch = (await store.claim({ ...claimOptions(), requestOf }))!
    expect(batch.records[0]!.allocations).toEqual(allocations)
    const [attempt] = (await store.listAttempts({ record: id!, limit: 1 })).items
    expect(attempt!.request).toBe(requestOf())
  })
})
