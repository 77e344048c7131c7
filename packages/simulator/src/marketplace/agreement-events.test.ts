import { describe, expect, it } from 'vitest'
import { aProduct, aSimulator, call, utc } from '../test-values.ts'
import { ANNOUNCEMENT_KINDS, type AnnouncementOrder } from './agreement-announcement.ts'

const UUID = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
const DAY = 24 * 3_600_000
const product = aProduct({
  productCode: '74az0btybm649octamy0sktos',
  productId: 'prod-k35yywhyj4eqg',
  title: 'Test product',
  pricing: 'contract',
  dimensions: [{ key: 'seats', price: '120' }],
})

async function aBuyer(overrides = {}, order = {}) {
  const sold = { ...product, ...overrides }
  const simulator = await aSimulator({ products: [sold], settings: { licenseDelayMs: 72_000 } })
  const { marketplace, clock } = simulator
  const subscription = marketplace.subscribe({ productCode: sold.productCode, ...order })
  const latest = () => marketplace.notifications().at(-1)?.payload
  const ofType = (detailType: string) =>
    marketplace.notifications().find(({ payload }) => payload['detail-type'] === detailType)?.payload
  const notify = (request: AnnouncementOrder) => {
    marketplace.notify(subscription.id, request)
    return latest()
  }
  return { simulator, marketplace, clock, subscription, latest, ofType, notify }
}

/** The envelope as captured and documented, around a detail. */
function anEvent(detailType: string, time: string, resources: unknown[], detail: object, source?: string) {
  return {
    version: '0',
    id: UUID,
    'detail-type': detailType,
    source: source ?? 'aws.agreement-marketplace',
    account: '111122223333',
    time,
    region: 'us-east-1',
    resources,
    detail: { requestId: UUID, catalog: 'AWSMarketplace', ...detail },
  }
}

const PARTIES = { acceptor: { accountId: '782858285006' }, proposer: { accountId: '111122223333' } }

