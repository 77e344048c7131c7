import fc from 'fast-check'
import { expect, it } from 'vitest'
import { PLAIN_PLAN } from '../domain/plans/plan.ts'
import { anAgreement } from '../domain/subscriptions/marketplace.fixture.ts'
import { isLive, type Subscription } from '../domain/subscriptions/subscription.ts'
import { auditUsage } from '../domain/usage/audit-usage.ts'
import { aSubscription } from '../storage/contract/fixtures.ts'
import { anApp, NOW, PRODUCTS } from './app.fixture.ts'

const MINUTE = 60_000
const TENANTS = ['north', 'south', 'aws-1']
const PLANS = ['basic', 'pro'].map((id) => ({
  id,
  title: id,
  ...PLAIN_PLAN,
}))

const tenant = fc.constantFrom(...TENANTS)
const which = fc.nat({ max: 5 })
const step = fc.oneof(
  fc.record({
    open: fc.record({
      channel: fc.constantFrom('free', 'direct'),
      tenantId: tenant,
      plan: fc.constantFrom('basic', 'pro'),
    }),
    key: fc.constantFrom(undefined, 'k1', 'k2'),
  }),
  fc.record({
    change: fc.record(
      {
        plan: fc.constantFrom('basic', 'pro'),
        tenantId: tenant,
        suspended: fc.boolean(),
        status: fc.constantFrom('active', 'suspended', 'cancelled'),
      },
      { requiredKeys: [] },
    ),
    which,
  }),
  fc.record({ end: fc.constant(true), which }),
  fc.record({ use: fc.integer({ min: 1, max: 900 }), which }),
  fc.record({ aws: fc.constantFrom('granted', 'ended') }),
)

/** What the seller's systems are told of one subscription, from its first event to its last. */
const STORY =
  /^(created )?(changed )*(activated )?(changed |suspended (changed )*resumed )*(suspended (changed )*)?(cancelling |failed )?(ended )?$/

it('keeps one live subscription a tenant, and tells each story in order, whatever a seller does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      const seller = await anApp({ products: [{ ...PRODUCTS[0], plans: PLANS }] })
      const { deps, clock, app, auth } = seller
      const agreement = anAgreement({ productCode: PRODUCTS[0].productCode, account: '782858285006' })
      const bought = aSubscription({
        id: 'sub_aws',
        product: 'acme',
        status: 'pending',
        tenantId: 'aws-1',
        licenseArn: agreement.licenseArn,
        customerAwsAccountId: '782858285006',
        accessStart: NOW,
      })
      await deps.subscriptions.create(bought, 'aws')
      const all = () => deps.subscriptions.list({ limit: 500 })
      const send = async (method: 'POST' | 'PUT' | 'DELETE', url: string, payload?: object, headers = {}) => {
        const answer = await app.inject({
          method,
          url,
          headers: { ...auth, ...headers },
          ...(payload && { payload }),
        })
        expect(answer.statusCode, answer.payload).toBeLessThan(500)
        return answer
      }
      const choose = (subscriptions: readonly Subscription[], index: number) =>
        subscriptions[index % subscriptions.length]!.id

      for (const [number, given] of steps.entries()) {
        clock.set(NOW + number * MINUTE)
        const before = await all()
        if ('open' in given) {
          const key = given.key === undefined ? {} : { 'idempotency-key': given.key }
          const answer = await send(
            'POST',
            '/marketplace/subscriptions',
            { product: 'acme', ...given.open },
            key,
          )
          const again = await send(
            'POST',
            '/marketplace/subscriptions',
            { product: 'acme', ...given.open },
            key,
          )
          // A retry is answered like the first, and opens nothing.
          expect(again.statusCode).toBe(answer.statusCode === 201 ? 200 : answer.statusCode)
          expect(again.json().id).toBe(answer.json().id)
          expect((await all()).length - before.length).toBe(answer.statusCode === 201 ? 1 : 0)
        } else if ('change' in given) {
          const id = choose(before, given.which)
          const answer = await send('PUT', `/marketplace/subscriptions/${id}`, given.change)
          if (answer.statusCode !== 200) expect(await all()).toEqual(before)
        } else if ('end' in given) {
          const id = choose(before, given.which)
          const answer = await send('DELETE', `/marketplace/subscriptions/${id}`)
          const { channel, accessEnd } = await deps.subscriptions.get(id)
          if (answer.statusCode === 200) expect(accessEnd).toBeDefined()
          else expect([channel, accessEnd]).toEqual(['aws', undefined])
        } else if ('use' in given) {
          await send('POST', '/meter', {
            dimension: 'records_processed',
            quantity: given.use,
            usageTime: new Date(clock.now()).toISOString(),
            correlationId: `${number}`,
            subscriptionId: choose(before, given.which),
          })
        } else await seller.receive(agreement[given.aws](clock.now()))

        const now = (await all()).filter(isLive)
        for (const name of TENANTS) {
          const theirs = now.filter(({ tenantId }) => tenantId === name)
          expect(new Set(theirs.map(({ buyer }) => buyer)).size, name).toBeLessThanOrEqual(1)
          expect(theirs.filter(({ channel }) => channel !== 'aws').length, name).toBeLessThanOrEqual(1)
        }
        const payers = now.filter(({ channel }) => channel === 'direct').map(({ buyer }) => buyer)
        for (const { channel, buyer } of now) if (channel === 'aws') expect(payers).not.toContain(buyer)
      }

      for (const { id, channel } of await all()) {
        const rows = await seller.database.read((sql) =>
          sql.all('SELECT type FROM domain_event WHERE subscription = ? ORDER BY seq', id),
        )
        const story = rows.map(({ type }) => `${String(type).replace('subscription.', '')} `).join('')
        expect(story).toMatch(STORY)
        expect(story.includes('created activated'), story).toBe(channel !== 'aws')
      }
      expect(await auditUsage(deps.usage)).toMatchObject({ balanced: true })
      await seller.close()
    }),
    { numRuns: 40 },
  )
}, 120_000)
