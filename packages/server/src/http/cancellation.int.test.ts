import { createSimulator, createVirtualClock, type Simulator } from '@tollkeeper/simulator'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DomainError } from '../domain/error.ts'
import { createAwsAgreements } from '../marketplace/aws-agreements.ts'
import { aProduct, aSubscription } from '../storage/contract/fixtures.ts'
import { anApp, NOW } from './app.fixture.ts'

const DAY = 86_400_000
const LICENSED = aProduct({ id: 'acme', productCode: 'acme', productId: 'prod-acme', listing: 'acme' })
const LEGACY = aProduct({
  id: 'old',
  productCode: 'old',
  productId: 'prod-old',
  listing: 'old',
  metering: 'legacy',
})
const NAMELESS = aProduct({ id: 'bare', productCode: 'bare', listing: 'bare', metering: 'legacy' })

let simulator: Simulator
let seller: Awaited<ReturnType<typeof anApp>>
const closing: (() => unknown)[] = []

beforeEach(async () => {
  simulator = await createSimulator({
    clock: createVirtualClock({ start: NOW, running: false }),
    products: [LICENSED, LEGACY, NAMELESS].map(({ productCode, productId, metering }) => ({
      productCode,
      productId: productId ?? 'prod-bare',
      title: productCode,
      metering,
      pricing: 'usage',
      fulfillmentUrl: 'http://127.0.0.1:4000/register',
      dimensions: [{ key: 'requests', price: '0.01' }],
    })),
    settings: { licenseDelayMs: 0, throttling: false },
  })
  const { url } = await simulator.listen()
  const agreements = createAwsAgreements({ mode: 'simulated', endpoint: url, timeoutMs: 5_000, haste: 100 })
  seller = await anApp({ products: [LICENSED, LEGACY, NAMELESS], agreements })
  closing.push(
    () => agreements.close(),
    () => seller.close(),
    () => simulator.close(),
  )
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** Bought at the simulated AWS, and known here by as much as AWS said. */
async function aBuyer(productCode = 'acme', known: 'agreement' | 'license' | 'account' = 'agreement') {
  const bought = simulator.marketplace.subscribe({ productCode, accountId: '782858285006' })
  const subscription = aSubscription({
    product: productCode,
    licenseArn: known === 'account' ? undefined : bought.licenseArn,
    customerAwsAccountId: '782858285006',
    customerIdentifier: bought.customerIdentifier,
    agreementId: known === 'agreement' ? bought.agreementId : undefined,
  })
  const { subscription: created } = await seller.deps.subscriptions.create(subscription, 'test')
  return { id: created.id, agreementId: bought.agreementId }
}

async function cancel(id: string, body: object | null = { reasonCode: 'TEST_AGREEMENT' }, query = '') {
  const response = await seller.app.inject({
    method: 'DELETE',
    url: `/marketplace/subscriptions/${id}${query}`,
    headers: seller.auth,
    ...(body && { payload: body }),
  })
  return { status: response.statusCode, body: response.json() }
}

const sent = () => simulator.marketplace.listCancellationRequests()

describe('cancelling a subscription of AWS Marketplace', () => {
  it('asks the buyer, says who decides and until when, and leaves it as it is', async () => {
    const { id, agreementId } = await aBuyer()
    const { status, body } = await cancel(id, { reasonCode: 'TEST_AGREEMENT', description: 'Only a test' })
    expect(status).toBe(202)
    expect(body).toMatchObject({
      subscription: { id, status: 'active' },
      cancellationRequest: {
        id: expect.stringMatching(/^acr-/),
        agreementId,
        status: 'PENDING_APPROVAL',
        reasonCode: 'TEST_AGREEMENT',
        autoApprovalAt: new Date(NOW + 7 * DAY).toISOString(),
      },
      detail: expect.stringMatching(/decides.*AWS approves it on 2026-11-28.*goes on/),
    })
    expect(sent()).toMatchObject([{ description: 'Only a test', status: 'PENDING_APPROVAL' }])
    expect((await seller.deps.subscriptions.get(id)).accessEnd).toBeUndefined()
    const { items } = await seller.deps.audit.list({ subject: id, limit: 1 })
    expect(items).toMatchObject([
      {
        action: 'subscription.request_cancellation',
        actor: expect.stringMatching(/^key:/),
        after: { agreementId, request: body.cancellationRequest.id },
      },
    ])
    expect(JSON.stringify(items)).not.toContain('Only a test')
  })

  it('asks once, however often it is retried', async () => {
    const { id } = await aBuyer()
    const first = await cancel(id)
    for (const body of [{ reasonCode: 'TEST_AGREEMENT' }, { reasonCode: 'OTHER' }]) {
      const again = await cancel(id, body)
      expect([again.status, again.body.cancellationRequest.id]).toEqual([
        202,
        first.body.cancellationRequest.id,
      ])
    }
    expect(sent()).toHaveLength(1)
  })

  it('asks again after the buyer said no', async () => {
    const { id } = await aBuyer()
    const first = await cancel(id)
    simulator.marketplace.answerCancellationRequest(first.body.cancellationRequest.id, 'reject')
    const second = await cancel(id)
    expect(second.body.cancellationRequest).toMatchObject({ status: 'PENDING_APPROVAL' })
    expect(second.body.cancellationRequest.id).not.toBe(first.body.cancellationRequest.id)
  })

  it('takes the reason from the address as well, and needs one', async () => {
    const { id } = await aBuyer()
    const without = await cancel(id, null)
    expect([without.status, without.body.code]).toEqual([400, 'request.invalid'])
    expect(without.body.detail).toContain('PRODUCT_DISCONTINUED')
    expect(sent()).toEqual([])
    const { status, body } = await cancel(id, null, '?reasonCode=PRODUCT_DISCONTINUED')
    expect([status, body.cancellationRequest.reasonCode]).toEqual([202, 'PRODUCT_DISCONTINUED'])
  })

  it('finds an agreement that AWS has not named by its license', async () => {
    const { id, agreementId } = await aBuyer('acme', 'license')
    expect((await cancel(id)).body.cancellationRequest.agreementId).toBe(agreementId)
  })

  it('finds a legacy customer’s agreement by account and product', async () => {
    const { id, agreementId } = await aBuyer('old', 'account')
    simulator.marketplace.subscribe({ productCode: 'acme', accountId: '782858285006' })
    expect((await cancel(id)).body.cancellationRequest.agreementId).toBe(agreementId)
  })

  it('says what is missing where the agreement cannot be found', async () => {
    const nameless = await cancel((await aBuyer('bare', 'account')).id)
    expect([nameless.status, nameless.body.code]).toEqual([409, 'agreement.unknown'])
    expect(nameless.body.detail).toContain('set `productId` (prod-…) of product bare')
    const alone = aSubscription({ product: 'acme', licenseArn: undefined, customerAwsAccountId: undefined })
    await seller.deps.subscriptions.create(alone, 'test')
    const unknown = await cancel(alone.id)
    expect([unknown.status, unknown.body.code]).toEqual([409, 'agreement.unknown'])
    expect(unknown.body.detail).toContain('ask the buyer to cancel it on AWS Marketplace')
    expect(sent()).toEqual([])
  })

  it('tells what AWS refuses', async () => {
    const { id, agreementId } = await aBuyer()
    const bought = simulator.marketplace.listSubscriptions().find((one) => one.agreementId === agreementId)
    simulator.marketplace.cancel(bought!.id)
    const { status, body } = await cancel(id)
    expect([status, body.code]).toEqual([409, 'agreement.refused'])
    expect(body.detail).toContain('not active')
  })

  it('says what to do where AWS does not permit it', async () => {
    const denied = () => {
      throw new DomainError('marketplace.unavailable', 'AWS does not permit it', {
        details: { permitted: false },
      })
    }
    const agreements = { ...unused, listCancellationRequests: denied }
    const app = await anApp({ products: [LICENSED], agreements })
    closing.push(() => app.close())
    const subscription = aSubscription({ product: 'acme', agreementId: 'agmt-1' })
    await app.deps.subscriptions.create(subscription, 'test')
    const response = await app.app.inject({
      method: 'DELETE',
      url: `/marketplace/subscriptions/${subscription.id}?reasonCode=OTHER`,
      headers: app.auth,
    })
    expect([response.statusCode, response.json().code]).toEqual([409, 'agreement.not_permitted'])
    expect(response.json().detail).toContain('until then ask the buyer')
  })
})

const unused = {
  searchAgreements: never,
  describeAgreement: never,
  getAgreementTerms: never,
  requestCancellation: never,
}
function never(): never {
  throw new Error('not asked for')
}
