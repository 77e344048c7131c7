import type { InjectOptions } from 'fastify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PLAIN_PLAN } from '../domain/plans/plan.ts'
import { lookAfterSubscriptions } from '../domain/subscriptions/look-after.ts'
import { aCustomer, anAgreement } from '../domain/subscriptions/marketplace.fixture.ts'
import { auditUsage } from '../domain/usage/audit-usage.ts'
import { closeDueBuckets } from '../domain/usage/close-due-buckets.ts'
import { submitDueRecords } from '../domain/usage/submit-due-records.ts'
import { aDimension, aProduct, aSubscription } from '../storage/contract/fixtures.ts'
import { anApp, NOW, PRODUCTS } from './app.fixture.ts'

const HOUR = 3_600_000
const MINUTE = 60_000

const plan = (id: string, grantedBy?: string) => ({
  id,
  title: id,
  ...PLAIN_PLAN,
  grantedBy,
})

/** `acme` sells by usage and has two plans; `deal` sells contracts. */
const ACME = { ...PRODUCTS[0], plans: [plan('basic'), plan('pro')] }
const DEAL = aProduct({
  id: 'deal',
  productCode: 'deal0code0of0twenty0five0',
  listing: 'deal',
  pricing: 'contract-with-consumption',
  plans: [plan('team', 'seats'), plan('big', 'more_seats')],
  dimensions: [aDimension()],
})

let seller: Awaited<ReturnType<typeof anApp>>
beforeEach(async () => {
  seller = await anApp({ products: [ACME, DEAL] })
})
afterEach(() => seller.close())

async function call(
  method: NonNullable<InjectOptions['method']>,
  url: string,
  payload?: object,
  headers: Readonly<Record<string, string>> = {},
) {
  const response = await seller.app.inject({
    method,
    url,
    headers: { ...seller.auth, ...headers },
    ...(payload && { payload }),
  })
  return { status: response.statusCode, body: response.json(), headers: response.headers }
}

const open = (body: object, headers?: Readonly<Record<string, string>>) =>
  call('POST', '/marketplace/subscriptions', { product: 'acme', channel: 'free', ...body }, headers)
const at = (id: string, path = '') => `/marketplace/subscriptions/${id}${path}`
const show = async (id: string) => (await call('GET', at(id))).body
const list = async (query = '') => (await call('GET', `/marketplace/subscriptions${query}`)).body.items

async function told(id: string): Promise<string[]> {
  const rows = await seller.database.read((sql) =>
    sql.all('SELECT type FROM domain_event WHERE subscription = ? ORDER BY seq', id),
  )
  return rows.map(({ type }) => String(type))
}

const report = (subscriptionId: string, correlationId: string, quantity: number, time = seller.clock.now()) =>
  call('POST', '/meter', {
    dimension: 'records_processed',
    quantity,
    usageTime: new Date(time).toISOString(),
    correlationId,
    subscriptionId,
  })

