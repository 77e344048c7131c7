import { describe, expect, it } from 'vitest'
import { aProduct, aRecord, aSimulator, call, statuses, utc } from '../test-values.ts'

const MINUTE = 60_000

async function aSubscribedBuyer(settings = {}, product = aProduct()) {
  const simulator = await aSimulator({ settings, products: [product] })
  const subscription = simulator.marketplace.subscribe({ productCode: product.productCode })
  const { marketplace, clock } = simulator
  const state = () => marketplace.getSubscription(subscription.id).state
  const more = product.metering === 'legacy' ? { ProductCode: product.productCode } : {}
  /** Meters the hour that is now. */
  const send = async (overrides = {}) =>
    (
      await statuses(
        simulator,
        [aRecord(subscription, { Timestamp: clock.now() / 1000, ...overrides })],
        more,
      )
    )[0]
  return { simulator, marketplace, clock, subscription, state, send }
}

describe('the way of a subscription', () => {
  it('is metered only once licensed, 72 seconds after the agreement', async () => {
    const { clock, send, state } = await aSubscribedBuyer({ licenseDelayMs: 72_000 })
    expect(state()).toBe('agreementActive')
    expect(await send()).toBe('CustomerNotSubscribed')
    clock.advance(71_999)
    expect(await send()).toBe('CustomerNotSubscribed')
    clock.advance(1)
    expect(state()).toBe('licensed')
    expect(await send()).toBe('Success')
  })

  it('takes final usage for an hour after the license is deprovisioned, then no more', async () => {
    const { marketplace, clock, subscription, state, send } = await aSubscribedBuyer()
    expect(marketplace.cancel(subscription.id).state).toBe('ending')
    expect(await send()).toBe('Success')
    clock.advance(31_000)
    expect(state()).toBe('finalWindow')
    clock.advance(3_599_999)
    expect(await send({ Dimension: 'users' })).toBe('Success')
    clock.advance(1)
    expect(state()).toBe('closed')
    expect(await send()).toBe('CustomerNotSubscribed')
  })

  it('takes only usage timed before deprovisioning where the setting says so', async () => {
    const { marketplace, clock, subscription, send } = await aSubscribedBuyer({ usageAfterEnd: 'refuse' })
    marketplace.cancel(subscription.id)
    clock.advance(10 * MINUTE)
    expect(await send()).toBe('CustomerNotSubscribed')
    expect(await send({ Timestamp: utc('12:30') / 1000 })).toBe('Success')
  })

  it('closes at once, and was never metered, when cancelled before it was licensed', async () => {
    const { marketplace, subscription, send } = await aSubscribedBuyer({ licenseDelayMs: MINUTE })
    expect(marketplace.cancel(subscription.id).state).toBe('closed')
    expect(await send()).toBe('CustomerNotSubscribed')
  })

  it('keeps its end when it is cancelled again', async () => {
    const { marketplace, clock, subscription } = await aSubscribedBuyer()
    const { end } = marketplace.cancel(subscription.id)
    clock.advance(MINUTE)
    expect(marketplace.cancel(subscription.id).end).toEqual(end)
  })

  it('is refused while the account is suspended, and taken again after', async () => {
    const { marketplace, subscription, send } = await aSubscribedBuyer()
    marketplace.suspend(subscription.id, true)
    expect(await send()).toBe('CustomerNotSubscribed')
    marketplace.suspend(subscription.id, false)
    expect(await send()).toBe('Success')
  })

  it('waits for its start date', async () => {
    const { simulator, marketplace, clock } = await aSubscribedBuyer()
    const later = marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('15:00') })
    expect(later.state).toBe('scheduled')
    clock.set(utc('15:00'))
    expect(await statuses(simulator, [aRecord(later, { Timestamp: utc('15:00') / 1000 })])).toEqual([
      'Success',
    ])
  })

  it('follows the clock back as well', async () => {
    const { marketplace, clock, subscription, state } = await aSubscribedBuyer()
    clock.advance(MINUTE)
    marketplace.cancel(subscription.id)
    clock.advance(2 * MINUTE)
    expect(state()).toBe('finalWindow')
    clock.set(utc('12:30'))
    expect(state()).toBe('licensed')
  })

  it('gets a new agreement and license when renewed; the old one has its final hour', async () => {
    const { simulator, marketplace, subscription, send } = await aSubscribedBuyer()
    const renewed = marketplace.renew(subscription.id)
    expect(renewed).toMatchObject({
      intent: 'RENEW',
      previousAgreementId: subscription.agreementId,
      state: 'licensed',
    })
    expect(renewed.licenseArn).not.toBe(subscription.licenseArn)
    expect(await send()).toBe('Success')
    expect(await statuses(simulator, [aRecord(renewed, { Timestamp: utc('12:30') / 1000 })])).toEqual([
      'Success',
    ])
    expect(() => marketplace.renew(subscription.id)).toThrow('has ended')
  })

  it('keeps its license when renewed, where the setting says so, and then deduplicates across both', async () => {
    const { simulator, marketplace, subscription, send } = await aSubscribedBuyer({
      licenseOnRenewal: 'kept',
    })
    expect(await send()).toBe('Success')
    const renewed = marketplace.renew(subscription.id)
    expect(renewed.licenseArn).toBe(subscription.licenseArn)
    const record = aRecord(renewed, { Timestamp: utc('12:30') / 1000, Quantity: 6 })
    expect(await statuses(simulator, [record])).toEqual(['DuplicateRecord'])
  })

  it('allows several agreements of one account, but one only for a legacy product', async () => {
    const { marketplace } = await aSubscribedBuyer()
    expect(marketplace.subscribe({ productCode: 'prodcode1' }).agreementId).toMatch(/^agmt-[a-z0-9]{25}$/)
    expect(marketplace.listSubscriptions({ accountId: '782858285006' })).toHaveLength(2)
    const legacy = await aSubscribedBuyer({}, aProduct({ metering: 'legacy' }))
    expect(() => legacy.marketplace.subscribe({ productCode: 'prodcode1' })).toThrow('already has agreement')
  })

  it.each([
    [{ productCode: 'nope' }, 'no product nope'],
    [{ productCode: 'prodcode1', accountId: '12' }, '12 digits'],
    [{ productCode: 'prodcode1', quantities: { users: 1 } }, 'not an entitled dimension'],
    [{ productCode: 'prodcode1', startAt: Number.NaN }, 'startAt'],
    [{ productCode: 'prodcode1', termMonths: 0 }, 'termMonths'],
  ])('refuses the order %j', async (order, message) => {
    const { marketplace } = await aSubscribedBuyer()
    expect(() => marketplace.subscribe(order)).toThrow(message)
    expect(marketplace.listSubscriptions()).toHaveLength(1)
  })
})

