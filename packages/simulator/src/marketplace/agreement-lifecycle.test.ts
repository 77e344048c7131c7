import { describe, expect, it } from 'vitest'
import type { Simulator } from '../simulator.ts'
import { aProduct, aRecord, aSimulator, call, meter, statuses, utc } from '../test-values.ts'
import type { Order } from './agreement-order.ts'
import type { Settings } from './settings.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const YEAR_ON = Date.parse('2027-11-20T12:30:00Z')

const usage = aProduct()
const contract = aProduct({ pricing: 'contract', dimensions: [{ key: 'seats', price: '120' }] })
const mixed = aProduct({
  pricing: 'contractWithConsumption',
  dimensions: [
    { key: 'seats', types: ['Entitled'] },
    { key: 'api_requests', types: ['ExternallyMetered'] },
  ],
})

async function aBuyer(product = usage, order: Partial<Order> = {}, settings: Partial<Settings> = {}) {
  const simulator = await aSimulator({
    products: [product],
    settings: { licenseDelayMs: 72_000, ...settings },
  })
  const { marketplace, clock } = simulator
  const subscription = marketplace.subscribe({ productCode: product.productCode, ...order })
  const about = new Map<string, string>()
  const named = (name: string, { id }: { id: string }) => about.set(id, name)
  named('old', subscription)
  /** What was told since, as `seconds name event`, in order. */
  const told = () =>
    marketplace.notifications().map(({ at, subscriptionId, payload }) => {
      const message = payload.message as { action: string } | undefined
      const what = message?.action ?? String(payload['detail-type'])
      return `${(at - utc('12:30')) / 1000} ${about.get(subscriptionId) ?? subscriptionId} ${what}`
    })
  return { simulator, marketplace, clock, subscription, named, told }
}

async function seatsOf(simulator: Simulator): Promise<unknown[]> {
  const { body } = await call(simulator, 'GetEntitlements', { ProductCode: 'prodcode1' })
  return body.Entitlements.map((item: { Value: { IntegerValue: number } }) => item.Value.IntegerValue)
}

describe('an agreement that takes the place of another', () => {
  it.each([
    [
      'interleaved',
      [
        '600 old Purchase Agreement Ended - Proposer',
        '611 new Purchase Agreement Created - Proposer',
        '631 old License Deprovisioned - Manufacturer',
        '672 new License Updated - Manufacturer',
      ],
    ],
    [
      'oldFirst',
      [
        '600 old Purchase Agreement Ended - Proposer',
        '631 old License Deprovisioned - Manufacturer',
        '642 new Purchase Agreement Created - Proposer',
        '703 new License Updated - Manufacturer',
      ],
    ],
    [
      'newFirst',
      [
        '611 new Purchase Agreement Created - Proposer',
        '672 new License Updated - Manufacturer',
        '673 old Purchase Agreement Ended - Proposer',
        '704 old License Deprovisioned - Manufacturer',
      ],
    ],
  ] as const)('is told of in the order that the setting says: %s', async (successionOrder, expected) => {
    for (const take of ['renew', 'replace'] as const) {
      const { marketplace, clock, subscription, named, told } = await aBuyer(usage, {}, { successionOrder })
      clock.advance(10 * MINUTE)
      named('new', marketplace[take](subscription.id))
      clock.advance(2 * 60 * MINUTE)
      expect(told().slice(2)).toEqual(expected)
    }
  })

  it.each([
    ['renew', 'RENEW', 'RENEWED'],
    ['replace', 'REPLACE', 'REPLACED'],
  ] as const)('says by %s what it is: intent %s, and the old one is %s', async (take, intent, status) => {
    const { marketplace, clock, subscription } = await aBuyer()
    const successor = marketplace[take](subscription.id)
    const second = marketplace[take](successor.id)
    expect(second).toMatchObject({
      intent,
      previousAgreementId: successor.agreementId,
      initialAgreementId: subscription.agreementId,
    })
    expect(successor.offerId === subscription.offerId).toBe(take === 'renew')
    clock.advance(MINUTE)
    const details = marketplace
      .notifications()
      .filter(({ subscriptionId }) => subscriptionId !== second.id)
      .map(({ payload }) => (payload.detail as { agreement: object }).agreement)
    expect(details).toContainEqual({ id: subscription.agreementId, status })
    expect(details).toContainEqual(
      expect.objectContaining({ intent, previousAgreementId: subscription.agreementId }),
    )
  })

  it('does not name the one before in its events, where the setting says so', async () => {
    const { marketplace, clock, subscription } = await aBuyer(
      usage,
      {},
      { previousAgreementIdInEvents: false },
    )
    const { agreementId } = marketplace.renew(subscription.id)
    clock.advance(MINUTE)
    const created = marketplace.notifications().at(-1)?.payload.detail
    expect(created).toMatchObject({ agreement: { id: agreementId, intent: 'RENEW' } })
    expect(JSON.stringify(created)).not.toContain('previousAgreementId')
  })

  it('under the same license deprovisions nothing, and leaves no moment without entitlements', async () => {
    for (const take of ['renew', 'replace'] as const) {
      const buyer = await aBuyer(contract, {}, { licenseOnRenewal: 'kept' })
      const { simulator, marketplace, clock, subscription, named, told } = buyer
      clock.advance(10 * MINUTE)
      const successor = marketplace[take](subscription.id, { quantities: { seats: 7 } })
      named('new', successor)
      expect(successor.licenseArn).toBe(subscription.licenseArn)
      expect(await seatsOf(simulator)).toEqual([1])
      clock.advance(72_000 - 1)
      expect(await seatsOf(simulator)).toEqual([1])
      clock.advance(1)
      expect(await seatsOf(simulator)).toEqual([7])
      clock.advance(2 * 60 * MINUTE)
      expect(told().slice(2)).toEqual([
        '600 old Purchase Agreement Ended - Proposer',
        '611 new Purchase Agreement Created - Proposer',
        '672 new License Updated - Manufacturer',
      ])
    }
  })
})

