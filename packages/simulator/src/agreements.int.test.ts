import {
  type AgreementViewSummary,
  CancelAgreementCancellationRequestCommand,
  DescribeAgreementCommand,
  GetAgreementCancellationRequestCommand,
  GetAgreementEntitlementsCommand,
  GetAgreementTermsCommand,
  ListAgreementCancellationRequestsCommand,
  MarketplaceAgreementClient,
  paginateSearchAgreements,
  SearchAgreementsCommand,
  type SearchAgreementsCommandInput,
  SendAgreementCancellationRequestCommand,
} from '@aws-sdk/client-marketplace-agreement'
import { decode, encode, Tagged } from 'cborg'
import { afterEach, describe, expect, it } from 'vitest'
import { aProduct, aSimulator, utc } from './test-values.ts'

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }
const DAY = 24 * 3_600_000
const cleanups: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

const usage = aProduct({ productCode: 'usage', productId: 'prod-usage' })
const contract = aProduct({
  productCode: 'contract',
  productId: 'prod-contract',
  pricing: 'contractWithConsumption',
  dimensions: [
    { key: 'seats', types: ['Entitled'], price: '120' },
    { key: 'scans', types: ['ExternallyMetered'], price: '0.05' },
  ],
})
const legacy = aProduct({ productCode: 'legacy', productId: 'prod-legacy', metering: 'legacy' })

async function aServedSimulator(settings = {}, region = 'us-east-1') {
  const simulator = await aSimulator({ products: [usage, contract, legacy], settings })
  cleanups.push(() => simulator.close())
  const { url } = await simulator.listen()
  const client = new MarketplaceAgreementClient({ endpoint: url, region, credentials, maxAttempts: 1 })
  cleanups.push(() => client.destroy())
  const { marketplace, clock } = simulator
  const search = async (
    filters: Record<string, string> = {},
    more: Partial<SearchAgreementsCommandInput> = {},
  ) => {
    const all = { PartyType: 'Proposer', AgreementType: 'PurchaseAgreement', ...filters }
    const answer = await client.send(
      new SearchAgreementsCommand({
        catalog: 'AWSMarketplace',
        filters: Object.entries(all).map(([name, value]) => ({ name, values: [value] })),
        ...more,
      }),
    )
    return answer.agreementViewSummaries ?? []
  }
  const ask = (agreementId: string, more = {}) =>
    client.send(new SendAgreementCancellationRequestCommand({ agreementId, reasonCode: 'OTHER', ...more }))
  return { simulator, marketplace, clock, client, search, ask }
}

const ids = (summaries: readonly AgreementViewSummary[]) => summaries.map(({ agreementId }) => agreementId)