describe('opening a subscription off AWS Marketplace', () => {
  it('lets the buyer in at once, tells the seller’s systems, and is audited with the key', async () => {
    const { status, body, headers } = await open({
      plan: 'basic',
      tenantId: 'tenant-new',
      contact: { email: 'ada@example.com', name: 'Ada' },
    })
    expect(status).toBe(201)
    expect(headers.location).toBe(at(body.id))
    const opened = await show(body.id)
    expect(opened).toMatchObject({
      product: 'acme',
      channel: 'free',
      plan: 'basic',
      tenantId: 'tenant-new',
      status: 'active',
      grantedAt: new Date(NOW).toISOString(),
      accessStart: new Date(NOW).toISOString(),
      terms: { soldBy: 'seller', price: 'free', freeTrial: 'no', termEnd: 'none' },
      access: { allowed: true },
      explanation: { state: expect.stringContaining('Active since 2026-11-21 07:30 UTC') },
      alarms: [],
    })
    expect(await told(body.id)).toEqual(['subscription.created', 'subscription.activated'])
    const { items } = (await call('GET', `/audit?subject=${body.id}`)).body
    expect(items).toMatchObject([
      { action: 'subscription.create', actor: expect.stringMatching(/^key:key_/) },
    ])
    expect(JSON.stringify(items)).not.toContain('ada@example.com')
    expect((await call('GET', `/buyers/${opened.buyer}`)).body.contacts).toMatchObject([
      { email: 'ada@example.com', name: 'Ada' },
    ])
    expect((await report(body.id, 'first', 1000)).body.status).toBe('accepted')
  })

  it('is the same one for the same tenant, however often and however fast it is asked', async () => {
    const asked = { channel: 'direct', plan: 'pro', tenantId: 'tenant-new' }
    const answers = await Promise.all(Array.from({ length: 8 }, () => open(asked)))
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(7).fill(200), 201])
    expect(await list('?tenantId=tenant-new')).toHaveLength(1)
    expect(await told(answers[0]!.body.id)).toHaveLength(2)
  })

  it('is the same one for the same Idempotency-Key, also after it was changed', async () => {
    const key = { 'idempotency-key': 'signup-1' }
    const { body } = await open({ plan: 'basic' }, key)
    await call('PUT', at(body.id), { plan: 'pro', tenantId: 'named-later' })
    const again = await open({ plan: 'basic' }, key)
    expect([again.status, again.body.id, again.body.plan]).toEqual([200, body.id, 'pro'])
    const other = await open({ plan: 'basic' }, { 'idempotency-key': 'signup-2' })
    expect(other.status).toBe(201)
    expect(other.body.id).not.toBe(body.id)
  })

  it.each([
    ['another plan', { plan: 'pro', tenantId: 'tenant-new' }, {}],
    ['another channel', { channel: 'direct', plan: 'basic', tenantId: 'tenant-new' }, {}],
    ['the key, for another tenant', { plan: 'basic', tenantId: 'other' }, { 'idempotency-key': 'k' }],
  ])('is refused where there is one already: %s', async (_, asked, headers) => {
    const { body } = await open({ plan: 'basic', tenantId: 'tenant-new' }, { 'idempotency-key': 'k' })
    const { status, body: problem } = await open(asked, headers)
    expect([status, problem.code, problem.details]).toEqual([
      409,
      'subscription.exists',
      { subscription: body.id },
    ])
    expect(await list('?channel=direct')).toEqual([])
  })

  it('needs a name by which a retry is known', async () => {
    const { status, body } = await open({ plan: 'basic' })
    expect([status, body.code]).toEqual([400, 'request.invalid'])
    expect(body.detail).toContain('Idempotency-Key')
  })

  it('needs a plan and a product that there are', async () => {
    expect((await open({ plan: 'gold', tenantId: 'a' })).body.detail).toContain('basic, pro')
    expect((await open({ product: 'nope', tenantId: 'a' })).body.code).toBe('product.not_found')
    expect((await open({ buyer: 'buy_nope', tenantId: 'a' })).body.code).toBe('buyer.not_found')
    const { body } = await call('POST', '/marketplace/subscriptions', { channel: 'free', tenantId: 'a' })
    expect(body.detail).toContain('product is needed')
  })

  it.each([
    { channel: 'aws' },
    { licenseArn: 'arn:aws:license-manager::1:license:l-1' },
    { customerAWSAccountId: '111122223333' },
    { customerIdentifier: 'ifAPi5AcF3' },
    { agreementId: 'agmt-1' },
  ])('is the buyer’s alone on AWS Marketplace: %o', async (asked) => {
    const { status, body } = await open({ tenantId: 'tenant-new', ...asked })
    expect([status, body.code]).toEqual([409, 'subscription.buyer_only'])
    expect(body.detail).toMatch(/only the buyer accepts.*listing’s link, or a private offer’s/)
    expect(await list('?tenantId=tenant-new')).toEqual([])
  })

  it('offers a buyer of AWS Marketplace no other way to pay', async () => {
    const direct = { channel: 'direct', plan: 'basic' }
    for (const who of [
      { tenantId: 'tenant-a' },
      { tenantId: 'new-name', buyer: seller.subscription.buyer },
    ]) {
      const { status, body } = await open({ ...direct, ...who })
      expect([status, body.code]).toEqual([409, 'subscription.buyer_only'])
    }
    const free = await open({ plan: 'basic', tenantId: 'tenant-a' })
    expect([free.status, free.body.code]).toEqual([409, 'subscription.exists'])
    await seller.receive(ended(seller.subscription.licenseArn!))
    const { status, body } = await open({ ...direct, tenantId: 'tenant-a' })
    expect([status, body.buyer]).toEqual([201, seller.subscription.buyer])
  })
})

