import { expect, it } from 'vitest'
import { createProductCatalog } from '../../domain/products/product.ts'
import { lookAfterSubscriptions } from '../../domain/subscriptions/look-after.ts'
import { anAgreement, aRenewal } from '../../domain/subscriptions/marketplace.fixture.ts'
import type { MarketplaceEvent } from '../../domain/subscriptions/marketplace-event.ts'
import { createReceiveEvent } from '../../domain/subscriptions/receive-event.ts'
import { createRegisterBuyer } from '../../domain/subscriptions/register-buyer.ts'
import { deliverDue, fanOutAll } from '../../domain/telling/deliver-due.ts'
import { aClock, aProduct, aSubscription, utc } from '../contract/fixtures.ts'
import { aSink } from '../contract/outbox-harness.ts'
import { appendDomainEvent, transactionThatTells } from './domain-events.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo } from './dynamodb.fixture.ts'
import { subscriberStores } from './subscribers.fixture.ts'

const NOON = utc('2026-11-21T12:00')
const MINUTE = 60_000
const LICENSE = 'arn:aws:license-manager::294406891311:license:l-00000000000000000000000000000a11'

/** Several processes on one table. */
async function startProcesses(count: number) {
  const place = await aDynamoPlace()
  const clock = aClock(NOON)
  const catalog = createProductCatalog([aProduct()])
  const processes = []
  for (let number = 0; number < count; number++) {
    const table = await aDynamoTable({ place })
    const stores = subscriberStores(table)
    processes.push({
      ...stores,
      table,
      receive: createReceiveEvent({ cases: stores.cases, catalog, clock }),
      register: async (licenseArn: string) =>
        (
          await createRegisterBuyer({
            metering: {
              resolveCustomer: async () => ({
                productCode: aProduct().productCode,
                customerAwsAccountId: '111122223333',
                licenseArn,
                customerIdentifier: undefined,
              }),
            },
            cases: stores.cases,
            catalog,
            clock,
          })('demo', 'token')
        ).subscription,
    })
  }
  return { processes, clock, catalog }
}

