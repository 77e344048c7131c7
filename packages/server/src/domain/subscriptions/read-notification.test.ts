import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DomainError } from '../error.ts'
import { agreementKeyOf } from './agreement.ts'
import type { MarketplaceEvent } from './marketplace-event.ts'
import { readMessage, readSnsNotification } from './read-notification.ts'
import { isSnsMessage, readSnsMessage } from './sns-message.ts'

const AT = Date.UTC(2026, 10, 20, 23)

/** What a bare message of SNS's means. */
function fromSns(message: object): MarketplaceEvent {
  return readMessage(JSON.stringify(message), { id: 'message-1', at: AT, channel: 'sns' })
}

function fromEventBridge(message: object): MarketplaceEvent {
  return readMessage(JSON.stringify(message), { id: 'message-1', at: AT, channel: 'sns' })
}

const CUSTOMER = { 'customer-identifier': 'ifAPi5AcF3', 'product-code': 'n0123456789012345678901234' }
const LICENSE = 'arn:aws:license-manager::294406891311:license:l-9d01d15f86334a8894365cd7350556ff'

/** As captured from a live listing in August 2026. */
function anEvent(detailType: string, detail: object, more: object = {}) {
  return {
    version: '0',
    id: '6b6b2f3c-59e8-4e2b-9a64-0d3a1c2e7a11',
    'detail-type': detailType,
    source: 'aws.agreement-marketplace',
    account: '993604559884',
    time: '2026-08-20T14:23:22Z',
    region: 'us-east-1',
    resources: ['arn:aws:aws-marketplace::aws:agreement:agmt-2neh000000000000000000000'],
    detail: { requestId: '40d8', catalog: 'AWSMarketplace', ...detail },
    ...more,
  }
}

const CREATED = anEvent('Purchase Agreement Created - Proposer', {
  agreement: {
    id: 'agmt-2neh000000000000000000000',
    intent: 'NEW',
    status: 'ACTIVE',
    acceptanceTime: '2026-08-20T14:23:11.013Z',
    startTime: '2026-08-20T14:23:11.013Z',
    endTime: '9999-01-01T00:00:00Z',
  },
  acceptor: { accountId: '782858285006' },
  proposer: { accountId: '993604559884' },
  offer: { id: 'offer-uovnpk2f6jq7s' },
  resaleAuthorization: { id: null },
})
const LICENSED = anEvent('License Updated - Manufacturer', {
  agreement: { id: 'agmt-2neh000000000000000000000' },
  product: { id: 'prod-k35yywhyj4eqg', code: '74az0btybm649octamy0sktos' },
  license: { arn: LICENSE },
  acceptor: { accountId: '782858285006' },
  proposer: { accountId: '993604559884' },
  offer: { id: 'offer-uovnpk2f6jq7s' },
})
const ENDED = anEvent('Purchase Agreement Ended - Proposer', {
  agreement: { id: 'agmt-2neh000000000000000000000', status: 'CANCELLED' },
  acceptor: { accountId: '782858285006' },
  proposer: { accountId: '993604559884' },
  resaleAuthorization: { id: null },
})

describe('messages of SNS', () => {
  it.each([
    ['subscribe-success', 'access_granted'],
    ['subscribe-fail', 'access_refused'],
    ['unsubscribe-pending', 'access_withdrawn'],
    ['unsubscribe-success', 'access_closed'],
    ['entitlement-updated', 'entitlements_changed'],
    ['something-new', 'unknown'],
    ['__proto__', 'unknown'],
    ['toString', 'unknown'],
  ])('%s means %s', (action, kind) => {
    expect(fromSns({ action, ...CUSTOMER })).toMatchObject({
      id: 'message-1',
      channel: 'sns',
      occurredAt: AT,
      name: action,
      kind,
      customerIdentifier: 'ifAPi5AcF3',
      productCode: 'n0123456789012345678901234',
    })
  })

  it('say as text whether there is a free trial', () => {
    const message = { action: 'subscribe-success', ...CUSTOMER, 'offer-identifier': 'offer-abcexample123' }
    expect(fromSns({ ...message, isFreeTrialTermPresent: 'true' })).toMatchObject({
      freeTrial: true,
      offerId: 'offer-abcexample123',
    })
    expect(fromSns({ ...message, isFreeTrialTermPresent: 'false' }).freeTrial).toBe(false)
    expect(fromSns({ ...message, isFreeTrialTermPresent: 'yes' }).freeTrial).toBeUndefined()
    expect(fromSns(message).freeTrial).toBeUndefined()
  })

  it('that do not say of whom they speak are for a person to see', () => {
    for (const message of [
      { action: 'subscribe-success', 'product-code': 'x' },
      { action: 'subscribe-success', 'customer-identifier': 'x' },
      { action: 'unsubscribe-success', ...CUSTOMER, 'customer-identifier': 7 },
    ]) {
      expect(fromSns(message).kind).toBe('unknown')
    }
  })

  it('take id and time of the envelope that they come in', () => {
    const message = readSnsMessage({
      Type: 'Notification',
      MessageId: 'sns-1',
      TopicArn: 'arn:aws:sns:us-east-1:287250355862:aws-mp-subscription-notification-x',
      Message: JSON.stringify({ action: 'subscribe-success', ...CUSTOMER }),
      Timestamp: '2026-11-20T23:00:00.250Z',
    })
    expect(readSnsNotification(message, 'sns')).toMatchObject({
      id: 'sns-1',
      occurredAt: AT + 250,
      kind: 'access_granted',
    })
  })
})