describe('events have the captured and documented shapes', () => {
  it('of an agreement that is created, licensed, ended and deprovisioned', async () => {
    const { marketplace, clock, subscription, ofType } = await aBuyer({ pricing: 'usage' })
    clock.advance(2 * 60_000)
    marketplace.cancel(subscription.id)
    clock.advance(60_000)
    const { agreementId, licenseArn, offerId } = subscription
    const resources = [`arn:aws:aws-marketplace::aws:agreement:${agreementId}`]
    expect(ofType('Purchase Agreement Created - Proposer')).toEqual(
      anEvent('Purchase Agreement Created - Proposer', '2026-11-20T12:30:11Z', resources, {
        agreement: {
          id: agreementId,
          intent: 'NEW',
          status: 'ACTIVE',
          acceptanceTime: '2026-11-20T12:30:00.000Z',
          startTime: '2026-11-20T12:30:00.000Z',
          endTime: '9999-01-01T00:00:00Z',
        },
        ...PARTIES,
        offer: { id: offerId },
        resaleAuthorization: { id: null },
      }),
    )
    const license = {
      agreement: { id: agreementId },
      product: { id: 'prod-k35yywhyj4eqg', code: '74az0btybm649octamy0sktos' },
      license: { arn: licenseArn },
      ...PARTIES,
      offer: { id: offerId },
    }
    expect(ofType('License Updated - Manufacturer')).toEqual(
      anEvent('License Updated - Manufacturer', '2026-11-20T12:31:12Z', resources, license),
    )
    expect(ofType('Purchase Agreement Ended - Proposer')).toEqual(
      anEvent('Purchase Agreement Ended - Proposer', '2026-11-20T12:32:00Z', resources, {
        agreement: { id: agreementId, status: 'CANCELLED' },
        ...PARTIES,
        resaleAuthorization: { id: null },
      }),
    )
    expect(ofType('License Deprovisioned - Manufacturer')).toEqual(
      anEvent('License Deprovisioned - Manufacturer', '2026-11-20T12:32:31Z', resources, license),
    )
  })

  it('of a renewal and an amendment', async () => {
    const { marketplace, clock, subscription, latest } = await aBuyer()
    const renewed = marketplace.renew(subscription.id, { autoRenew: true })
    clock.advance(11_000)
    const resources = [`arn:aws:aws-marketplace::aws:agreement:${renewed.agreementId}`]
    const agreement = {
      id: renewed.agreementId,
      status: 'ACTIVE',
      acceptanceTime: '2026-11-20T12:30:00.000Z',
      startTime: '2026-11-20T12:30:00.000Z',
      endTime: '2027-11-20T12:30:00Z',
    }
    const about = {
      product: { id: 'prod-k35yywhyj4eqg', title: 'Test product' },
      ...PARTIES,
      offer: { id: renewed.offerId },
      resaleAuthorization: { id: null },
    }
    expect(latest()).toEqual(
      anEvent('Purchase Agreement Created - Proposer', '2026-11-20T12:30:11Z', resources, {
        agreement: { ...agreement, intent: 'RENEW', previousAgreementId: subscription.agreementId },
        ...about,
      }),
    )
    clock.advance(DAY)
    marketplace.amend(renewed.id, { seats: 2 })
    const amended = marketplace.notifications().at(-2)?.payload
    expect(amended).toEqual(
      anEvent('Purchase Agreement Amended - Proposer', '2026-11-21T12:30:11Z', resources, {
        agreement: { ...agreement, intent: 'AMEND', autoRenewalEnabled: true },
        renewalSummary: { lockoutStartTime: null, disabledBy: null },
        ...about,
      }),
    )
  })

  it('of an advisory', async () => {
    const { marketplace, clock, subscription, latest } = await aBuyer()
    const { agreementId, offerId } = subscription
    const event = (kind: string, time: string, advisory: object) =>
      anEvent(
        `Purchase Agreement Advisory ${kind} - Manufacturer`,
        time,
        [`arn:aws:aws-marketplace::aws:agreement:${agreementId}`],
        {
          agreement: { id: agreementId },
          product: { id: 'prod-k35yywhyj4eqg' },
          ...PARTIES,
          offer: { id: offerId },
          advisory,
        },
      )
    clock.advance(120_000)
    marketplace.suspend(subscription.id, true)
    expect(latest()).toEqual(
      event('Issued', '2026-11-20T12:32:00Z', { issuedAt: '2026-11-20T12:32:00.000Z' }),
    )
    clock.advance(60_000)
    marketplace.suspend(subscription.id, false)
    expect(latest()).toEqual(
      event('Resolved', '2026-11-20T12:33:00Z', { resolvedAt: '2026-11-20T12:33:00.000Z' }),
    )
  })

  it('of cancellation requests, as they change', async () => {
    const { simulator, marketplace, clock, subscription } = await aBuyer({ metering: 'legacy' })
    const { agreementId, offerId } = subscription
    const ask = async (description?: string) => {
      const input = {
        agreementId,
        reasonCode: 'TEST_AGREEMENT',
        ...(description !== undefined && { description }),
      }
      const { body } = await call(simulator, 'SendAgreementCancellationRequest', input)
      return body.agreementCancellationRequestId as string
    }
    const sent = () =>
      marketplace
        .notifications()
        .map(({ payload }) => payload)
        .filter((event) => String(event['detail-type']).startsWith('Agreement Cancellation'))
    const event = (kind: string, time: string, request: object) =>
      anEvent(`Agreement Cancellation Request ${kind} - Proposer`, time, [], {
        agreement: {
          id: agreementId,
          acceptorId: '782858285006',
          productId: 'prod-k35yywhyj4eqg',
          offerId,
        },
        agreementCancellationRequest: {
          id: expect.stringMatching(/^acr-/),
          reasonCode: 'TEST_AGREEMENT',
          reasonMessage: '',
          statusMessage: '',
          createdAt: '2026-11-20T12:30:00Z',
          updatedAt: time,
          ...request,
        },
      })
    const pending = event('Pending Approval', '2026-11-20T12:30:00Z', { statusCode: 'PENDING_APPROVAL' })
    const first = await ask()
    expect(sent()).toEqual([pending])
    marketplace.answerCancellationRequest(first, 'reject', 'We still need this product')
    expect(sent()[1]).toEqual(
      event('Rejected', '2026-11-20T12:30:00Z', {
        statusCode: 'REJECTED',
        statusMessage: 'We still need this product',
      }),
    )
    const second = await ask('By mistake')
    const withdrawal = {
      agreementId,
      agreementCancellationRequestId: second,
      cancellationReason: 'Withdrawn',
    }
    await call(simulator, 'CancelAgreementCancellationRequest', withdrawal)
    expect(sent().at(-1)).toEqual(
      event('Cancelled', '2026-11-20T12:30:00Z', {
        reasonMessage: 'By mistake',
        statusCode: 'CANCELLED',
        statusMessage: 'Withdrawn',
      }),
    )
    await ask()
    clock.advance(7 * DAY)
    expect(sent().at(-1)).toEqual(event('Approved', '2026-11-27T12:30:00Z', { statusCode: 'APPROVED' }))
    expect(marketplace.getSubscription(subscription.id).end).toMatchObject({ reason: 'CANCELLED' })
  })

  it('of a request whose agreement was renewed meanwhile', async () => {
    const { simulator, marketplace, clock, subscription, ofType } = await aBuyer()
    const input = { agreementId: subscription.agreementId, reasonCode: 'OTHER' }
    await call(simulator, 'SendAgreementCancellationRequest', input)
    clock.advance(DAY)
    marketplace.renew(subscription.id)
    expect(ofType('Agreement Cancellation Request Validation Failed - Proposer')).toMatchObject({
      time: '2026-11-21T12:30:00Z',
      detail: {
        agreementCancellationRequest: {
          statusCode: 'VALIDATION_FAILED',
          statusMessage: 'Agreement has a renewal agreement that must be canceled first',
        },
      },
    })
  })
})