describe('a contract that renews by itself', () => {
  const renewing = (settings = {}) =>
    aBuyer(contract, { autoRenew: true, quantities: { seats: 3 } }, settings)

  it('has a successor from the instant its term ends, whoever looks first and however late', async () => {
    const { simulator, marketplace, clock, subscription, named, told } = await renewing()
    clock.set(YEAR_ON - 1)
    expect(marketplace.listSubscriptions()).toHaveLength(1)
    clock.set(YEAR_ON + 3 * DAY)
    const [old, successor] = marketplace.listSubscriptions()
    named('new', successor!)
    expect(old).toMatchObject({ id: subscription.id, end: { reason: 'RENEWED', endedAt: YEAR_ON } })
    expect(successor).toMatchObject({
      intent: 'RENEW',
      previousAgreementId: subscription.agreementId,
      acceptedAt: YEAR_ON,
      startAt: YEAR_ON,
      quantities: { seats: 3 },
      state: 'licensed',
      term: { endsAt: Date.parse('2028-11-20T12:30:00Z'), autoRenew: true },
    })
    expect(successor?.licenseArn).not.toBe(subscription.licenseArn)
    expect(await seatsOf(simulator)).toEqual([3])
    const year = (YEAR_ON - utc('12:30')) / 1000
    expect(told().slice(2)).toEqual([
      `${year} old Purchase Agreement Ended - Proposer`,
      `${year + 11} new Purchase Agreement Created - Proposer`,
      `${year + 31} old License Deprovisioned - Manufacturer`,
      `${year + 72} new License Updated - Manufacturer`,
    ])
  })

  it('is seen first by an AWS call as well', async () => {
    const { simulator, clock } = await renewing()
    clock.set(YEAR_ON + DAY)
    expect(await seatsOf(simulator)).toEqual([3])
  })

  it('renews as often as terms have passed', async () => {
    const { marketplace, clock, subscription } = await renewing()
    clock.set(Date.parse('2031-01-01T00:00:00Z'))
    const all = marketplace.listSubscriptions()
    expect(all.map(({ state }) => state)).toEqual(['closed', 'closed', 'closed', 'closed', 'licensed'])
    expect(new Set(all.map(({ initialAgreementId }) => initialAgreementId))).toEqual(
      new Set([undefined, subscription.agreementId]),
    )
  })

  it('is not there yet when the clock goes back, and comes once only', async () => {
    const { marketplace, clock, subscription } = await renewing()
    clock.set(YEAR_ON + DAY)
    expect(marketplace.listSubscriptions()).toHaveLength(2)
    clock.set(YEAR_ON - DAY)
    expect(marketplace.listSubscriptions()).toMatchObject([{ id: subscription.id, state: 'licensed' }])
    clock.set(YEAR_ON + DAY)
    expect(marketplace.listSubscriptions()).toHaveLength(2)
  })

  it('does not come where the clock went back and what led to it was undone', async () => {
    const undo = {
      cancel: (buyer: Awaited<ReturnType<typeof renewing>>) =>
        void buyer.marketplace.cancel(buyer.subscription.id),
      renewalOff: ({ marketplace, subscription }: Awaited<ReturnType<typeof renewing>>) =>
        void marketplace.setAutoRenew(subscription.id, false),
      request: async ({ simulator, subscription }: Awaited<ReturnType<typeof renewing>>) => {
        const input = { agreementId: subscription.agreementId, reasonCode: 'OTHER' }
        expect((await call(simulator, 'SendAgreementCancellationRequest', input)).status).toBe(200)
      },
    }
    for (const change of Object.values(undo)) {
      const buyer = await renewing()
      const { simulator, marketplace, clock, subscription } = buyer
      clock.set(YEAR_ON + 800 * DAY)
      expect(marketplace.listSubscriptions()).toHaveLength(4)
      clock.set(YEAR_ON - 30 * DAY)
      await change(buyer)
      clock.set(YEAR_ON + 800 * DAY)
      expect(marketplace.listSubscriptions()).toMatchObject([{ id: subscription.id, state: 'closed' }])
      expect(
        marketplace.notifications().every(({ subscriptionId }) => subscriptionId === subscription.id),
      ).toBe(true)
      expect(await seatsOf(simulator)).toEqual([])
    }
  })

  it('comes with what was changed meanwhile, where the clock went back', async () => {
    const { simulator, marketplace, clock, subscription } = await renewing()
    clock.set(YEAR_ON + DAY)
    expect(marketplace.listSubscriptions()).toHaveLength(2)
    clock.set(YEAR_ON - 30 * DAY)
    marketplace.amend(subscription.id, { seats: 8 })
    clock.set(YEAR_ON + DAY)
    expect(marketplace.listSubscriptions()).toHaveLength(2)
    expect(await seatsOf(simulator)).toEqual([8])
  })

  it('ends instead when its buyer cancels, or turns renewal off', async () => {
    const cancelled = await renewing()
    cancelled.marketplace.cancel(cancelled.subscription.id)
    cancelled.clock.set(YEAR_ON + DAY)
    expect(cancelled.marketplace.listSubscriptions()).toMatchObject([{ end: { reason: 'CANCELLED' } }])

    const { marketplace, clock, subscription, told } = await renewing()
    clock.advance(10 * MINUTE)
    expect(marketplace.setAutoRenew(subscription.id, false).end?.reason).toBe('EXPIRED')
    expect(told().at(-1)).toBe('600 old Purchase Agreement Amended - Proposer')
    expect(marketplace.notifications().at(-1)?.payload.detail).toMatchObject({
      agreement: { autoRenewalEnabled: false },
      renewalSummary: { disabledBy: 'ACCEPTOR' },
    })
    expect(marketplace.setAutoRenew(subscription.id, true).end?.reason).toBe('RENEWED')
    marketplace.setAutoRenew(subscription.id, false)
    clock.set(YEAR_ON + DAY)
    expect(marketplace.listSubscriptions()).toMatchObject([{ end: { reason: 'EXPIRED' }, state: 'closed' }])
  })

  it('is renewed early by hand, on terms of its own', async () => {
    const { marketplace, clock, subscription } = await renewing()
    clock.advance(DAY)
    const successor = marketplace.renew(subscription.id, { quantities: { seats: 5 }, termMonths: 1 })
    clock.set(YEAR_ON + DAY)
    expect(marketplace.listSubscriptions().map(({ id }) => id)).toEqual([subscription.id, successor.id])
  })

  it('does not renew for pay-as-you-go or a trial', async () => {
    const { marketplace } = await aBuyer()
    expect(() => marketplace.subscribe({ productCode: 'prodcode1', autoRenew: true })).toThrow(
      'only a contract',
    )
    const trial = await aBuyer(contract)
    const order = { productCode: 'prodcode1', autoRenew: true, freeTrial: true }
    expect(() => trial.marketplace.subscribe(order)).toThrow('a free trial does not renew')
  })
})