/** AWS says that a license is over. */
function ended(licenseArn: string) {
  return {
    id: `ended ${licenseArn}`,
    channel: 'eventbridge',
    kind: 'access_withdrawn',
    name: 'License Deprovisioned - Manufacturer',
    occurredAt: NOW - MINUTE,
    agreementId: 'agmt-a',
    productCode: 'acme0code0of0twenty0five0',
    customerAwsAccountId: seller.subscription.customerAwsAccountId,
    licenseArn,
    payload: '{}',
  } as const
}

describe('a subscription off AWS Marketplace', () => {
  it('is counted to the unit and never sent to AWS, from its first hour to its last', async () => {
    const { body } = await open({ plan: 'basic', tenantId: 'tenant-new' })
    const deps = seller.deps
    const calls: unknown[] = []
    const metering = {
      batchMeterUsage: async (...call: unknown[]) => {
        calls.push(call)
        throw new Error('AWS must not be asked')
      },
      sizeOf: () => 200,
      requestOf: () => '[]',
      resolveCustomer: () => Promise.reject(new Error('nobody registers here')),
    }
    const work = async () => {
      await closeDueBuckets(deps, seller.clock.now())
      await submitDueRecords({ usage: deps.usage, metering, clock: seller.clock, timeoutMs: 1000 })
    }
    for (let hour = 0; hour < 3; hour++) {
      seller.clock.set(NOW + hour * HOUR)
      expect((await report(body.id, `h${hour}`, 1_700)).body.status).toBe('accepted')
      await work()
    }
    const ending = await call('DELETE', at(body.id))
    expect([ending.status, ending.body.status, ending.body.endReason]).toEqual([200, 'cancelling', 'SELLER'])
    expect((await report(body.id, 'too late', 5)).body.code).toBe('usage.subscription_ended')
    for (let minute = 5; minute <= 65; minute += 10) {
      seller.clock.set(NOW + 2 * HOUR + minute * MINUTE)
      await work()
      await lookAfterSubscriptions(
        { cases: seller.cases, usage: deps.usage, catalog: deps.catalog },
        seller.clock.now(),
      )
    }
    const { dimensions } = (await call('GET', at(body.id, '/usage'))).body
    expect(dimensions).toMatchObject([
      {
        dimension: 'records_processed',
        measured: { quantity: '5105', units: '5', remainder: '105' },
        included: { quantity: '5100' },
        unbillable: { quantity: '5' },
        onTheWay: {},
      },
    ])
    expect(dimensions[0]).not.toHaveProperty('billed')
    expect(calls).toEqual([])
    expect((await call('GET', `/usage/records?subscription=${body.id}`)).body.items).toEqual([])
    expect(await auditUsage(deps.usage)).toMatchObject({ balanced: true, discrepancies: [] })
    expect(await show(body.id)).toMatchObject({
      status: 'cancelled',
      finalUsage: { settled: true },
      explanation: { state: expect.stringContaining('ended by the seller') },
    })
    expect(await told(body.id)).toEqual([
      'subscription.created',
      'subscription.activated',
      'subscription.cancelling',
      'subscription.ended',
    ])
  })

  it('ends once, and another one may follow for the same tenant and buyer', async () => {
    const { body } = await open({ tenantId: 'tenant-new' })
    await call('DELETE', at(body.id))
    seller.clock.set(NOW + MINUTE)
    expect((await call('DELETE', at(body.id))).body.accessEnd).toBe(new Date(NOW).toISOString())
    const again = await open({ tenantId: 'tenant-new' })
    expect([again.status, again.body.buyer]).toEqual([201, body.buyer])
    expect(await told(body.id)).toHaveLength(3)
  })

  it('is suspended and resumed, by either word, and told of', async () => {
    const { body } = await open({ tenantId: 'tenant-new' })
    expect((await call('PUT', at(body.id), { suspended: true })).body.status).toBe('suspended')
    expect(await show(body.id)).toMatchObject({
      access: { allowed: false, reason: 'suspended' },
      explanation: { state: 'Suspended by you: the buyer has no access.' },
    })
    expect((await call('PUT', at(body.id), { status: 'active' })).body.status).toBe('active')
    expect((await call('PUT', at(body.id), { status: 'suspended' })).body.status).toBe('suspended')
    expect((await call('PUT', at(body.id), { suspended: false })).body.status).toBe('active')
    expect((await told(body.id)).slice(2)).toEqual([
      'subscription.suspended',
      'subscription.resumed',
      'subscription.suspended',
      'subscription.resumed',
    ])
  })

  it('is not changed any more once it has ended', async () => {
    const { body } = await open({ tenantId: 'tenant-new', plan: 'basic' })
    await call('DELETE', at(body.id))
    for (const change of [{ plan: 'pro' }, { tenantId: 'b' }, { suspended: true }, { status: 'active' }]) {
      const { status, body: problem } = await call('PUT', at(body.id), change)
      expect([status, problem.code], JSON.stringify(change)).toEqual([410, 'subscription.ended'])
    }
  })
})