describe('what AWS would have notified', () => {
  it('tells a license product over EventBridge, in the captured shapes', async () => {
    const { marketplace, clock, subscription } = await aSubscribedBuyer({ licenseDelayMs: 72_000 })
    clock.advance(MINUTE * 2)
    marketplace.cancel(subscription.id)
    clock.advance(MINUTE)
    const sent = marketplace
      .notifications()
      .map(({ at, payload }) => [(at - utc('12:30')) / 1000, payload['detail-type']])
    expect(sent).toEqual([
      [11, 'Purchase Agreement Created - Proposer'],
      [72, 'License Updated - Manufacturer'],
      [120, 'Purchase Agreement Ended - Proposer'],
      [151, 'License Deprovisioned - Manufacturer'],
    ])
    const [created, updated, ended] = marketplace.notifications().map(({ payload }) => payload)
    expect(created).toMatchObject({
      source: 'aws.agreement-marketplace',
      region: 'us-east-1',
      resources: [`arn:aws:aws-marketplace::aws:agreement:${subscription.agreementId}`],
      detail: {
        agreement: { intent: 'NEW', status: 'ACTIVE', endTime: '9999-01-01T00:00:00Z' },
        resaleAuthorization: { id: null },
      },
    })
    expect(updated).toMatchObject({
      detail: { license: { arn: subscription.licenseArn }, product: { code: 'prodcode1' } },
    })
    expect(ended).toMatchObject({ detail: { agreement: { status: 'CANCELLED' } } })
    expect(ended?.detail).not.toHaveProperty('offer')
  })

  it('tells a legacy product over SNS, without account, license or agreement', async () => {
    const { marketplace, clock, subscription } = await aSubscribedBuyer({}, aProduct({ metering: 'legacy' }))
    marketplace.cancel(subscription.id)
    clock.advance(2 * 3_600_000)
    const messages = marketplace.notifications().map(({ payload }) => payload.message)
    const about = { 'customer-identifier': subscription.customerIdentifier, 'product-code': 'prodcode1' }
    expect(messages).toEqual([
      {
        action: 'subscribe-success',
        ...about,
        'offer-identifier': subscription.offerId,
        isFreeTrialTermPresent: 'false',
      },
      { action: 'unsubscribe-pending', ...about },
      { action: 'unsubscribe-success', ...about },
    ])
  })
})

