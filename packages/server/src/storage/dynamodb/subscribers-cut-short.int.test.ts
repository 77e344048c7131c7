import { expect, it } from 'vitest'
import { createProductCatalog } from '../../domain/products/product.ts'
import { anAgreement } from '../../domain/subscriptions/marketplace.fixture.ts'
import { createReceiveEvent } from '../../domain/subscriptions/receive-event.ts'
import { createRegisterBuyer } from '../../domain/subscriptions/register-buyer.ts'
import { aClock, aProduct, utc } from '../contract/fixtures.ts'
import { toldOf } from './domain-events.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo, type Place } from './dynamodb.fixture.ts'
import { type Fault, withFaults } from './faults.fixture.ts'
import { subscriberStores } from './subscribers.fixture.ts'

const NOON = utc('2026-11-21T12:00')
const MINUTE = 60_000
/** Between the writes at which one life and the next are cut short. */
const EVERY = 9

/** What a process does for one buyer, step by step; each may be asked for again. */
async function startProcess(place: Place, decide: (write: number) => Fault | undefined) {
  const faults = withFaults(decide)
  const table = await aDynamoTable({
    place,
    through: faults.through,
    graceMs: 30,
    patienceMs: 3_000,
    onLeft: () => {},
  })
  const stores = subscriberStores(table)
  const clock = aClock(NOON + 10 * MINUTE)
  const catalog = createProductCatalog([aProduct()])
  const receive = createReceiveEvent({ cases: stores.cases, catalog, clock })
  const lifeOf = (buyer: number) => {
    const account = String(buyer).padStart(12, '0')
    const agreement = anAgreement({ id: `agmt-${buyer}`, license: `l${buyer}`, account, acceptedAt: NOON })
    const registerBuyer = createRegisterBuyer({
      metering: {
        resolveCustomer: async () => ({
          productCode: aProduct().productCode,
          customerAwsAccountId: account,
          licenseArn: agreement.licenseArn,
          customerIdentifier: undefined,
        }),
      },
      cases: stores.cases,
      catalog,
      clock,
    })
    return {
      licenseArn: agreement.licenseArn,
      steps: [
        () => receive(agreement.created()),
        () => registerBuyer('demo', 'token'),
        () => receive(agreement.granted()),
        () => receive(agreement.withdrawn(NOON + 5 * MINUTE)),
      ] as readonly (() => Promise<unknown>)[],
    }
  }
  return { ...stores, table, faults, lifeOf }
}

/** A buyer as the seller, AWS and the buyer see it. */
async function whatBecameOf(
  { subscriptions, cases, history, table }: Awaited<ReturnType<typeof startProcess>>,
  licenseArn: string,
) {
  const found = await subscriptions.findMatching('demo', { licenseArn })
  const [subscription] = found
  const { items } = await history.list(subscription!, { limit: 100 })
  return {
    subscriptions: found.map(({ status, accessStart, accessEnd }) => ({ status, accessStart, accessEnd })),
    told: (await toldOf(table, subscription!.id)).map(({ type }) => type),
    history: items.map((item) => (item.kind === 'change' ? item.entry.action : item.kept.event.name)),
    waiting: (await cases.listUnattached(10)).length,
  }
}

describeOnDynamo('a step that changes a subscriber', () => {
  it.each(['dies before', 'dies after', 'lost after'] as const)(
    'happens once, asked for again by another process where the first %s one of its writes',
    async (fault) => {
      const place = await aDynamoPlace()
      const sound = await startProcess(place, () => undefined)
      const { licenseArn, steps } = sound.lifeOf(0)
      for (const step of steps) await step()
      const expected = await whatBecameOf(sound, licenseArn)
      expect(expected).toMatchObject({ subscriptions: [{ status: 'cancelling' }], waiting: 0 })

      for (let buyer = 1, write = 1; ; buyer++, write += EVERY) {
        let hasFailed = false
        const cut = await startProcess(place, (count) => {
          if (count === write) hasFailed = true
          return count === write ? fault : undefined
        })
        for (const [index, step] of cut.lifeOf(buyer).steps.entries()) {
          const isDone = await step().then(
            () => true,
            () => false,
          )
          // AWS sends it again, and the buyer tries again.
          if (!isDone) await sound.lifeOf(buyer).steps[index]!()
        }
        expect(await whatBecameOf(sound, sound.lifeOf(buyer).licenseArn)).toEqual(expected)
        if (!hasFailed) break
      }
    },
  )
})
