import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { startLedger } from '../contract/ledger-harness.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo, meterWrites } from './dynamodb.fixture.ts'
import { claimLedger } from './ledger-identity.ts'
import { createDynamoSubscriptionStore } from './subscriptions.ts'
import { createDynamoUsageStore, dynamoUsageOfSubscriptions } from './usage/usage-store.ts'

// docs/dynamodb.md says what usage costs in write units; here they are counted. A transaction of the test engine has ten
// items at most, so what depends on that is asked for by the same rule as at AWS.

const TRANSACTION_ITEMS = 10

/** Of each event its item, twice, and its place in an index; of each transaction the shard that it adds to, twice. */
const unitsOf = (events: number, transactionItems: number) =>
  3 * events + 2 * Math.ceil(events / (transactionItems - 1))

describeOnDynamo('what usage costs on DynamoDB', () => {
  async function start() {
    const place = await aDynamoPlace()
    const meter = meterWrites(place.table)
    const table = await aDynamoTable({ place, through: meter.through, transactionItems: TRANSACTION_ITEMS })
    await claimLedger(table, { mode: 'live', accountId: undefined })
    const ledger = await startLedger(async () => ({
      usage: createDynamoUsageStore(table),
      subscriptions: createDynamoSubscriptionStore(table, dynamoUsageOfSubscriptions),
    }))
    const buyer = await ledger.subscribe({ id: `sub_${randomUUID()}` })
    await ledger.report(buyer, 'opens the hour', 1)
    /** Write units of a step. */
    const unitsFor = async (step: () => Promise<unknown>) => {
      const before = meter.units
      await step()
      return meter.units - before
    }
    return { ledger, buyer, meter, unitsFor }
  }

  it('is three units for an event and two for each transaction of them', async () => {
    const { ledger, buyer, meter, unitsFor } = await start()
    const reports = Array.from({ length: 45 }, () => ({
      reference: { subscriptionId: buyer.id },
      dimension: 'requests',
      id: randomUUID(),
      time: ledger.clock.now(),
      quantity: 1,
    }))
    const transactions = meter.requests.get('TransactWriteItems') ?? 0
    const units = await unitsFor(() => ledger.ingest(reports))
    expect(units).toBe(unitsOf(45, TRANSACTION_ITEMS))
    expect(meter.requests.get('TransactWriteItems')).toBe(transactions + 5)
    // What the page says of AWS's transactions of 100 items.
    expect(unitsOf(1_000_000, 100)).toBe(3_020_204)
  })

  it('is five units for an event that comes alone, and none for one that comes again to the same process', async () => {
    const { ledger, buyer, unitsFor } = await start()
    const id = randomUUID()
    expect(await unitsFor(() => ledger.report(buyer, id, 1))).toBe(5)
    expect(await unitsFor(() => ledger.report(buyer, id, 1))).toBe(0)
  })

  it('is two units more where an event that comes alone has tags', async () => {
    const { ledger, buyer, unitsFor } = await start()
    const values = { tags: { team: 'blue' } }
    await ledger.report(buyer, 'first of its tags', 1, values)
    expect(await unitsFor(() => ledger.report(buyer, randomUUID(), 1, values))).toBe(7)
  })

  it('is less than fifty units for an hour of a meter that is opened, closed, sent and accepted', async () => {
    const { ledger, buyer, unitsFor } = await start()
    const units = await unitsFor(async () => {
      ledger.clock.set(ledger.clock.now() + 3_600_000)
      await ledger.report(buyer, randomUUID(), 1)
      ledger.clock.set(ledger.clock.now() + 3_600_000)
      await ledger.close()
      await ledger.submit()
    })
    expect(await ledger.records()).toHaveLength(2)
    expect(units).toBeLessThan(2 * 50)
  })
})