describe('registration tokens', () => {
  const resolve = async (simulator: Awaited<ReturnType<typeof aSimulator>>, token: unknown) => {
    const { body } = await call(simulator, 'ResolveCustomer', { RegistrationToken: token })
    return body.__type ?? 'ok'
  }

  it('tell who the buyer is: account and license, or account and customer identifier', async () => {
    const { simulator, subscription } = await aSubscribedBuyer()
    const { body } = await call(simulator, 'ResolveCustomer', { RegistrationToken: subscription.token })
    const { accountId, licenseArn } = subscription
    expect(body).toEqual({
      CustomerAWSAccountId: accountId,
      ProductCode: 'prodcode1',
      LicenseArn: licenseArn,
    })
    const legacy = await aSubscribedBuyer({}, aProduct({ metering: 'legacy' }))
    const answer = await call(legacy.simulator, 'ResolveCustomer', {
      RegistrationToken: legacy.subscription.token,
    })
    const { customerIdentifier } = legacy.subscription
    expect(answer.body).toEqual({
      CustomerIdentifier: customerIdentifier,
      CustomerAWSAccountId: accountId,
      ProductCode: 'prodcode1',
    })
  })

  it('break when a form is decoded wrongly', async () => {
    const { subscription } = await aSubscribedBuyer()
    expect(subscription.token).toMatch(/\+.*\/.*=$/)
  })

  it('resolve again and again for four hours', async () => {
    const { simulator, clock, subscription } = await aSubscribedBuyer()
    expect(await resolve(simulator, subscription.token)).toBe('ok')
    clock.advance(4 * 3_600_000 - 1)
    expect(await resolve(simulator, subscription.token)).toBe('ok')
    clock.advance(1)
    expect(await resolve(simulator, subscription.token)).toBe('ExpiredTokenException')
    expect(await resolve(simulator, simulator.marketplace.setUpAccount(subscription.id))).toBe('ok')
  })

  it('resolve once where the setting says so', async () => {
    const { simulator, subscription } = await aSubscribedBuyer({ tokenReuse: 'single' })
    expect(await resolve(simulator, subscription.token)).toBe('ok')
    expect(await resolve(simulator, subscription.token)).toBe('ExpiredTokenException')
  })

  it.each([
    ['nonsense', 'InvalidTokenException'],
    ['', 'ValidationException'],
    [undefined, 'ValidationException'],
    [7, 'SerializationException'],
  ])('that are wrong (%j) are refused as %s', async (token, code) => {
    const { simulator } = await aSubscribedBuyer()
    expect(await resolve(simulator, token)).toBe(code)
  })
})