describe('SearchAgreements, by the unmodified AWS SDK', () => {
  it('shows what the seller proposed, legacy agreements too', async () => {
    const { marketplace, search } = await aServedSimulator()
    const paid = marketplace.subscribe({ productCode: 'contract', quantities: { seats: 3 } })
    const old = marketplace.subscribe({ productCode: 'legacy', accountId: '444455556666' })
    const [first, second] = await search()
    expect(first).toEqual({
      agreementId: paid.agreementId,
      acceptanceTime: new Date(utc('12:30')),
      startTime: new Date(utc('12:30')),
      endTime: new Date('2027-11-20T12:30:00Z'),
      lastUpdateTime: new Date(utc('12:30')),
      agreementType: 'PurchaseAgreement',
      acceptor: { accountId: '782858285006' },
      proposer: { accountId: '111122223333' },
      proposalSummary: { resources: [{ id: 'prod-contract', type: 'SaaSProduct' }], offerId: paid.offerId },
      status: 'ACTIVE',
      entitlements: [{ licenseArn: paid.licenseArn }],
      initialAgreementId: paid.agreementId,
      endTimeBehaviorType: 'EXPIRE',
      endTimeBehaviorReasonCode: 'ACCEPTOR_RENEW_OPTED_OUT',
    })
    expect(second).toMatchObject({ agreementId: old.agreementId, entitlements: [], status: 'ACTIVE' })
    expect(second?.endTime).toBeUndefined()
  })

  it('does not show what a channel partner sold', async () => {
    const { marketplace, search, client } = await aServedSimulator()
    const { agreementId } = marketplace.subscribe({ productCode: 'usage', channelPartner: '999988887777' })
    expect(await search()).toEqual([])
    await expect(client.send(new DescribeAgreementCommand({ agreementId }))).rejects.toMatchObject({
      name: 'AccessDeniedException',
      reason: 'INVALID_ACCESS',
      $metadata: { httpStatusCode: 403 },
    })
  })

  it('filters by each of the filters, and by several at once', async () => {
    const { marketplace, clock, search } = await aServedSimulator()
    const first = marketplace.subscribe({ productCode: 'contract', autoRenew: true })
    clock.advance(DAY)
    const second = marketplace.subscribe({ productCode: 'usage', accountId: '444455556666' })
    clock.advance(DAY)
    marketplace.cancel(second.id)
    const renewed = marketplace.renew(first.id)
    const found = async (filters: Record<string, string>) => ids(await search(filters))
    const [a, b, c] = [first, second, renewed].map(({ agreementId }) => agreementId)
    expect(await found({ ResourceIdentifier: 'prod-usage' })).toEqual([b])
    expect(await found({ ResourceType: 'SaaSProduct', Status: 'RENEWED' })).toEqual([a])
    expect(await found({ ResourceType: 'AmiProduct' })).toEqual([])
    expect(await found({ AcceptorAccountId: '444455556666' })).toEqual([b])
    expect(await found({ AcceptorAccountId: '444455556666', Status: 'ACTIVE' })).toEqual([])
    expect(await found({ OfferId: second.offerId })).toEqual([b])
    expect(await found({ OfferSetId: 'offerset-x' })).toEqual([])
    expect(await found({ InitialAgreementId: first.agreementId })).toEqual([a, c])
    expect(
      await found({ LicenseArn: `arn:aws:license-manager:us-east-1:1:license/${tail(renewed)}` }),
    ).toEqual([c])
    expect(await found({ BeforeStartTime: '2026-11-21T00:00:00Z' })).toEqual([a])
    expect(await found({ AfterStartTime: '2026-11-22T00:00:00Z' })).toEqual([c])
    expect(await found({ AfterEndTime: '2027-01-01T00:00:00Z' })).toEqual([c])
    expect(await found({ BeforeEndTime: '2027-01-01T00:00:00Z', Status: 'CANCELLED' })).toEqual([b])
    expect(await found({ AfterLastUpdateTime: '2026-11-22T00:00:00Z' })).toEqual([a, b, c])
    expect(await found({ BeforeLastUpdateTime: '2026-11-22T00:00:00Z' })).toEqual([])
    expect(await found({ EndTimeBehaviorType: 'EXPIRE' })).toEqual([c])
    expect(await found({ EndTimeBehaviorReasonCode: 'ACCEPTOR_RENEW_OPTED_OUT' })).toEqual([c])
    expect(await found({ EndTimeBehaviorType: 'RENEW' })).toEqual([])
  })

  it('sorts by end, start or last change, and comes in pages that stay right while agreements come', async () => {
    const { marketplace, clock, search, client } = await aServedSimulator()
    const long = marketplace.subscribe({ productCode: 'contract', termMonths: 24 })
    const endless = marketplace.subscribe({ productCode: 'usage' })
    clock.advance(DAY)
    const short = marketplace.subscribe({ productCode: 'contract', termMonths: 1 })
    clock.advance(DAY)
    marketplace.amend(long.id, { seats: 9 })
    const sorted = async (sortBy: string, sortOrder: 'ASCENDING' | 'DESCENDING') =>
      ids(await search({}, { sort: { sortBy, sortOrder } }))
    const [a, b, c] = [long, endless, short].map(({ agreementId }) => agreementId)
    expect(ids(await search())).toEqual([c, a, b])
    expect(await sorted('EndTime', 'DESCENDING')).toEqual([b, a, c])
    expect(await sorted('StartTime', 'ASCENDING')).toEqual([a, b, c])
    expect(await sorted('LastUpdateTime', 'DESCENDING')).toEqual([a, c, b])

    const filters = [
      { name: 'PartyType', values: ['Proposer'] },
      { name: 'AgreementType', values: ['PurchaseAgreement'] },
    ]
    const seen: unknown[] = []
    for await (const page of paginateSearchAgreements({ client, pageSize: 1 }, { filters })) {
      seen.push(...ids(page.agreementViewSummaries ?? []))
      if (seen.length === 1)
        marketplace.subscribe({ productCode: 'contract', termMonths: 1, startAt: utc('00:00') })
    }
    expect(seen).toEqual([c, a, b])
  })

  it.each([
    [{}, { filters: [{ name: 'PartyType', values: ['Proposer'] }] }, 'UNSUPPORTED_FILTERS'],
    [{}, { filters: [{ name: 'AgreementType', values: ['PurchaseAgreement'] }] }, 'MISSING_PARTY_TYPE'],
    [{ AgreementType: 'VendorInsightsAgreement' }, {}, 'INVALID_AGREEMENT_TYPE'],
    [{ Colour: 'red' }, {}, 'INVALID_FILTER_NAME'],
    [{ Status: 'BROKEN' }, {}, 'INVALID_FILTER_VALUES'],
    [{ AfterEndTime: 'soon' }, {}, 'INVALID_FILTER_VALUES'],
    [{ PartyType: 'Acceptor', AcceptorAccountId: '444455556666' }, {}, 'UNSUPPORTED_FILTERS'],
    [{ PartyType: 'Acceptor', ResourceType: 'SaaSProduct', Status: 'ACTIVE' }, {}, 'UNSUPPORTED_FILTERS'],
    [{ PartyType: 'Acceptor' }, { sort: { sortBy: 'StartTime' } }, 'INVALID_SORT_BY'],
    [{}, { sort: { sortBy: 'Colour' } }, 'INVALID_SORT_BY'],
    [{}, { maxResults: 51 }, 'INVALID_MAX_RESULTS'],
    [{}, { maxResults: 0 }, 'INVALID_MAX_RESULTS'],
    [{}, { nextToken: 'made-up' }, 'INVALID_NEXT_TOKEN'],
    [{}, { catalog: 'Elsewhere' }, 'INVALID_CATALOG'],
  ])('refuses filters %j with %j for the reason %s', async (filters, more, reason) => {
    const { search } = await aServedSimulator()
    await expect(search(filters as Record<string, string>, more as object)).rejects.toMatchObject({
      name: 'ValidationException',
      reason,
      fields: [{ name: expect.any(String), message: expect.any(String) }],
      requestId: expect.any(String),
      $metadata: { httpStatusCode: 400 },
    })
  })

  it('has nothing for the seller as a buyer, whose filters it takes', async () => {
    const { marketplace, search } = await aServedSimulator()
    marketplace.subscribe({ productCode: 'contract' })
    const filters = { PartyType: 'Acceptor', ResourceIdentifier: 'prod-contract', Status: 'ACTIVE' }
    expect(await search({ ...filters, AfterEndTime: '2026-11-20T00:00:00Z' })).toEqual([])
  })

  it('is throttled with 429 above five calls a second', async () => {
    const { search } = await aServedSimulator({ throttling: true })
    for (let calls = 0; calls < 5; calls++) await search()
    await expect(search()).rejects.toMatchObject({
      name: 'ThrottlingException',
      $metadata: { httpStatusCode: 429 },
    })
  })

  it('is in us-east-1 only', async () => {
    const { search } = await aServedSimulator({}, 'eu-west-1')
    await expect(search()).rejects.toMatchObject({ name: 'InvalidSignatureException' })
  })
})