describe('what a channel partner sold', () => {
  it('is told to the seller as the manufacturer only', async () => {
    const { marketplace, clock, subscription } = await aBuyer(contract, { channelPartner: '999988887777' })
    clock.advance(2 * MINUTE)
    marketplace.amend(subscription.id, { seats: 2 })
    marketplace.cancel(subscription.id)
    clock.advance(MINUTE)
    const sent = marketplace.notifications().map(({ payload }) => payload)
    expect(sent.map((event) => event['detail-type'])).toEqual([
      'Purchase Agreement Created - Manufacturer',
      'License Updated - Manufacturer',
      'Purchase Agreement Amended - Manufacturer',
      'License Updated - Manufacturer',
      'Purchase Agreement Ended - Manufacturer',
      'License Deprovisioned - Manufacturer',
    ])
    for (const { detail } of sent) expect(detail).toMatchObject({ proposer: { accountId: '999988887777' } })
    const authorization = { id: expect.stringMatching(/^resaleauthz-[a-z0-9]{13}$/) }
    for (const at of [0, 2, 4]) expect(sent[at]?.detail).toMatchObject({ resaleAuthorization: authorization })
  })

  it('stays so through a renewal', async () => {
    const { marketplace, subscription } = await aBuyer(contract, { sellerRole: 'manufacturer' })
    expect(marketplace.renew(subscription.id).channelPartner).toEqual(subscription.channelPartner)
  })

  it.each([
    [{ channelPartner: '12' }, '12 digits'],
    [{ sellerRole: 'proposer', channelPartner: '999988887777' }, 'sellerRole is manufacturer'],
    [{ sellerRole: 'broker' }, 'sellerRole must be'],
  ])('is refused for %j', async (order, message) => {
    const { marketplace } = await aBuyer()
    expect(() => marketplace.subscribe({ productCode: 'prodcode1', ...order } as Order)).toThrow(message)
  })
})