describe('changing a subscription', () => {
  it('may send it back as it was read: then nothing happens', async () => {
    const { id } = seller.subscription
    const read = await show(id)
    const before = (await call('GET', `/audit?subject=${id}`)).body.items
    const { status, body } = await call('PUT', at(id), read)
    expect([status, body]).toEqual([200, read])
    expect((await call('GET', `/audit?subject=${id}`)).body.items).toEqual(before)
  })

  it('changes plan and tenant together, audited and told of once', async () => {
    const { id } = seller.subscription
    const { status, body } = await call('PUT', at(id), { plan: 'pro', tenantId: 'renamed' })
    expect([status, body.plan, body.tenantId]).toEqual([200, 'pro', 'renamed'])
    expect(await told(id)).toEqual(['subscription.changed'])
    const [latest] = (await call('GET', at(id, '/history'))).body.items
    expect(latest).toMatchObject({
      kind: 'change',
      actor: expect.stringMatching(/^key:/),
      after: { plan: 'pro', tenantId: 'renamed' },
      before: { tenantId: 'tenant-a' },
    })
    expect(Object.keys(latest.after)).toEqual(['plan', 'tenantId'])
  })

  it.each([
    ['what AWS says of the agreement', { licenseArn: 'l-2' }, 422, 'subscription.field_fixed'],
    ['its end', { accessEnd: '2026-11-22T00:00:00Z' }, 422, 'subscription.field_fixed'],
    ['its channel', { channel: 'direct' }, 422, 'subscription.field_fixed'],
    ['its end, by a status', { status: 'cancelled' }, 400, 'request.invalid'],
    ['a hold that is AWS’s', { suspended: true }, 409, 'subscription.buyer_only'],
    ['an unknown plan', { plan: 'gold' }, 400, 'request.invalid'],
    ['an unknown field', { color: 'red' }, 400, 'request.invalid'],
    ['an unknown successor', { successor: 'agmt-nope' }, 400, 'request.invalid'],
    ['two things at odds', { status: 'suspended', suspended: false }, 400, 'request.invalid'],
  ])('does not change %s', async (_, change, status, code) => {
    const { id } = seller.subscription
    const before = await show(id)
    const answer = await call('PUT', at(id), { tenantId: 'also-changed', ...change })
    expect([answer.status, answer.body.code]).toEqual([status, code])
    expect(await show(id)).toEqual(before) // all or nothing
  })

  it('gives no tenant id to two buyers', async () => {
    const { body } = await open({ tenantId: 'tenant-new' })
    for (const [id, tenantId] of [
      [body.id, 'tenant-a'],
      [seller.subscription.id, 'tenant-new'],
    ]) {
      const { status, body: problem } = await call('PUT', at(id!), { tenantId })
      expect([status, problem.code]).toEqual([409, 'subscription.exists'])
    }
    await call('DELETE', at(body.id))
    expect((await call('PUT', at(seller.subscription.id), { tenantId: 'tenant-new' })).status).toBe(200)
  })

  it('leaves the plan of a contract to what AWS entitles the buyer to', async () => {
    const deal = aSubscription({ product: 'deal', plan: 'team' })
    await seller.deps.subscriptions.create(deal, 'system')
    const { status, body } = await call('PUT', at(deal.id), { plan: 'big' })
    expect([status, body.code]).toEqual([409, 'subscription.buyer_only'])
    const { body: free } = await open({ product: 'deal', plan: 'team', tenantId: 'x' })
    expect((await call('PUT', at(free.id), { plan: 'big' })).body.plan).toBe('big')
  })

  it('lets one begin that AWS has not confirmed, by the hand of a person', async () => {
    const pending = aSubscription({ product: 'acme', status: 'pending', accessStart: NOW, createdAt: NOW })
    await seller.deps.subscriptions.create(pending, 'system')
    const { explanation } = await show(pending.id)
    expect(explanation.state).toContain('AWS Marketplace has not said yet')
    expect(explanation.next).toContain(`tollkeeper subscription activate ${pending.id}`)
    seller.clock.set(NOW + MINUTE)
    expect((await call('PUT', at(pending.id), { status: 'active' })).body).toMatchObject({
      status: 'active',
      grantedAt: new Date(NOW + MINUTE).toISOString(),
      accessStart: new Date(NOW).toISOString(),
    })
    expect(await told(pending.id)).toEqual(['subscription.activated'])
    const { items } = (await call('GET', at(pending.id, '/history'))).body
    expect(items[0]).toMatchObject({ actor: expect.stringMatching(/^key:/), after: { status: 'active' } })
  })
})