it('speaks CBOR too, with tagged timestamps', async () => {
  const { simulator, marketplace } = await aServedSimulator()
  const { agreementId } = marketplace.subscribe({ productCode: 'usage' })
  const reply = await simulator.handleAws({
    target: 'AWSMPCommerceService_v20200301.DescribeAgreement',
    region: 'us-east-1',
    contentType: 'application/cbor',
    body: encode({ agreementId }),
  })
  if (reply.kind === 'cut') throw new Error('cut')
  expect(decode(reply.body as Uint8Array, { tags: Tagged.preserve(1) })).toMatchObject({
    agreementId,
    startTime: { tag: 1, value: utc('12:30') / 1000 },
    endTime: null,
  })
})

describe('one agreement', () => {
  it('is described with its price and what happens at its end', async () => {
    const { marketplace, client } = await aServedSimulator()
    const { agreementId, offerId } = marketplace.subscribe({
      productCode: 'contract',
      quantities: { seats: 3 },
      autoRenew: true,
    })
    const { $metadata: _, ...described } = await client.send(new DescribeAgreementCommand({ agreementId }))
    expect(described).toEqual({
      agreementId,
      acceptor: { accountId: '782858285006' },
      proposer: { accountId: '111122223333' },
      startTime: new Date(utc('12:30')),
      endTime: new Date('2027-11-20T12:30:00Z'),
      acceptanceTime: new Date(utc('12:30')),
      agreementType: 'PurchaseAgreement',
      estimatedCharges: { currencyCode: 'USD', agreementValue: '360' },
      proposalSummary: { resources: [{ id: 'prod-contract', type: 'SaaSProduct' }], offerId },
      status: 'ACTIVE',
      initialAgreementId: agreementId,
      endTimeBehavior: { type: 'RENEW', renewalSummary: { offerId } },
    })
  })

  it('has the terms its buyer accepted: contract, usage, renewal and validity', async () => {
    const { marketplace, client } = await aServedSimulator()
    const { agreementId } = marketplace.subscribe({ productCode: 'contract', quantities: { seats: 3 } })
    const { acceptedTerms = [] } = await client.send(new GetAgreementTermsCommand({ agreementId }))
    expect(Object.assign({}, ...acceptedTerms)).toMatchObject({
      legalTerm: { type: 'LegalTerm', documents: [{ type: 'StandardEula', version: '2022-07-14' }] },
      supportTerm: { type: 'SupportTerm' },
      configurableUpfrontPricingTerm: {
        type: 'ConfigurableUpfrontPricingTerm',
        currencyCode: 'USD',
        rateCards: [
          {
            selector: { type: 'Duration', value: 'P12M' },
            rateCard: [{ dimensionKey: 'seats', price: '120' }],
          },
        ],
        configuration: {
          selectorValue: 'P12M',
          dimensions: [{ dimensionKey: 'seats', dimensionValue: 3 }],
        },
      },
      usageBasedPricingTerm: {
        currencyCode: 'USD',
        rateCards: [{ rateCard: [{ dimensionKey: 'scans', price: '0.05' }] }],
      },
      renewalTerm: { configuration: { enableAutoRenew: false } },
      validityTerm: { agreementDuration: 'P12M' },
    })
    const first = await client.send(new GetAgreementTermsCommand({ agreementId, maxResults: 4 }))
    const second = await client.send(
      new GetAgreementTermsCommand({ agreementId, maxResults: 4, nextToken: first.nextToken! }),
    )
    expect([...first.acceptedTerms!, ...second.acceptedTerms!]).toEqual(acceptedTerms)
    expect(second.nextToken).toBeUndefined()
  })

  it('of a free trial shows itself as one by its terms', async () => {
    const { marketplace, client } = await aServedSimulator()
    const trial = marketplace.subscribe({ productCode: 'usage', freeTrial: true, trialDays: 14 })
    const terms = async (agreementId: string) =>
      Object.assign({}, ...(await client.send(new GetAgreementTermsCommand({ agreementId }))).acceptedTerms!)
    expect(await terms(trial.agreementId)).toMatchObject({
      freeTrialPricingTerm: {
        duration: 'P14D',
        grants: [{ dimensionKey: 'api_requests' }, { dimensionKey: 'users' }],
      },
    })
    expect(await terms(marketplace.replace(trial.id).agreementId)).not.toHaveProperty('freeTrialPricingTerm')
  })

  it('shows how far its entitlement is', async () => {
    const { marketplace, clock, client } = await aServedSimulator({ licenseDelayMs: 72_000 })
    const entitlement = async (agreementId: string) =>
      (await client.send(new GetAgreementEntitlementsCommand({ agreementId }))).agreementEntitlements?.[0]
    const { id, agreementId, licenseArn } = marketplace.subscribe({
      productCode: 'contract',
      startAt: utc('15:00'),
    })
    expect(await entitlement(agreementId)).toEqual({
      resource: { id: 'prod-contract', type: 'SaaSProduct' },
      status: 'SCHEDULED',
      statusReasonCode: 'FUTURE_START_DATE',
      licenseArn,
    })
    clock.set(utc('15:00'))
    expect(await entitlement(agreementId)).toMatchObject({
      status: 'PENDING',
      statusReasonCode: 'PROVISIONING_IN_PROGRESS',
    })
    clock.advance(72_000)
    expect(await entitlement(agreementId)).toMatchObject({
      status: 'PROVISIONED',
      statusReasonCode: 'AGREEMENT_ACTIVE',
    })
    marketplace.suspend(id, true)
    expect(await entitlement(agreementId)).toMatchObject({ statusReasonCode: 'ACCOUNT_SUSPENDED' })
    marketplace.suspend(id, false)
    marketplace.cancel(id)
    clock.advance(31_000)
    expect(await entitlement(agreementId)).toMatchObject({
      status: 'DEPROVISIONED',
      statusReasonCode: 'AGREEMENT_INACTIVE',
    })
    const failed = marketplace.subscribe({ productCode: 'usage', fail: true })
    clock.advance(72_000)
    expect(await entitlement(failed.agreementId)).toMatchObject({
      status: 'FAILED',
      statusReasonCode: 'INVALID_PAYMENT_INSTRUMENT',
    })
  })

  it('whose payment failed is terminated when it should have been licensed', async () => {
    const { clock, marketplace, search } = await aServedSimulator({ licenseDelayMs: 72_000 })
    marketplace.subscribe({ productCode: 'usage', fail: true })
    expect(await search()).toMatchObject([{ status: 'ACTIVE', lastUpdateTime: new Date(utc('12:30')) }])
    clock.advance(72_000)
    const at = new Date(utc('12:30') + 72_000)
    expect(await search()).toMatchObject([{ status: 'TERMINATED', lastUpdateTime: at }])
    expect(await search({ Status: 'ACTIVE' })).toEqual([])
  })

  it('that nobody knows is not found', async () => {
    const { client } = await aServedSimulator()
    for (const command of [
      new DescribeAgreementCommand({ agreementId: 'agmt-nobody' }),
      new GetAgreementTermsCommand({ agreementId: 'agmt-nobody' }),
    ]) {
      await expect(client.send(command as DescribeAgreementCommand)).rejects.toMatchObject({
        name: 'ResourceNotFoundException',
        resourceId: 'agmt-nobody',
        resourceType: 'Agreement',
        $metadata: { httpStatusCode: 404 },
      })
    }
    await expect(client.send(new DescribeAgreementCommand({ agreementId: '' }))).rejects.toMatchObject({
      name: 'ValidationException',
      reason: 'INVALID_AGREEMENT_ID',
    })
  })
})