describe('a legacy product', () => {
  const legacy = { metering: 'legacy' } as const

  it('goes on under the same customer when renewed or replaced: nobody unsubscribes', async () => {
    for (const take of ['renew', 'replace'] as const) {
      const buyer = await aBuyer({ ...mixed, ...legacy })
      const { simulator, marketplace, clock, subscription, named, told } = buyer
      clock.advance(10 * MINUTE)
      const successor = marketplace[take](subscription.id, { quantities: { seats: 9 } })
      named('new', successor)
      expect(successor.customerIdentifier).toBe(subscription.customerIdentifier)
      expect(await seatsOf(simulator)).toEqual([1])
      clock.advance(72_000)
      expect(await seatsOf(simulator)).toEqual([9])
      clock.advance(3 * 60 * MINUTE)
      expect(told()).toEqual([
        '72 old subscribe-success',
        '72 old entitlement-updated',
        '672 new subscribe-success',
        '672 new entitlement-updated',
      ])
      const more = { ProductCode: 'prodcode1' }
      const record = aRecord(successor, { Timestamp: clock.now() / 1000 })
      expect(await statuses(simulator, [record], more)).toEqual(['Success'])
    }
  })

  it('that renews by itself is told of new entitlements only', async () => {
    const { clock, named, told, marketplace } = await aBuyer({ ...contract, ...legacy }, { autoRenew: true })
    clock.set(YEAR_ON + DAY)
    named('new', marketplace.listSubscriptions()[1]!)
    const year = (YEAR_ON - utc('12:30')) / 1000
    expect(told().slice(2)).toEqual([`${year + 72} new entitlement-updated`])
  })

  it('whose contract runs out has no entitlements any more; only what was metered is unsubscribed', async () => {
    const year = (YEAR_ON - utc('12:30')) / 1000
    const pure = await aBuyer({ ...contract, ...legacy })
    pure.clock.set(YEAR_ON + DAY)
    expect(pure.told().slice(2)).toEqual([`${year} old entitlement-updated`])
    expect(await seatsOf(pure.simulator)).toEqual([])
    const both = await aBuyer({ ...mixed, ...legacy })
    both.clock.set(YEAR_ON + DAY)
    expect(both.told().slice(2)).toEqual([
      `${year} old entitlement-updated`,
      `${year + 31} old unsubscribe-pending`,
      `${year + 3631} old unsubscribe-success`,
    ])
  })

  it('whose payment fails is never licensed, and says so once', async () => {
    const { simulator, marketplace, clock, subscription, told } = await aBuyer(
      { ...mixed, ...legacy },
      { fail: true },
    )
    clock.advance(2 * MINUTE)
    expect(marketplace.getSubscription(subscription.id).state).toBe('failed')
    const record = aRecord(subscription, { Timestamp: clock.now() / 1000 })
    expect(await statuses(simulator, [record], { ProductCode: 'prodcode1' })).toEqual([
      'CustomerNotSubscribed',
    ])
    expect(await seatsOf(simulator)).toEqual([])
    marketplace.subscribe({ productCode: 'prodcode1' })
    clock.advance(2 * DAY)
    expect(told()[0]).toBe('72 old subscribe-fail')
    expect(told().filter((line) => line.includes(' old '))).toHaveLength(1)
  })

  it('whose buyer comes back within the hour is never told unsubscribe-success', async () => {
    const { simulator, marketplace, clock, subscription, named, told } = await aBuyer({ ...usage, ...legacy })
    clock.advance(30 * MINUTE)
    marketplace.cancel(subscription.id)
    clock.advance(20 * MINUTE)
    const again = marketplace.subscribe({ productCode: 'prodcode1' })
    named('new', again)
    expect(again.customerIdentifier).toBe(subscription.customerIdentifier)
    clock.advance(3 * 60 * MINUTE)
    expect(told()).toEqual([
      '72 old subscribe-success',
      '1831 old unsubscribe-pending',
      '3072 new subscribe-success',
    ])
    const record = aRecord(again, { Timestamp: clock.now() / 1000 })
    expect(await statuses(simulator, [record], { ProductCode: 'prodcode1' })).toEqual(['Success'])
  })

  it('whose buyer comes back after the hour is told both', async () => {
    const { marketplace, clock, subscription, named, told } = await aBuyer({ ...usage, ...legacy })
    clock.advance(30 * MINUTE)
    marketplace.cancel(subscription.id)
    clock.advance(90 * MINUTE)
    named('new', marketplace.subscribe({ productCode: 'prodcode1' }))
    clock.advance(MINUTE * 2)
    expect(told().slice(1)).toEqual([
      '1831 old unsubscribe-pending',
      '5431 old unsubscribe-success',
      '7272 new subscribe-success',
    ])
  })
})