describe('events of EventBridge', () => {
  it('reads the agreement as it was captured, its end of the year 9999 as none', () => {
    expect(fromEventBridge(CREATED)).toMatchObject({
      id: '6b6b2f3c-59e8-4e2b-9a64-0d3a1c2e7a11',
      channel: 'eventbridge',
      kind: 'agreement_created',
      name: 'Purchase Agreement Created - Proposer',
      occurredAt: Date.UTC(2026, 7, 20, 14, 23, 22),
      agreementId: 'agmt-2neh000000000000000000000',
      agreementStatus: 'ACTIVE',
      intent: 'NEW',
      acceptedAt: Date.UTC(2026, 7, 20, 14, 23, 11, 13),
      startsAt: Date.UTC(2026, 7, 20, 14, 23, 11, 13),
      endsAt: undefined,
      customerAwsAccountId: '782858285006',
      proposerAccountId: '993604559884',
      offerId: 'offer-uovnpk2f6jq7s',
      throughPartner: false,
      licenseArn: undefined,
      productCode: undefined,
    })
  })

  it('reads the license as it was captured', () => {
    expect(fromEventBridge(LICENSED)).toMatchObject({
      kind: 'access_granted',
      agreementId: 'agmt-2neh000000000000000000000',
      licenseArn: LICENSE,
      productCode: '74az0btybm649octamy0sktos',
      productId: 'prod-k35yywhyj4eqg',
      customerAwsAccountId: '782858285006',
      throughPartner: false,
    })
    expect(
      fromEventBridge({ ...LICENSED, 'detail-type': 'License Deprovisioned - Manufacturer' }),
    ).toMatchObject({
      kind: 'access_withdrawn',
      licenseArn: LICENSE,
    })
  })

  it('reads the end as it was captured, without an offer', () => {
    expect(fromEventBridge(ENDED)).toMatchObject({
      kind: 'agreement_ended',
      agreementStatus: 'CANCELLED',
      offerId: undefined,
    })
  })

  it('reads what renewals and amendments add', () => {
    const renewed = anEvent('Purchase Agreement Created - Proposer', {
      agreement: {
        id: 'agmt-new',
        intent: 'RENEW',
        previousAgreementId: 'agmt-old',
        startTime: '2027-01-01T00:00:00Z',
        endTime: '2028-01-01T00:00:00Z',
      },
      product: { id: 'prod-k35yywhyj4eqg', title: 'Acme' },
    })
    expect(fromEventBridge(renewed)).toMatchObject({
      intent: 'RENEW',
      previousAgreementId: 'agmt-old',
      productId: 'prod-k35yywhyj4eqg',
      endsAt: Date.UTC(2028, 0),
    })
    const amended = anEvent('Purchase Agreement Amended - Manufacturer', {
      agreement: { id: 'agmt-new', intent: 'AMEND', autoRenewalEnabled: true },
      renewalSummary: { lockoutStartTime: '2027-12-01T00:00:00Z', disabledBy: null },
    })
    expect(fromEventBridge(amended)).toMatchObject({ kind: 'agreement_amended', intent: 'AMEND' })
  })

  it('tells what a channel partner sold: we are told as manufacturer only', () => {
    for (const word of ['Created', 'Amended', 'Ended']) {
      const event = { ...CREATED, 'detail-type': `Purchase Agreement ${word} - Manufacturer` }
      expect(fromEventBridge(event).throughPartner).toBe(true)
    }
    const partner = { ...LICENSED.detail, proposer: { accountId: '555566667777' } }
    expect(fromEventBridge({ ...LICENSED, detail: partner }).throughPartner).toBe(true)
    const { proposer: _, ...silent } = LICENSED.detail as Record<string, unknown>
    expect(fromEventBridge({ ...LICENSED, detail: silent }).throughPartner).toBeUndefined()
  })

  it.each([
    'Purchase Agreement Advisory Issued - Manufacturer',
    'Purchase Agreement Advisory Resolved - Manufacturer',
    'Purchase Agreement Ending - Proposer',
    'Purchase Agreement Renewal Terms Finalized - Proposer',
    'Renewal Terms Finalized - Proposer',
    'Renewal Upcoming - Proposer',
    'Agreement Cancellation Request Pending Approval - Proposer',
    'Agreement Cancellation Request Approved - Acceptor',
    'Agreement Cancellation Request Rejected - Manufacturer',
    'Agreement Cancellation Request Cancelled - Proposer',
    'Agreement Cancellation Request Validation Failed - Proposer',
    'Purchase Agreement Billing Adjustment Completed - Proposer',
    'Purchase Agreement Billing Adjustment Failed - Proposer',
    'Spend Threshold Reached - Manufacturer',
    'Vet Succeeded - Manufacturer',
    'Vet Failed - Manufacturer',
    // Of a product that this account has bought.
    'Purchase Agreement Created - Acceptor',
    'License Updated - Acceptor',
    'License Deprovisioned - Acceptor',
  ])('%s is a notice: nothing follows for access', (detailType) => {
    const event = fromEventBridge({ ...LICENSED, 'detail-type': detailType })
    expect(event).toMatchObject({ kind: 'notice', name: detailType })
    expect(agreementKeyOf(event)).toBeUndefined()
  })

  it('reads events of the catalog, whose keys are capitalised, and of payments as notices', () => {
    const changeSet = {
      source: 'aws.marketplacecatalog',
      resources: [
        'arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/ChangeSet/76yesvf8y165pa4f98td2crtg',
      ],
      detail: {
        requestId: 'r',
        Catalog: 'AWSMarketplace',
        ChangeSetId: '76yesvf8y165pa4f98td2crtg',
        FailureCode: 'CLIENT_ERROR',
      },
    }
    for (const type of [
      'Change Set Succeeded',
      'Change Set Failed',
      'Change Set Cancelled',
      'Offer Released',
      'OfferSet Released',
      'Products Security Report Created',
    ])
      expect(fromEventBridge({ ...anEvent(type, {}), ...changeSet }).kind).toBe('notice')
    expect(fromEventBridge(anEvent('Disbursement Paused', {}, { source: 'aws.marketplace' })).kind).toBe(
      'notice',
    )
  })

  it('reads a cancellation request, which says elsewhere what it is about', () => {
    const event = anEvent(
      'Agreement Cancellation Request Approved - Proposer',
      {
        agreement: {
          id: 'agmt-1',
          acceptorId: '782858285006',
          productId: 'prod-k35yywhyj4eqg',
          offerId: 'offer-1',
        },
        agreementCancellationRequest: { id: 'acr-1', reasonCode: 'OTHER', statusCode: 'APPROVED' },
      },
      { resources: [] },
    )
    expect(fromEventBridge(event)).toMatchObject({
      kind: 'notice',
      agreementId: 'agmt-1',
      productId: 'prod-k35yywhyj4eqg',
      customerAwsAccountId: '782858285006',
    })
  })

  it.each([
    ['a detail-type that nobody knows', { 'detail-type': 'License Suspended - Manufacturer' }],
    ['a role that nobody knows', { 'detail-type': 'License Updated - Auditor' }],
    ['a known detail-type of somebody else', { source: 'com.example.shop' }],
    ['a known detail-type of another service', { source: 'aws.marketplacecatalog' }],
    ['a license event without an agreement', { resources: [], detail: { license: { arn: LICENSE } } }],
  ])('keeps %s as unknown', (_, change) => {
    expect(fromEventBridge({ ...LICENSED, ...change }).kind).toBe('unknown')
  })

  it('finds the agreement in the resources where the detail does not name it', () => {
    const { agreement: _, ...detail } = LICENSED.detail as Record<string, unknown>
    expect(fromEventBridge({ ...LICENSED, detail })).toMatchObject({
      kind: 'access_granted',
      agreementId: 'agmt-2neh000000000000000000000',
    })
  })

  it('mends a license ARN that lacks its beginning, as documentation prints it', () => {
    const detail = { ...LICENSED.detail, license: { arn: LICENSE.replace('arn:', '') } }
    expect(fromEventBridge({ ...LICENSED, detail }).licenseArn).toBe(LICENSE)
  })

  it('is one event whichever way it comes', () => {
    const text = JSON.stringify(LICENSED)
    const inSns = readSnsMessage({
      Type: 'Notification',
      MessageId: 'sns-1',
      TopicArn: 'arn:aws:sns:us-east-1:993604559884:events',
      Message: text,
      Timestamp: '2026-08-20T14:24:25Z',
    })
    expect(readSnsNotification(inSns, 'sns')).toEqual(fromEventBridge(LICENSED))
  })
})

