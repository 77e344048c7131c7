import { judgeProbe, type ProbeOutcome } from '../../domain/health/endpoint-health.ts'
import { hashSecret } from '../../domain/keys/key-secret.ts'
import { createManageApiKeys } from '../../domain/keys/manage-api-keys.ts'
import { generateSecret } from '../../domain/keys/service-key.ts'
import { PLAIN_PLAN } from '../../domain/plans/plan.ts'
import { declareProducts } from '../../domain/products/declare-products.ts'
import type { Product } from '../../domain/products/product.ts'
import { limitsAt } from '../../domain/quotas/quota.ts'
import type { Stores } from '../../domain/stores.ts'
import { aCustomer, anAgreement } from '../../domain/subscriptions/marketplace.fixture.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { deliverDue, fanOutAll } from '../../domain/telling/deliver-due.ts'
import { eventKey } from '../../domain/usage/ingest-usage.ts'
import { aContract, nameOf, seats, startContracts } from './contract-harness.ts'
import { aDimension, aProduct, utc } from './fixtures.ts'
import { aSink } from './outbox-harness.ts'

const HOUR = 3_600_000

/** A product that uses all that a ledger can hold. */
export function aWholeProduct(): Product {
  const plan = { title: 'Plan', ...PLAIN_PLAN }
  return aContract({
    dimensions: [
      aDimension({ scale: 2, unitSize: 10n }),
      aDimension({ key: 'users', aggregation: 'unique' }),
      aDimension({ key: 'peak', aggregation: 'max' }),
      aDimension({ key: 'total', aggregation: 'total' }),
      aDimension({ key: 'held', holdAbove: { units: 5n } }),
      aDimension({ key: 'included' }),
    ],
    plans: [
      {
        id: 'pro',
        ...plan,
        included: [{ dimension: 'included', units: 2n, per: 'seats', reset: 'term' }],
      },
      { id: 'basic', ...plan },
    ],
  })
}

export type WholeLedger = Awaited<ReturnType<typeof fillLedger>>

/** A ledger at work: what follows in it is of every kind that there is, in every state that records come to. */
export async function fillLedger(stores: Stores, now = utc('2026-11-21T10:30')) {
  await stores.claimLedger({ mode: 'simulated', accountId: undefined })
  await stores.secret('registration', 32)
  await declareProducts(stores.catalogStore, [aWholeProduct()], now)
  await declareProducts(stores.catalogStore, [aWholeProduct(), aProduct({ id: 'gone' })], now)
  await declareProducts(stores.catalogStore, [aWholeProduct()], now + 1)
  const sink = aSink('webhook:crm')
  await stores.outbox.register([sink, aSink('email:buyer')], now)
  const ledger = await startContracts(async () => ({ ...stores, told: async () => [] }), aWholeProduct(), now)
  const { clock, subscribe, report, grant, refresh, receive, close, submit, usage, aws } = ledger

  const buyer = await subscribe({ plan: 'basic', customerAwsAccountId: '111122223333', freeTrial: false })
  grant(nameOf(buyer), seats(3, utc('2027-11-01T00:00')))
  await refresh(buyer.id)
  clock.set(now + 60_000)
  grant(nameOf(buyer), seats(3, utc('2028-11-01T00:00')))
  await refresh(buyer.id)
  await stores.subscriptions.change(buyer.id, () => ({ plan: 'pro' }), 'test', clock.now())
  const contact = { email: 'ada@example.com', name: 'Ada', company: undefined, phone: undefined }
  await stores.buyers.putContact(buyer.buyer, { ...contact, registeredAt: now }, 'test')
  const other = await subscribe({ tenantId: 'späť #1' })
  const leaver = await subscribe()
  const agreement = anAgreement({ account: '111122223333', license: 'of-nobody' })
  await receive(agreement.created())
  await receive(agreement.granted())
  await receive(aCustomer().success(now))
  const rejected = { id: 'rejected-1', channel: 'sns' as const, reason: 'no JSON', receivedAt: now }
  await stores.cases.reject({ ...rejected, payload: '{' })

  await report(buyer, 'tagged', 12.34, { tags: { team: 'a', note: 'a=+1' } })
  await report(buyer, 'tagged-too', 5.5, { tags: { team: 'b' } })
  await report(buyer, 'ada', 0, { dimension: 'users', quantity: undefined, value: 'ada' })
  await report(buyer, 'peak', 7, { dimension: 'peak' })
  await report(buyer, 'total', 900, { dimension: 'total' })
  await report(buyer, 'many', 50, { dimension: 'held' })
  await report(buyer, 'paid-for', 8, { dimension: 'included' })
  await report(other, 'lost', 100)
  await report(leaver, 'last', 30)
  await ledger.end(leaver, clock.now() + 1)
  await report(leaver, 'too-late', 40, { time: clock.now() + 2 })

  clock.set(now + HOUR)
  await close()
  aws.next.push('lost', 'DuplicateRecord')
  await submit()
  clock.set(now + 2 * HOUR)
  await close()
  await submit()
  await usage.halt({ product: 'demo', reason: 'by a person', since: clock.now(), probeAt: undefined })
  await usage.isolate('demo', 'dimension', 'peak', true)
  clock.set(utc('2026-11-30T12:30'))
  await report(buyer, 'november', 3)
  clock.set(utc('2026-11-30T13:20'))
  await close()
  // Across a month's end, so that it is listed.
  clock.set(utc('2026-12-01T03:20'))
  await report(buyer, 'tagged-now', 2.22, { tags: { team: 'c' } })
  await report(buyer, 'last-month', 33, { time: utc('2026-11-30T12:00') })
  clock.set(utc('2026-12-01T04:20'))
  await close()
  await report(buyer, 'open', 3.21, { tags: { team: 'a', note: 'a=+1' } })
  await noteHealth(stores, now)
  await usage.raise({ kind: 'in_doubt', subject: 'rec_1', message: 'a person must look', at: clock.now() })

  await fanOutAll({ outbox: stores.outbox, clock }, [sink])
  sink.answer = ({ subscription }) =>
    subscription === other.id ? { kind: 'refused', reason: 'HTTP 410' } : { kind: 'delivered' }
  await deliverDue({ outbox: stores.outbox, clock, random: () => 0 }, sink)
  await stores.mailbox.keep({
    id: 'mail-1',
    at: now,
    from: 'shop@example.com',
    to: 'ada@example.com',
    subject: 'Welcome',
    text: 'Hello',
    html: '<p>Hello</p>',
  })
  const key = { id: 'key_1', name: 'tests', scopes: ['usage:write'] as const, product: 'demo' }
  await stores.keys.create(
    {
      ...key,
      hash: hashSecret(generateSecret()),
      ratePerSecond: 9_000,
      createdAt: now,
      revokedAt: undefined,
    },
    'test',
  )
  const manageKeys = createManageApiKeys({ ...stores, clock })
  const keyOf = (reference: object, values: object = {}) =>
    manageKeys.issue(
      {
        product: 'demo',
        reference,
        user: undefined,
        name: undefined,
        scopes: [],
        expiresAt: undefined,
        ...values,
      },
      'test',
    )
  const rights = { user: 'ada', name: 'CI', scopes: ['read', 'write'], expiresAt: now + 90 * 24 * HOUR }
  const { key: rotated } = await keyOf({ subscriptionId: buyer.id }, rights)
  await manageKeys.rotate(rotated.id, {}, 'test')
  const { key: revoked } = await keyOf({ buyerId: other.buyer })
  await manageKeys.revoke(revoked.id, 'test')
  await stores.apiKeys.noteUses([{ id: rotated.id, at: now + 5 }])
  await useQuotas(stores, buyer.id, now)
  await haveVisitors(stores, buyer, now)
  return { ...ledger, buyer, other, leaver, sink }
}

