import { expect, it } from 'vitest'
import { utc } from '../../contract/fixtures.ts'
import { startLedger } from '../../contract/ledger-harness.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo } from '../dynamodb.fixture.ts'
import type { Requests } from '../requests.ts'
import { openUsage } from './usage.fixture.ts'

const START = utc('2026-11-21T10:30')

describeOnDynamo('a subscription that changes while its usage comes in', () => {
  it('is changed and ended, though another event comes before each of its writes, and turns them back from then on', async () => {
    const place = await aDynamoPlace()
    const busy = await startLedger(async () => openUsage(await aDynamoTable({ place })), undefined, START)
    const buyer = await busy.subscribe()
    let events = 0
    const use = async () => (await busy.report(buyer, `event ${events++}`, 1)).status
    await use()
    let writes = 0
    const after = (requests: Requests): Requests => ({
      async send(name, input) {
        if (name === 'TransactWriteItems') {
          writes++
          expect(await use()).toBe('accepted')
        }
        return requests.send(name, input)
      },
    })
    const changing = await aDynamoTable({ place, patienceMs: 2_000, through: after })
    const { subscriptions } = openUsage(changing)
    await subscriptions.change(buyer.id, () => ({ plan: 'pro' }), 'test', START)
    expect(writes).toBe(1)
    await subscriptions.change(
      buyer.id,
      () => ({ status: 'cancelled', accessEnd: START, finalWindowEnd: START + 3_600_000 }),
      'test',
      START,
    )
    expect(writes).toBe(2)
    busy.clock.set(START + 1)
    expect(await use()).not.toBe('accepted')
    const { items } = await busy.usage.listBuckets({ subscription: buyer.id, limit: 5 })
    expect(items).toMatchObject([{ quantity: 3n, events: 3 }])
    expect((await busy.usage.listOpenOfEnded('demo', START + 1, 5)).items).toHaveLength(1)
    expect(await busy.audit()).toMatchObject({ balanced: true })
  })
})