describe('what cannot be read', () => {
  it.each([
    ['no JSON', 'You have chosen to subscribe'],
    ['no object', '[1]'],
    ['nothing', ''],
    ['neither an action nor a detail-type', '{"hello":"world"}'],
    ['an action that is no text', '{"action":7}'],
    ['an event without an id', JSON.stringify({ ...LICENSED, id: undefined })],
    ['an event whose id is no text', JSON.stringify({ ...LICENSED, id: { toString: 1 } })],
    ['an event without a time', JSON.stringify({ ...LICENSED, time: 'yesterday' })],
    ['a time without a zone', JSON.stringify({ ...LICENSED, time: '2026-08-20T14:23:22' })],
    ['a detail-type with a line break', JSON.stringify({ ...LICENSED, 'detail-type': 'a\nb' })],
  ])('%s', (_, text) => {
    expect(() => readMessage(text, { id: 'message-1', at: AT, channel: 'sns' })).toThrow(
      expect.objectContaining({ code: 'notification.unreadable' }),
    )
  })

  it('says clearly what is missing from an envelope', () => {
    const whole = { Type: 'Notification', MessageId: 'a', TopicArn: 'b', Message: 'c', Timestamp: 'd' }
    for (const field of ['MessageId', 'TopicArn', 'Message', 'Timestamp']) {
      expect(() => readSnsMessage({ ...whole, [field]: undefined })).toThrow(field)
    }
    expect(() => readSnsMessage({ ...whole, Type: 'SubscriptionConfirmation' })).toThrow('Token')
    expect(() => readSnsMessage({ TopicArn: 'b' })).toThrow('Type')
  })
})