describe('a product metered by license', () => {
  it('whose payment fails has an agreement, and never a license', async () => {
    const { simulator, marketplace, clock, subscription, told } = await aBuyer(usage, { fail: true })
    clock.advance(2 * MINUTE)
    const record = aRecord(subscription, { Timestamp: clock.now() / 1000 })
    expect(await statuses(simulator, [record])).toEqual(['CustomerNotSubscribed'])
    expect(marketplace.cancel(subscription.id).state).toBe('closed')
    clock.advance(2 * 60 * MINUTE)
    expect(told()).toEqual([
      '11 old Purchase Agreement Created - Proposer',
      '120 old Purchase Agreement Ended - Proposer',
    ])
  })

  it('is advised when its account is suspended and reinstated, each time', async () => {
    const { marketplace, clock, subscription, told } = await aBuyer()
    for (let round = 0; round < 2; round++) {
      clock.advance(10 * MINUTE)
      marketplace.suspend(subscription.id, true)
      clock.advance(10 * MINUTE)
      marketplace.suspend(subscription.id, false)
    }
    expect(told().slice(2)).toEqual([
      '600 old Purchase Agreement Advisory Issued - Manufacturer',
      '1200 old Purchase Agreement Advisory Resolved - Manufacturer',
      '1800 old Purchase Agreement Advisory Issued - Manufacturer',
      '2400 old Purchase Agreement Advisory Resolved - Manufacturer',
    ])
  })

  it('that starts later is told of at once, and licensed at its start', async () => {
    const { told, clock } = await aBuyer(usage, { startAt: utc('15:00') })
    clock.set(utc('15:02'))
    expect(told()).toEqual([
      '11 old Purchase Agreement Created - Proposer',
      '9072 old License Updated - Manufacturer',
    ])
  })

  it('keeps the news of every amendment, also of two at one instant', async () => {
    const { marketplace, clock, subscription, told } = await aBuyer(contract)
    clock.advance(10 * MINUTE)
    marketplace.amend(subscription.id, { seats: 2 })
    marketplace.amend(subscription.id, { seats: 3 })
    clock.advance(10 * MINUTE)
    marketplace.amend(subscription.id, { seats: 4 })
    expect(told().filter((line) => line.endsWith('Amended - Proposer'))).toEqual([
      '600 old Purchase Agreement Amended - Proposer',
      '600 old Purchase Agreement Amended - Proposer',
      '1200 old Purchase Agreement Amended - Proposer',
    ])
    const ids = marketplace.notifications().map(({ payload }) => payload.id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('a free trial', () => {
  it('ends at its length', async () => {
    const { simulator, marketplace, clock, subscription, told } = await aBuyer(usage, {
      freeTrial: true,
      trialDays: 14,
    })
    clock.advance(14 * DAY - 1)
    expect(marketplace.getSubscription(subscription.id).state).toBe('licensed')
    clock.advance(1)
    expect(marketplace.getSubscription(subscription.id)).toMatchObject({
      state: 'ending',
      end: { reason: 'EXPIRED' },
    })
    clock.advance(2 * 60 * MINUTE)
    expect(told().slice(2)).toEqual([
      '1209600 old Purchase Agreement Ended - Proposer',
      '1209631 old License Deprovisioned - Manufacturer',
    ])
    const record = aRecord(subscription, { Timestamp: clock.now() / 1000 })
    expect(await statuses(simulator, [record])).toEqual(['CustomerNotSubscribed'])
  })

  it('is metered for nothing, and for its price once converted', async () => {
    const { simulator, marketplace, clock, subscription } = await aBuyer(usage, { freeTrial: true })
    clock.advance(2 * MINUTE)
    const timestamp = { Timestamp: clock.now() / 1000 }
    await meter(simulator, [aRecord(subscription, timestamp)])
    const paid = marketplace.replace(subscription.id)
    expect(paid).toMatchObject({ freeTrial: false, intent: 'REPLACE' })
    expect(paid).not.toHaveProperty('term')
    clock.advance(2 * MINUTE)
    await meter(simulator, [aRecord(paid, { Timestamp: clock.now() / 1000 })])
    expect(marketplace.bill()).toMatchObject({
      total: '0.01',
      lines: [
        { subscriptionId: subscription.id, units: '5', unitPrice: '0', amount: '0' },
        { subscriptionId: paid.id, units: '5', unitPrice: '0.002', amount: '0.01' },
      ],
    })
  })

  it('of a contract grants what was ordered, until it ends', async () => {
    const { simulator, clock } = await aBuyer(contract, { freeTrial: true, quantities: { seats: 2 } })
    clock.advance(72_000)
    expect(await seatsOf(simulator)).toEqual([2])
    clock.advance(30 * DAY)
    expect(await seatsOf(simulator)).toEqual([])
  })

  it.each([
    [{ trialDays: 14 }, 'trialDays is for a free trial'],
    [{ freeTrial: true, trialDays: 0 }, 'trialDays must be'],
    [{ freeTrial: true, trialDays: 91 }, 'trialDays must be'],
    [{ freeTrial: 'yes' }, 'freeTrial must be true or false'],
  ])('is refused for %j', async (order, message) => {
    const { marketplace } = await aBuyer()
    expect(() => marketplace.subscribe({ productCode: 'prodcode1', ...order } as Order)).toThrow(message)
  })
})