describe('other notifications, sent when ordered', () => {
  const term = {
    startTime: '2026-11-20T12:30:00.000Z',
    endTime: '2027-11-20T12:30:00Z',
  }
  const titled = { product: { id: 'prod-k35yywhyj4eqg', title: 'Test product' }, ...PARTIES }
  const NOW = '2026-11-20T12:30:00Z'

  it('about the end and renewal of an agreement', async () => {
    const { subscription, notify } = await aBuyer({}, { autoRenew: true })
    const { agreementId, offerId } = subscription
    const resources = [`arn:aws:aws-marketplace::aws:agreement:${agreementId}`]
    expect(notify({ kind: 'agreementEnding', daysBeforeEndTime: 90 })).toEqual(
      anEvent('Purchase Agreement Ending - Proposer', NOW, resources, {
        agreement: {
          id: agreementId,
          ...term,
          status: 'ACTIVE',
          daysBeforeEndTime: 90,
          autoRenewalEnabled: true,
        },
        renewalSummary: { lockoutStartTime: null, disabledBy: null },
        ...titled,
        offer: { id: offerId },
      }),
    )
    expect(notify({ kind: 'renewalTermsFinalized' })).toEqual(
      anEvent('Purchase Agreement Renewal Terms Finalized - Proposer', NOW, resources, {
        agreement: { id: agreementId, ...term },
        renewalSummary: {
          tcv: '120',
          currency: 'USD',
          termsFinalizedTime: NOW,
          lockoutReached: null,
          lockoutStartTime: null,
        },
        ...titled,
      }),
    )
    expect(notify({ kind: 'renewalUpcoming' })).toEqual(
      anEvent('Purchase Agreement Renewal Upcoming - Proposer', NOW, resources, {
        agreement: { id: agreementId, ...term },
        renewalSummary: { lockoutReached: true, tcv: '120', currency: 'USD' },
        ...titled,
      }),
    )
  })

  it('about money', async () => {
    const { subscription, notify } = await aBuyer()
    for (const outcome of ['Completed', 'Failed'] as const) {
      expect(notify({ kind: `billingAdjustment${outcome}` })).toEqual(
        anEvent(`Purchase Agreement Billing Adjustment ${outcome} - Proposer`, NOW, [], {
          agreement: { id: subscription.agreementId },
          billingAdjustmentRequest: {
            id: expect.stringMatching(/^ba-/),
            adjustmentAmount: '-100.00',
            currencyCode: 'USD',
            adjustmentReasonCode: 'INCORRECT_METERING',
          },
          invoice: { originalInvoiceId: expect.stringMatching(/^\d+$/) },
        }),
      )
    }
    const account = [expect.stringMatching(/^arn:aws:payments:us-east-1:111122223333:paymentinstrument:/)]
    expect(notify({ kind: 'disbursementPaused' })).toEqual(
      anEvent('Disbursement Paused', NOW, account, {}, 'aws.marketplace'),
    )
  })

  it('about the catalog, whose change sets have capitalised members', async () => {
    const { subscription, notify } = await aBuyer()
    const changeSet = notify({ kind: 'changeSetSucceeded' })
    expect(changeSet).toMatchObject({
      source: 'aws.marketplacecatalog',
      'detail-type': 'Change Set Succeeded',
      resources: [
        expect.stringMatching(
          /^arn:aws:aws-marketplace:us-east-1:111122223333:AWSMarketplace\/ChangeSet\/[a-z0-9]{25}$/,
        ),
      ],
    })
    expect(changeSet?.detail).toEqual({
      requestId: UUID,
      Catalog: 'AWSMarketplace',
      ChangeSetId: expect.stringMatching(/^[a-z0-9]{25}$/),
      ChangeSetName: 'Submitted by 111122223333',
      StartTime: '2026-11-20T12:29:20Z',
      EndTime: NOW,
    })
    expect(notify({ kind: 'changeSetFailed' })?.detail).toMatchObject({ FailureCode: 'CLIENT_ERROR' })
    const { offerId } = subscription
    expect(notify({ kind: 'offerReleased' })).toEqual(
      anEvent(
        'Offer Released',
        NOW,
        [`arn:aws:aws-marketplace:us-east-1:111122223333:AWSMarketplace/Offer/${offerId}`],
        {
          offer: {
            id: offerId,
            arn: `arn:aws:catalog:us-east-1:111122223333:Offer/${offerId}`,
            name: 'Test product',
            expirationDate: '2027-11-20T12:30:00Z',
          },
          product: {
            id: 'prod-k35yywhyj4eqg',
            arn: 'arn:aws:aws-marketplace:us-east-1:111122223333:AWSMarketplace/SaaSProduct/prod-k35yywhyj4eqg',
            title: 'Test product',
          },
          manufacturer: { accountId: '111122223333', name: expect.any(String) },
          sellerOfRecord: { accountId: '111122223333', name: expect.any(String) },
          targetedBuyerAccountIds: ['782858285006'],
        },
        'aws.marketplacecatalog',
      ),
    )
  })

  it('of kinds that nobody knows', async () => {
    const { notify } = await aBuyer()
    expect(notify({ kind: 'unknownDetailType', detailType: 'Buyer Waved' })).toMatchObject({
      'detail-type': 'Buyer Waved',
      source: 'aws.agreement-marketplace',
    })
    expect(() => notify({ kind: 'unknownSnsAction' })).toThrow('over SNS')
    const legacy = await aBuyer({ metering: 'legacy' })
    expect(legacy.notify({ kind: 'unknownSnsAction', action: 'subscriber-waved' })).toEqual({
      topicArn:
        'arn:aws:sns:us-east-1:287250355862:aws-mp-subscription-notification-74az0btybm649octamy0sktos',
      message: {
        action: 'subscriber-waved',
        'customer-identifier': legacy.subscription.customerIdentifier,
        'product-code': '74az0btybm649octamy0sktos',
      },
    })
  })

  it('each under an id of its own, and at the time of the order', async () => {
    const { marketplace, clock, subscription } = await aBuyer({ metering: 'legacy' })
    clock.advance(DAY)
    const before = marketplace.notifications().length
    for (const kind of [...ANNOUNCEMENT_KINDS, ...ANNOUNCEMENT_KINDS])
      marketplace.notify(subscription.id, { kind })
    const sent = marketplace.notifications().slice(before)
    expect(sent).toHaveLength(2 * ANNOUNCEMENT_KINDS.length)
    expect(new Set(sent.map(({ at }) => at))).toEqual(new Set([utc('12:30') + DAY]))
    const ids = sent.filter(({ channel }) => channel === 'eventbridge').map(({ payload }) => payload.id)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it.each([
    [{ kind: 'agreementLost' }, 'kind must be one of'],
    [{ kind: 'agreementEnding', daysBeforeEndTime: 31 }, 'daysBeforeEndTime must be one of'],
    [{ kind: 'unknownDetailType', detailType: '' }, 'must be text'],
    [{ kind: 'agreementEnding', colour: 'red' }, 'has no colour'],
  ])('are refused for %j', async (order, message) => {
    const { notify } = await aBuyer()
    expect(() => notify(order as AnnouncementOrder)).toThrow(message)
  })
})