/** What was used of a limit that starts anew and of one that never does, and what is held of both. */
/** An endpoint that was up, and is down. */
async function noteHealth({ health }: Stores, now: number): Promise<void> {
  const endpoint = { id: 'api', url: 'https://api.example.com', downAfter: 1 }
  const note = (at: number, outcome: ProbeOutcome) =>
    health.record({ product: 'demo', endpoint: 'api' }, (before) =>
      judgeProbe('demo', endpoint, before, outcome, at),
    )
  await note(now, { kind: 'up', latencyMs: 12 })
  await note(now + HOUR, { kind: 'failed', reason: 'HTTP 503' })
}

async function useQuotas({ quotas }: Stores, holder: string, now: number): Promise<void> {
  const limits = limitsAt(
    [
      { window: 'day', max: 100, blocks: true },
      { window: 'lifetime', max: undefined, blocks: false },
    ],
    now,
    now,
  )
  const asked = { dimension: 'calls', gate: { holder, limits } }
  await quotas.admit({ ...asked, key: eventKey('demo', 'calls', holder, 'a'), quantity: 3 }, now)
  for (const name of ['held', 'settled']) {
    const values = { id: `rsv_${name}`, product: 'demo', createdAt: now, expiresAt: now + HOUR }
    await quotas.reserve({ ...asked, key: eventKey('demo', 'calls', holder, name), quantity: 5 }, values)
  }
  await quotas.settle('rsv_settled', 4, asked, now)
}

/** One who was let in by a solution and came back under another salt, and one who became a buyer. */
async function haveVisitors({ visitors }: Stores, buyer: Subscription, now: number): Promise<void> {
  const saltMs = 24 * HOUR
  for (const at of [now, now + saltMs]) await visitors.salts(at, saltMs)
  const solution = { id: 'solved', expiresAt: now + HOUR }
  const see = (hash: string, salts: readonly number[], at: number) =>
    visitors.see({
      product: 'demo',
      hashes: salts.map((salt) => ({ salt, hash: `${hash}-${salt}` })),
      at,
      solution: at === now ? solution : undefined,
    })
  await see('ada', [1], now)
  await see('ada', [2, 1], now + saltMs)
  await see('bob', [2, 1], now + saltMs)
  const audit = { at: now, actor: 'test', action: 'visitor.convert', subject: buyer.id }
  const about = { product: 'demo', buyer: buyer.buyer, subscription: buyer.id }
  await visitors.convert(
    [{ salt: 2, hash: 'ada-2' }],
    { buyer: buyer.buyer, subscription: buyer.id, at: now + saltMs },
    ({ id }) => ({
      audit: { ...audit, before: undefined, after: { visitor: { id } } },
      event: { id: 'evt_visitor', type: 'visitor.converted', at: now, ...about, data: { visitor: { id } } },
    }),
  )
}