describe('hostile JSON', () => {
  const FIELDS = [
    'action',
    'customer-identifier',
    'product-code',
    'isFreeTrialTermPresent',
    'id',
    'time',
    'source',
    'account',
    'detail-type',
    'detail',
    'agreement',
    'license',
    'arn',
    'acceptor',
    'accountId',
    'resources',
    'product',
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'Type',
    'TopicArn',
    'Message',
    'MessageId',
    'Timestamp',
    'startTime',
    'endTime',
  ]
  const anything = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom<unknown>(
      '__proto__',
      '\u0000',
      '\ud800',
      'a'.repeat(5_000),
      1e308,
      -0,
      '9999-01-01T00:00:00Z',
      '0000-01-01T00:00:00Z',
      'License Updated - Manufacturer',
      'aws.agreement-marketplace',
      'subscribe-success',
    ),
  )
  /** As text, since an object literal would not have an own `__proto__`. */
  const object = (value: fc.Arbitrary<unknown>) =>
    fc
      .array(fc.tuple(fc.constantFrom(...FIELDS), value), { maxLength: 12 })
      .map(
        (entries) =>
          `{${entries.map(([name, part]) => `${JSON.stringify(name)}:${JSON.stringify(part)}`).join(',')}}`,
      )
  const nested = object(
    fc.oneof(
      anything,
      object(anything).map((text): unknown => JSON.parse(text)),
    ),
  )
  const changed = fc
    .tuple(fc.constantFrom(CREATED, LICENSED, ENDED), fc.constantFrom(...FIELDS), anything, fc.boolean())
    .map(([event, field, value, inside]) =>
      JSON.stringify(
        inside ? { ...event, detail: { ...event.detail, [field]: value } } : { ...event, [field]: value },
      ),
    )

  it('is read, or refused as unreadable, and nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(nested, changed, fc.string()), (text) => {
        try {
          const json: unknown = JSON.parse(text)
          if (typeof json === 'object' && json !== null && isSnsMessage(json as never))
            readSnsMessage(json as never)
        } catch (error) {
          if (!(error instanceof SyntaxError))
            expect(error).toMatchObject({ code: 'notification.unreadable' })
        }
        let event: MarketplaceEvent
        try {
          event = readMessage(text, { id: 'message-1', at: AT, channel: 'sns' })
        } catch (error) {
          expect(error).toBeInstanceOf(DomainError)
          expect(error).toMatchObject({ code: 'notification.unreadable' })
          return
        }
        expect(event.payload).toBe(text)
        for (const [field, value] of Object.entries(event)) {
          if (field === 'payload') continue
          if (typeof value === 'string') expect(value).toMatch(/^[^\p{Cc}\p{Cs}]{1,2048}$/u)
          else if (typeof value === 'number') expect(Number.isSafeInteger(value)).toBe(true)
          else expect(typeof value === 'boolean' || value === undefined).toBe(true)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('may be as deep or as long as it likes', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const event = readMessage(`{"action":"new","x":${deep}}`, { id: 'a', at: AT, channel: 'sns' })
    expect(event.kind).toBe('unknown')
    const long = { ...LICENSED, detail: { ...LICENSED.detail, agreement: { id: 'a'.repeat(1_000_000) } } }
    expect(fromEventBridge({ ...long, resources: [] }).kind).toBe('unknown')
  })
})