describe('what AWS Marketplace says', () => {
  const acme = { productCode: 'acme0code0of0twenty0five0' }

  async function aBuyer(values: Parameters<typeof anAgreement>[0] = {}) {
    const agreement = anAgreement({ ...acme, account: '782858285006', acceptedAt: NOW - 2 * HOUR, ...values })
    const subscription = aSubscription({
      product: 'acme',
      status: 'pending',
      tenantId: `tenant of ${agreement.agreementId}`,
      licenseArn: agreement.licenseArn,
      customerAwsAccountId: values.account ?? '782858285006',
      accessStart: NOW - 2 * HOUR,
    })
    const { subscription: created } = await seller.deps.subscriptions.create(subscription, 'aws')
    await seller.receive(agreement.granted())
    await seller.receive(agreement.created())
    return { agreement, id: created.id }
  }

  it('is shown with the terms that a seller may see', async () => {
    const termEnd = NOW + 300 * 24 * HOUR
    const { id, agreement } = await aBuyer({ endsAt: termEnd })
    expect(await show(id)).toMatchObject({
      status: 'active',
      agreementId: agreement.agreementId,
      termEnd: new Date(termEnd).toISOString(),
      agreement: { intent: 'NEW', said: [{ what: 'granted' }] },
      explanation: { next: expect.stringContaining('Its term ends on 2027-09-17') },
    })
  })

  it('is unknown, not guessed, where a channel partner sold it', async () => {
    const agreement = anAgreement({ ...acme, account: '782858285006', acceptedAt: NOW - 2 * HOUR })
    const subscription = aSubscription({
      product: 'acme',
      status: 'pending',
      licenseArn: agreement.licenseArn,
      customerAwsAccountId: '782858285006',
    })
    await seller.deps.subscriptions.create(subscription, 'aws')
    await seller.receive({ ...agreement.granted(), throughPartner: true })
    expect(await show(subscription.id)).toMatchObject({
      status: 'active',
      terms: { soldBy: 'partner', price: 'unknown', freeTrial: 'unknown', termEnd: 'unknown' },
    })
    const asked = await call('DELETE', at(subscription.id), { reasonCode: 'OTHER' })
    expect([asked.status, asked.body.code]).toEqual([409, 'agreement.refused'])
    expect(asked.body.detail).toContain('only the partner')
  })

  it('ends it, with the reason, and says what is left of its usage and until when', async () => {
    const { id, agreement } = await aBuyer()
    await report(id, 'last', 2_500)
    await seller.receive(agreement.ended(NOW))
    expect(await show(id)).toMatchObject({
      status: 'cancelling',
      access: { allowed: false, reason: 'cancelling' },
      accessEnd: new Date(NOW).toISOString(),
      finalWindowEnd: new Date(NOW + HOUR).toISOString(),
      endReason: 'CANCELLED',
      finalUsage: { settled: false, openHours: 1, heldHours: 0, unsentRecords: 0, inDoubtRecords: 0 },
      explanation: {
        state: 'Ended on 2026-11-21 07:30 UTC (cancelled): the buyer has no access.',
        next: 'AWS takes its final usage until 2026-11-21 08:30 UTC: 1 open hour left.',
      },
    })
    seller.clock.set(NOW + 11 * MINUTE)
    await closeDueBuckets(seller.deps, seller.clock.now())
    expect((await show(id)).finalUsage).toMatchObject({ settled: false, openHours: 0, unsentRecords: 1 })
    const { dimensions } = (await call('GET', at(id, '/usage'))).body
    expect(dimensions).toMatchObject([
      {
        measured: { quantity: '2500' },
        waiting: { units: '2', remainder: '0' },
        forgiven: { units: '0', remainder: '500' },
        onTheWay: { ready: { quantity: '2000' } },
      },
    ])
    const asked = await call('DELETE', at(id))
    expect([asked.status, asked.body.endReason]).toEqual([200, 'CANCELLED'])
  })

  it('waits for a person where several could be the successor', async () => {
    const first = await aBuyer({ id: 'agmt-old-1' })
    const second = await aBuyer({ id: 'agmt-old-2' })
    for (const { agreement } of [first, second]) await seller.receive(agreement.ended(NOW, 'RENEWED'))
    const heir = anAgreement({
      ...acme,
      id: 'agmt-new',
      account: '782858285006',
      acceptedAt: NOW,
      intent: 'RENEW',
    })
    seller.clock.set(NOW + 2 * MINUTE)
    await seller.receive(heir.created())
    await seller.receive(heir.granted())
    // AWS's word of others may be on its way for some minutes.
    seller.clock.set(NOW + 20 * MINUTE)
    const { cases, deps } = seller
    await lookAfterSubscriptions({ cases, usage: deps.usage, catalog: deps.catalog }, seller.clock.now())
    const unclear = await show(first.id)
    expect(unclear).toMatchObject({ status: 'superseded', alarms: [{ kind: 'successor_unclear' }] })
    const { status, body } = await call('PUT', at(first.id), { successor: 'agmt-new' })
    expect([status, body.alarms]).toEqual([200, []])
    expect(await show(body.successor)).toMatchObject({
      status: 'active',
      agreementId: 'agmt-new',
      tenantId: 'tenant of agmt-old-1',
    })
    const again = await call('PUT', at(first.id), { successor: second.id })
    expect([again.status, again.body.code]).toEqual([400, 'request.invalid'])
  })

  it('is no successor before AWS has granted it', async () => {
    const { id, agreement } = await aBuyer()
    const heir = anAgreement({ ...acme, id: 'agmt-next', account: '782858285006', intent: 'RENEW' })
    await seller.receive({ ...heir.created(), productCode: acme.productCode })
    await seller.receive(agreement.ended(NOW, 'RENEWED'))
    const { status, body } = await call('PUT', at(id), { successor: 'agmt-next' })
    expect([status, body.code]).toEqual([400, 'request.invalid'])
    expect(body.detail).toContain('AWS has not granted it')
  })

  it('stands in one history with our own changes, newest first, page by page', async () => {
    const { id, agreement } = await aBuyer()
    seller.clock.set(NOW + MINUTE)
    await call('PUT', at(id), { plan: 'pro' })
    seller.clock.set(NOW + 2 * MINUTE)
    await seller.receive({
      ...agreement.created(NOW + MINUTE),
      id: 'cancellation rejected',
      kind: 'notice',
      name: 'Agreement Cancellation Request Rejected - Proposer',
    })
    seller.clock.set(NOW + 3 * MINUTE)
    await seller.receive(agreement.ended(NOW + 3 * MINUTE))
    const { items } = (await call('GET', at(id, '/history'))).body
    expect(items.map(told)).toEqual([
      'subscription.change: status',
      'Purchase Agreement Ended - Proposer',
      'Agreement Cancellation Request Rejected - Proposer',
      'subscription.change: plan',
      // The agreement's own start, told after its license.
      'subscription.change: accessStart',
      'subscription.change: status',
      'Purchase Agreement Created - Proposer',
      'License Updated - Manufacturer',
      'subscription.create',
    ])
    const pages = []
    let query = ''
    do {
      const { body } = await call('GET', at(id, `/history?limit=2${query}`))
      pages.push(...body.items)
      query = body.next === undefined ? '' : `&cursor=${body.next}`
    } while (query !== '')
    expect(pages).toEqual(items)

    function told(item: {
      kind: string
      action?: string
      after?: Record<string, unknown>
      event?: { name: string }
    }) {
      if (item.kind === 'event') return item.event?.name
      if (item.action === 'subscription.create') return item.action
      const field = 'status' in item.after! ? 'status' : Object.keys(item.after!)[0]
      return `${item.action}: ${field}`
    }
  })

  it('of a legacy customer is found for each of their subscriptions', async () => {
    const legacy = aProduct({ id: 'old', productCode: 'old0code', listing: 'old', metering: 'legacy' })
    const app = await anApp({ products: [...PRODUCTS, legacy] })
    const customer = aCustomer('ifAPi5AcF3', 'old0code')
    const subscription = aSubscription({
      product: 'old',
      status: 'pending',
      licenseArn: undefined,
      customerIdentifier: 'ifAPi5AcF3',
    })
    await app.deps.subscriptions.create(subscription, 'aws')
    await app.receive(customer.success(NOW - HOUR))
    await app.receive(customer.pending(NOW - MINUTE))
    app.clock.set(NOW + MINUTE)
    await app.receive(customer.success(NOW + MINUTE))
    const get = async (url: string) => (await app.app.inject({ url, headers: app.auth })).json()
    const { items } = await get('/marketplace/subscriptions?customerIdentifier=ifAPi5AcF3')
    expect(items.map(({ status }: { status: string }) => status)).toEqual(['active', 'cancelling'])
    for (const { id } of items) {
      const history = await get(at(id, '/history'))
      expect(history.items.filter(({ kind }: { kind: string }) => kind === 'event')).toHaveLength(3)
    }
    await app.close()
  })
})