describe('entitlements', () => {
  const contract = () => aProduct({ pricing: 'contract', dimensions: [{ key: 'seats' }, { key: 'sites' }] })
  const read = async (simulator: Awaited<ReturnType<typeof aSimulator>>, request = {}) => {
    const { body } = await call(simulator, 'GetEntitlements', { ProductCode: 'prodcode1', ...request })
    return body
  }
  const names = (body: { Entitlements: { Dimension: string }[] }) =>
    body.Entitlements.map((item) => item.Dimension)

  it('are granted from the license on until the term ends', async () => {
    const { simulator, clock, subscription } = await aSubscribedBuyer({ licenseDelayMs: 72_000 }, contract())
    expect((await read(simulator)).Entitlements).toEqual([])
    clock.advance(72_000)
    expect((await read(simulator)).Entitlements[0]).toEqual({
      ProductCode: 'prodcode1',
      Dimension: 'seats',
      CustomerAWSAccountId: subscription.accountId,
      LicenseArn: subscription.licenseArn,
      Value: { IntegerValue: 1 },
      ExpirationDate: Date.parse('2027-11-20T12:30:00Z') / 1000,
    })
    clock.set(Date.parse('2027-11-20T12:30:00Z'))
    expect((await read(simulator)).Entitlements).toEqual([])
  })

  it('are withheld while the account is suspended', async () => {
    const { simulator, marketplace, subscription } = await aSubscribedBuyer({}, contract())
    marketplace.suspend(subscription.id, true)
    expect((await read(simulator)).Entitlements).toEqual([])
  })

  it('follow an amendment, under the same license', async () => {
    const { simulator, marketplace, subscription } = await aSubscribedBuyer({}, contract())
    const amended = marketplace.amend(subscription.id, { seats: 40 })
    expect(amended).toMatchObject({
      licenseArn: subscription.licenseArn,
      quantities: { seats: 40, sites: 1 },
    })
    expect((await read(simulator)).Entitlements[0].Value).toEqual({ IntegerValue: 40 })
  })

  it('are filtered by values or-ed and keys and-ed', async () => {
    const { simulator, marketplace, subscription } = await aSubscribedBuyer({}, contract())
    const other = marketplace.subscribe({ productCode: 'prodcode1', accountId: '444455556666' })
    const accounts = { CUSTOMER_AWS_ACCOUNT_ID: [subscription.accountId, '444455556666'] }
    expect(names(await read(simulator, { Filter: accounts }))).toHaveLength(4)
    const filter = { ...accounts, LICENSE_ARN: [other.licenseArn], DIMENSION: ['sites', 'nope'] }
    expect((await read(simulator, { Filter: filter })).Entitlements).toMatchObject([
      { Dimension: 'sites', CustomerAWSAccountId: '444455556666' },
    ])
  })

  it('come in pages, the first of them empty where the setting says so', async () => {
    const { simulator } = await aSubscribedBuyer({ emptyEntitlementPage: true }, contract())
    const first = await read(simulator, { MaxResults: 1 })
    expect(first).toMatchObject({ Entitlements: [], NextToken: expect.any(String) })
    const second = await read(simulator, { MaxResults: 1, NextToken: first.NextToken })
    expect(names(second)).toEqual(['seats'])
    const third = await read(simulator, { MaxResults: 1, NextToken: second.NextToken })
    expect([names(third), third.NextToken]).toEqual([['sites'], undefined])
  })

  it.each([
    [{ ProductCode: 'nope' }, 'InvalidParameterException'],
    [{ Filter: { COLOUR: ['red'] } }, 'InvalidParameterException'],
    [{ Filter: { DIMENSION: [] } }, 'InvalidParameterException'],
    [{ Filter: { CUSTOMER_IDENTIFIER: ['a'], CUSTOMER_AWS_ACCOUNT_ID: ['1'] } }, 'InvalidParameterException'],
    [{ MaxResults: 26 }, 'InvalidParameterException'],
    [{ NextToken: 'made-up' }, 'InvalidParameterException'],
    [{ MaxResults: '5' }, 'SerializationException'],
  ])('refuse the request %j', async (request, code) => {
    const { simulator } = await aSubscribedBuyer({}, contract())
    expect((await read(simulator, request)).__type).toBe(code)
  })
})