describe('a cancellation request', () => {
  const aPendingRequest = async () => {
    const served = await aServedSimulator()
    const subscription = served.marketplace.subscribe({ productCode: 'usage' })
    const { agreementId } = subscription
    const sent = await served.ask(agreementId, { description: 'A test', clientToken: 'token-1' })
    const about = { agreementId, agreementCancellationRequestId: sent.agreementCancellationRequestId! }
    const read = async () => {
      const { $metadata: _, ...answer } = await served.client.send(
        new GetAgreementCancellationRequestCommand(about),
      )
      return answer
    }
    return { ...served, subscription, sent, about, read }
  }

  it('waits for the buyer, and ends the agreement once approved', async () => {
    const { marketplace, clock, subscription, sent, about, read } = await aPendingRequest()
    expect(await read()).toEqual({
      ...about,
      status: 'PENDING_APPROVAL',
      reasonCode: 'OTHER',
      description: 'A test',
      createdAt: new Date(utc('12:30')),
      updatedAt: new Date(utc('12:30')),
    })
    expect(sent.agreementCancellationRequestId).toMatch(/^acr-[a-z0-9]{25}$/)
    clock.advance(DAY)
    marketplace.answerCancellationRequest(about.agreementCancellationRequestId, 'approve')
    expect(await read()).toMatchObject({ status: 'APPROVED', updatedAt: new Date(utc('12:30') + DAY) })
    expect(marketplace.getSubscription(subscription.id)).toMatchObject({
      state: 'ending',
      end: { reason: 'CANCELLED', endedAt: utc('12:30') + DAY },
    })
  })

  it('is approved by itself after seven days', async () => {
    const { marketplace, clock, subscription, read } = await aPendingRequest()
    clock.advance(7 * DAY - 1)
    expect((await read()).status).toBe('PENDING_APPROVAL')
    expect(marketplace.getSubscription(subscription.id).state).toBe('licensed')
    clock.advance(10 * DAY)
    expect(await read()).toMatchObject({ status: 'APPROVED', updatedAt: new Date(utc('12:30') + 7 * DAY) })
    expect(marketplace.getSubscription(subscription.id)).toMatchObject({
      state: 'closed',
      end: { reason: 'CANCELLED', endedAt: utc('12:30') + 7 * DAY },
    })
  })

  it('leaves the agreement alone when rejected or withdrawn, and says why', async () => {
    const { marketplace, clock, subscription, client, about, read, ask } = await aPendingRequest()
    const { agreementCancellationRequestId: first } = about
    marketplace.answerCancellationRequest(first, 'reject', 'We still need it')
    expect(await read()).toMatchObject({ status: 'REJECTED', statusMessage: 'We still need it' })
    const second = await ask(about.agreementId)
    const withdraw = new CancelAgreementCancellationRequestCommand({
      agreementId: about.agreementId,
      agreementCancellationRequestId: second.agreementCancellationRequestId!,
      cancellationReason: 'By mistake',
    })
    expect(await client.send(withdraw)).toMatchObject({ status: 'CANCELLED', statusMessage: 'By mistake' })
    await expect(client.send(withdraw)).rejects.toMatchObject({
      name: 'ConflictException',
      resourceType: 'AgreementCancellationRequest',
      $metadata: { httpStatusCode: 409 },
    })
    expect(() => marketplace.answerCancellationRequest(first, 'approve')).toThrow('is REJECTED, not pending')
    clock.advance(8 * DAY)
    expect(marketplace.getSubscription(subscription.id).state).toBe('licensed')
  })

  it('fails where its agreement ends first', async () => {
    const { marketplace, clock, subscription, read } = await aPendingRequest()
    clock.advance(DAY)
    marketplace.cancel(subscription.id)
    expect(await read()).toMatchObject({
      status: 'VALIDATION_FAILED',
      statusMessage: 'Agreement is not in an active state',
      updatedAt: new Date(utc('12:30') + DAY),
    })
  })

  it('is the same request under the same token, and a conflict under another', async () => {
    const { marketplace, about, sent, ask } = await aPendingRequest()
    const again = await ask(about.agreementId, { description: 'A test', clientToken: 'token-1' })
    expect(again.agreementCancellationRequestId).toBe(sent.agreementCancellationRequestId)
    expect(marketplace.listCancellationRequests()).toHaveLength(1)
    for (const other of [{ description: 'Another', clientToken: 'token-1' }, { clientToken: 'token-2' }]) {
      await expect(ask(about.agreementId, other)).rejects.toMatchObject({ name: 'ConflictException' })
    }
  })

  it('is listed by agreement and status, in pages', async () => {
    const { marketplace, client, about, ask } = await aPendingRequest()
    const other = marketplace.subscribe({ productCode: 'legacy' })
    const second = await ask(other.agreementId)
    marketplace.answerCancellationRequest(second.agreementCancellationRequestId!, 'reject')
    const list = async (more = {}) =>
      client.send(new ListAgreementCancellationRequestsCommand({ partyType: 'Proposer', ...more }))
    expect((await list()).items).toMatchObject([
      { ...about, status: 'PENDING_APPROVAL', agreementType: 'PurchaseAgreement', catalog: 'AWSMarketplace' },
      { agreementId: other.agreementId, status: 'REJECTED' },
    ])
    expect((await list({ status: 'REJECTED' })).items).toHaveLength(1)
    expect((await list({ agreementId: about.agreementId })).items).toHaveLength(1)
    expect((await list({ partyType: 'Acceptor' })).items).toEqual([])
    const page = await list({ maxResults: 1 })
    expect((await list({ maxResults: 1, nextToken: page.nextToken })).items).toMatchObject([
      { agreementId: other.agreementId },
    ])
    await expect(list({ partyType: undefined })).rejects.toMatchObject({ reason: 'MISSING_PARTY_TYPE' })
  })

  it('is refused for an agreement that is over, or for no reason', async () => {
    const { marketplace, subscription, about, ask } = await aPendingRequest()
    await expect(ask(about.agreementId, { reasonCode: 'BECAUSE' })).rejects.toMatchObject({
      reason: 'INVALID_REASON_CODE',
    })
    await expect(ask(about.agreementId, { reasonCode: undefined })).rejects.toMatchObject({
      reason: 'MISSING_REASON_CODE',
    })
    marketplace.cancel(subscription.id)
    await expect(ask(about.agreementId)).rejects.toMatchObject({
      name: 'ValidationException',
      reason: 'INACTIVE_AGREEMENT',
    })
  })

  it('opens again, with its agreement, when the clock goes back to before its approval', async () => {
    const { marketplace, clock, subscription, about, read } = await aPendingRequest()
    clock.advance(8 * DAY)
    expect((await read()).status).toBe('APPROVED')
    clock.set(utc('13:00'))
    expect((await read()).status).toBe('PENDING_APPROVAL')
    marketplace.answerCancellationRequest(about.agreementCancellationRequestId, 'reject')
    clock.advance(30 * DAY)
    expect((await read()).status).toBe('REJECTED')
    expect(marketplace.getSubscription(subscription.id).state).toBe('licensed')
  })
})

function tail({ licenseArn = '' }: { licenseArn?: string }): string {
  return licenseArn.slice(licenseArn.lastIndexOf(':') + 1)
}