describe('the list of subscriptions', () => {
  it('is cut down by each of its filters, and by several', async () => {
    const free = (await open({ tenantId: 'tenant-b', plan: 'basic' })).body
    await open({ product: 'deal', tenantId: 'tenant-b', plan: 'team' })
    const ids = async (query: string) => (await list(query)).map(({ id }: { id: string }) => id)
    const { licenseArn, customerAwsAccountId, id, buyer } = seller.subscription
    expect(await ids('?channel=free&product=acme')).toEqual([free.id])
    expect(await ids('?channel=direct')).toEqual([])
    expect(await ids('?status=active')).toHaveLength(3)
    expect(await ids('?tenantId=tenant-b')).toHaveLength(2)
    expect(await ids(`?buyer=${buyer}`)).toEqual([id])
    expect(await ids(`?customerAWSAccountId=${customerAwsAccountId}`)).toEqual([id])
    // Another way of writing the same license.
    const tail = licenseArn!.slice(licenseArn!.lastIndexOf(':') + 1)
    expect(await ids(`?licenseArn=license-manager:${tail}`)).toEqual([id])
    expect(await ids('?customerIdentifier=nobody')).toEqual([])
    expect((await call('GET', '/marketplace/subscriptions?status=gone')).status).toBe(400)
  })

  it('goes on page by page under a filter', async () => {
    for (let number = 0; number < 5; number++) await open({ tenantId: `t${number}`, plan: 'basic' })
    const seen: string[] = []
    let cursor = ''
    do {
      const { body } = await call('GET', `/marketplace/subscriptions?channel=free&limit=2${cursor}`)
      seen.push(...body.items.map(({ tenantId }: { tenantId: string }) => tenantId))
      cursor = body.next === undefined ? '' : `&cursor=${body.next}`
    } while (cursor !== '')
    expect(seen).toEqual(['t4', 't3', 't2', 't1', 't0'])
  })
})