describeOnDynamo('subscribers of several processes at once', () => {
  it('are one, however many register or create the same license', async () => {
    const { processes } = await startProcesses(3)
    const created = await Promise.all(
      [...processes, ...processes].map(({ subscriptions }) =>
        subscriptions.create(aSubscription({ licenseArn: LICENSE }), 'test'),
      ),
    )
    expect(created.filter((one) => one.created)).toHaveLength(1)
    expect(new Set(created.map(({ subscription }) => subscription.id)).size).toBe(1)
    const other = `${LICENSE}b`
    const registered = await Promise.all(processes.map(({ register }) => register(other)))
    expect(new Set(registered.map(({ id }) => id)).size).toBe(1)
    expect(await processes[0]!.subscriptions.list({ limit: 10 })).toHaveLength(2)
    expect(await processes[0]!.buyers.list({ limit: 10 })).toHaveLength(2)
  })

  it('are known by all that AWS said of them before they registered, though it came at once', async () => {
    const { processes } = await startProcesses(2)
    const [one, two] = processes as [(typeof processes)[0], (typeof processes)[0]]
    const agreements = ['agmt-1', 'agmt-2', 'agmt-3', 'agmt-4'].map((id) =>
      anAgreement({ id, license: id, acceptedAt: NOON }),
    )
    await Promise.all(
      agreements.flatMap((agreement) => [one.receive(agreement.created()), two.receive(agreement.granted())]),
    )
    const waiting = await one.cases.listUnattached(10)
    expect(waiting.map(({ key }) => key).sort()).toEqual(agreements.map(({ agreementId }) => agreementId))
    for (const agreement of waiting)
      expect(agreement).toMatchObject({ product: 'demo', startsAt: NOON, marks: [{ what: 'granted' }] })
    for (const { licenseArn } of agreements)
      expect(await two.register(licenseArn)).toMatchObject({ status: 'active', accessStart: NOON })
    expect(await one.cases.listUnattached(10)).toEqual([])
  })

  it('begin and end as AWS says, while they register and it says so', async () => {
    for (let round = 0; round < 2; round++) {
      const { processes, clock } = await startProcesses(2)
      clock.set(NOON + 10 * MINUTE)
      const [one, two] = processes as [(typeof processes)[0], (typeof processes)[0]]
      const agreement = anAgreement({ acceptedAt: NOON })
      const told: MarketplaceEvent[] = [
        agreement.created(),
        agreement.granted(),
        agreement.withdrawn(NOON + 5 * MINUTE),
      ]
      await Promise.all([
        two.register(agreement.licenseArn),
        ...told.map((event, number) => [one, two][number % 2]!.receive(event)),
      ])
      const [subscription] = await one.subscriptions.list({ limit: 10 })
      expect(subscription).toMatchObject({
        status: 'cancelling',
        accessStart: NOON,
        accessEnd: NOON + 5 * MINUTE,
        agreementId: agreement.agreementId,
      })
      expect(await two.cases.listUnattached(10)).toEqual([])
    }
  })

  it('have one successor, though all of a renewal is told at once', async () => {
    for (let round = 0; round < 2; round++) {
      const { processes, clock, catalog } = await startProcesses(2)
      const [one, two] = processes as [(typeof processes)[0], (typeof processes)[0]]
      const old = anAgreement({ id: 'agmt-old', acceptedAt: NOON - 60 * MINUTE })
      const before = await one.register(old.licenseArn)
      await one.receive(old.granted())
      const after = aRenewal(NOON)
      await Promise.all([
        one.receive(after.created()),
        two.receive(after.granted()),
        one.receive(old.ended(NOON, 'RENEWED')),
        two.receive(old.withdrawn(NOON + 30_000)),
      ])
      clock.set(NOON + 15 * MINUTE)
      await lookAfterSubscriptions({ cases: two.cases, usage: two.usage, catalog }, clock.now())
      const all = await two.subscriptions.list({ limit: 10 })
      expect(all).toHaveLength(2)
      expect(await one.subscriptions.get(before.id)).toMatchObject({
        status: 'superseded',
        successor: all.find(({ id }) => id !== before.id)!.id,
      })
    }
  })

  it('are found by what another process has just changed', async () => {
    const { processes } = await startProcesses(2)
    const [one, two] = processes as [(typeof processes)[0], (typeof processes)[0]]
    const { subscription } = await one.subscriptions.create(aSubscription({ tenantId: 'v0' }), 'test')
    for (let change = 1; change <= 10; change++) {
      const tenantId = `v${change}`
      expect(await two.subscriptions.findMatching('demo', { tenantId })).toEqual([])
      await one.subscriptions.change(subscription.id, () => ({ tenantId }), 'test', NOON)
      expect(await two.subscriptions.findMatching('demo', { tenantId })).toHaveLength(1)
      expect(await two.subscriptions.findMatching('demo', { tenantId: `v${change - 1}` })).toEqual([])
    }
  })

  it('are asked for at AWS by one of those who look', async () => {
    const { processes } = await startProcesses(3)
    for (let number = 0; number < 20; number++)
      await processes[0]!.subscriptions.create(aSubscription(), 'test')
    const claimed = await Promise.all(
      processes.map(({ entitlements }) => entitlements.claimDue('demo', NOON, MINUTE, 6)),
    )
    expect(new Set(claimed.flat()).size).toBe(claimed.flat().length)
    for (const own of claimed) expect(own).toHaveLength(6)
    expect(await processes[1]!.entitlements.claimDue('demo', NOON, MINUTE, 20)).toHaveLength(2)
  })

  it('are told of in order, each thing once, whoever writes and whoever tells', async () => {
    const { processes, clock } = await startProcesses(3)
    const sinks = [aSink('eventbridge'), aSink('webhook:crm')]
    await processes[0]!.outbox.register(sinks, NOON)
    const subscriptions = ['sub_1', 'sub_2']
    const PER_PROCESS = 4
    const happen = async (process: (typeof processes)[0], number: number) => {
      for (let event = 0; event < PER_PROCESS; event++)
        for (const subscription of subscriptions)
          await transactionThatTells(process.table, (tx) =>
            appendDomainEvent(tx, {
              id: `${subscription}-${number}-${event}`,
              type: 'subscription.changed',
              at: NOON,
              product: 'demo',
              buyer: 'buy_1',
              subscription,
              data: {},
            }),
          )
    }
    const tell = async ({ outbox }: (typeof processes)[0]) => {
      const deps = { outbox, clock, random: () => 0 }
      await fanOutAll(deps, sinks)
      for (const sink of sinks) await deliverDue(deps, sink)
    }
    let isDone = false
    await Promise.all([
      Promise.all(processes.map(happen)).then(() => {
        isDone = true
      }),
      ...processes.map(async (process) => {
        while (!isDone) await tell(process)
      }),
    ])
    for (let round = 0; round < 20; round++) await tell(processes[0]!)
    for (const sink of sinks) {
      expect(sink.ids()).toHaveLength(processes.length * PER_PROCESS * subscriptions.length)
      expect(new Set(sink.ids()).size).toBe(sink.ids().length)
      for (const subscription of subscriptions)
        for (const number of processes.keys()) {
          const own = sink.ids().filter((id) => id.startsWith(`${subscription}-${number}-`))
          expect(own).toEqual(
            Array.from({ length: PER_PROCESS }, (_, event) => `${subscription}-${number}-${event}`),
          )
        }
    }
    expect((await processes[1]!.outbox.list({ state: 'waiting', limit: 10 })).items).toEqual([])
  })
})
