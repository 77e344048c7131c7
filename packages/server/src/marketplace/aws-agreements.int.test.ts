import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSimulator, createVirtualClock } from '@tollkeeper/simulator'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  type AgreementFilter,
  type AgreementService,
  type AgreementSummary,
  isNotPermitted,
} from '../domain/subscriptions/agreement-service.ts'
import { type AwsAgreementsOptions, createAwsAgreements } from './aws-agreements.ts'

const NOON = Date.parse('2026-11-20T12:00:00Z')
const DAY = 86_400_000

const closing: (() => unknown)[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  for (const close of closing.splice(0).reverse()) await close()
})

function agreementsAt(endpoint: string | undefined, more: Partial<AwsAgreementsOptions> = {}) {
  const service = createAwsAgreements({ mode: 'simulated', endpoint, timeoutMs: 5_000, haste: 100, ...more })
  closing.push(() => service.close())
  return service
}

async function aMarketplace() {
  const simulator = await createSimulator({
    clock: createVirtualClock({ start: NOON, running: false }),
    products: [
      {
        productCode: 'contract',
        productId: 'prod-contract',
        title: 'Contract',
        metering: 'license',
        pricing: 'contractWithConsumption',
        fulfillmentUrl: 'http://127.0.0.1:4000/register',
        dimensions: [
          { key: 'seats', types: ['Entitled'], price: '120' },
          { key: 'scans', types: ['ExternallyMetered'], price: '0.05' },
        ],
      },
    ],
    settings: { licenseDelayMs: 0, throttling: false },
  })
  closing.push(() => simulator.close())
  const { url } = await simulator.listen()
  return { simulator, marketplace: simulator.marketplace, agreements: agreementsAt(url) }
}

async function found(
  agreements: AgreementService,
  filter: AgreementFilter = {},
): Promise<AgreementSummary[]> {
  const all: AgreementSummary[] = []
  for await (const page of agreements.searchAgreements(filter)) all.push(...page)
  return all
}

/** Answers each call with the next of these; the last one again and again. */
async function aServer(...answers: ((response: ServerResponse) => void)[]) {
  const targets: string[] = []
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      targets.push(String(request.headers['x-amz-target']))
      answers[Math.min(targets.length, answers.length) - 1]!(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, targets }
}

const json = (status: number, body: unknown) => (response: ServerResponse) =>
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body))

describe('the agreements of a seller', () => {
  it('come with all that AWS says of them', async () => {
    const { marketplace, agreements } = await aMarketplace()
    const bought = marketplace.subscribe({ productCode: 'contract', quantities: { seats: 3 } })
    const [summary, ...others] = await found(agreements, { productId: 'prod-contract' })
    expect(others).toEqual([])
    expect(summary).toMatchObject({
      agreementId: bought.agreementId,
      status: 'ACTIVE',
      customerAwsAccountId: bought.accountId,
      productIds: ['prod-contract'],
      offerId: bought.offerId,
      licenseArns: [bought.licenseArn],
      acceptedAt: NOON,
      startsAt: NOON,
      endsAt: Date.parse('2027-11-20T12:00:00Z'),
      updatedAt: NOON,
      initialAgreementId: bought.agreementId,
      endBehavior: 'EXPIRE',
    })
    expect(JSON.parse(summary!.payload)).toMatchObject({ agreementId: bought.agreementId })
  })

  it('come from all pages, in order of their last change', async () => {
    const { simulator, marketplace, agreements } = await aMarketplace()
    const bought: string[] = []
    for (let index = 0; index < 120; index++) {
      bought.push(marketplace.subscribe({ productCode: 'contract' }).agreementId)
      simulator.clock.advance(1_000)
    }
    const pages: number[] = []
    const ids: string[] = []
    for await (const page of agreements.searchAgreements({})) {
      pages.push(page.length)
      ids.push(...page.map(({ agreementId }) => agreementId))
    }
    expect(pages).toEqual([50, 50, 20])
    expect(ids).toEqual(bought)
  })

  it('are found by account, license, status, chain and last change', async () => {
    const { simulator, marketplace, agreements } = await aMarketplace()
    const first = marketplace.subscribe({ productCode: 'contract', accountId: '111111111111' })
    simulator.clock.advance(DAY)
    const second = marketplace.subscribe({ productCode: 'contract', accountId: '222222222222' })
    simulator.clock.advance(DAY)
    const renewed = marketplace.renew(second.id)
    const ids = async (filter: AgreementFilter) =>
      (await found(agreements, filter)).map(({ agreementId }) => agreementId).sort()
    expect(await ids({ customerAwsAccountId: '111111111111' })).toEqual([first.agreementId])
    expect(await ids({ licenseArn: first.licenseArn })).toEqual([first.agreementId])
    expect(await ids({ status: 'RENEWED' })).toEqual([second.agreementId])
    expect(await ids({ updatedAfter: NOON + DAY })).toEqual([second.agreementId, renewed.agreementId].sort())
    expect(await ids({ initialAgreementId: second.agreementId })).toEqual(
      [second.agreementId, renewed.agreementId].sort(),
    )
    expect(await ids({ productId: 'prod-other' })).toEqual([])
  })

  it('have terms: a trial, an end, a renewal', async () => {
    const { marketplace, agreements } = await aMarketplace()
    const trial = marketplace.subscribe({ productCode: 'contract', freeTrial: true })
    const paid = marketplace.subscribe({ productCode: 'contract', autoRenew: true })
    expect(await agreements.getAgreementTerms(trial.agreementId)).toMatchObject({ freeTrial: true })
    expect(await agreements.getAgreementTerms(paid.agreementId)).toMatchObject({
      freeTrial: false,
      autoRenew: true,
      kinds: expect.arrayContaining(['renewalTerm']),
    })
    expect(await agreements.describeAgreement(paid.agreementId)).toMatchObject({
      agreementId: paid.agreementId,
      status: 'ACTIVE',
    })
  })

  it('can be asked to be cancelled, once for one token, and the requests are listed', async () => {
    const { marketplace, agreements } = await aMarketplace()
    const { agreementId } = marketplace.subscribe({ productCode: 'contract' })
    const request = {
      agreementId,
      reasonCode: 'TEST_AGREEMENT',
      description: 'A test',
      clientToken: 'one',
    } as const
    const asked = await agreements.requestCancellation(request)
    expect(asked).toMatchObject({ agreementId, status: 'PENDING_APPROVAL', reasonCode: 'TEST_AGREEMENT' })
    expect((await agreements.requestCancellation(request)).id).toBe(asked.id)
    expect(await agreements.listCancellationRequests(agreementId)).toEqual([asked])
    expect(await agreements.listCancellationRequests('agmt-other')).toEqual([])
  })

  it('that AWS does not know are the caller’s mistake, in AWS’s words', async () => {
    const { agreements } = await aMarketplace()
    const error = await agreements.describeAgreement('agmt-none').catch((caught) => caught)
    expect(error).toMatchObject({
      code: 'request.invalid',
      message: expect.stringContaining('ResourceNotFoundException'),
    })
    expect(isNotPermitted(error)).toBe(false)
  })
})

describe('an answer of AWS', () => {
  it('with words that nobody knows yet is kept as it is', async () => {
    const { endpoint } = await aServer(
      json(200, {
        agreementViewSummaries: [
          {
            agreementId: 'agmt-new',
            status: 'HIBERNATING',
            endTimeBehaviorType: 'HAUNT',
            startTime: 1.5,
            more: 1,
          },
          { agreementId: 'agmt-without-status' },
          'nonsense',
        ],
        nextToken: null,
      }),
    )
    expect(await found(agreementsAt(endpoint))).toMatchObject([
      {
        agreementId: 'agmt-new',
        status: 'HIBERNATING',
        endBehavior: 'HAUNT',
        startsAt: 1_500,
        licenseArns: [],
      },
    ])
  })

  it('takes spellings of one license for one, and the year 9999 for no end', async () => {
    const tail = 'l-9d01d15f86334a8894365cd7350556ff'
    const { endpoint } = await aServer(
      json(200, {
        agreementViewSummaries: [
          {
            agreementId: 'agmt-1',
            status: 'ACTIVE',
            endTime: 253_370_764_800,
            entitlements: [
              { licenseArn: `arn:aws:license-manager::294406891311:license:${tail}` },
              { licenseArn: `aws:license-manager:us-east-1:294406891311:license/${tail}` },
            ],
          },
        ],
      }),
    )
    const [summary] = await found(agreementsAt(endpoint))
    expect(summary?.licenseArns).toHaveLength(1)
    expect(summary?.endsAt).toBeUndefined()
  })

  it('that it is busy is waited for: throttling, errors of its own, pages of a proxy', async () => {
    const { endpoint, targets } = await aServer(
      json(429, { __type: 'ThrottlingException' }),
      json(400, { __type: 'com.amazonaws#ThrottlingException' }),
      json(500, { __type: 'InternalServerException' }),
      (response) => response.writeHead(503).end('<html>busy</html>'),
      json(200, { agreementViewSummaries: [] }),
    )
    expect(await found(agreementsAt(endpoint))).toEqual([])
    expect(targets).toEqual(Array(5).fill('AWSMPCommerceService_v20200301.SearchAgreements'))
  })

  it('that it stays busy ends in an error after six calls', async () => {
    const { endpoint, targets } = await aServer(json(429, { __type: 'ThrottlingException' }))
    await expect(found(agreementsAt(endpoint))).rejects.toMatchObject({
      code: 'marketplace.unavailable',
      message: expect.stringContaining('ThrottlingException'),
    })
    expect(targets).toHaveLength(6)
  })

  it('that we are not permitted is asked for once, and says which permission is missing', async () => {
    const { endpoint, targets } = await aServer(
      json(403, { __type: 'AccessDeniedException', message: 'User is not authorized' }),
    )
    const error = await found(agreementsAt(endpoint)).catch((caught) => caught)
    expect(isNotPermitted(error)).toBe(true)
    expect(error.message).toContain('aws-marketplace:SearchAgreements')
    expect(error.message).toContain('docs/iam.md')
    expect(targets).toHaveLength(1)
  })
})

describe('pretend and real', () => {
  it('never mix: an address that does not fit the mode throws', () => {
    expect(() => agreementsAt('https://agreement-marketplace.us-east-1.amazonaws.com')).toThrow(
      'must be on this machine',
    )
    expect(() => agreementsAt(undefined)).toThrow('needs the simulator')
    expect(() => agreementsAt('http://127.0.0.1:4010', { mode: 'live' })).toThrow(
      'must not be on this machine',
    )
  })

  it('never mix: the environment cannot lead live mode to this machine', async () => {
    const { endpoint, targets } = await aServer(json(200, {}))
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDREAL')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'real')
    vi.stubEnv('AWS_ENDPOINT_URL', endpoint)
    await expect(found(agreementsAt(undefined, { mode: 'live' }))).rejects.toThrow('EndpointNotAllowed')
    expect(targets).toEqual([])
  })

  it('shadow mode asks no buyer to cancel', async () => {
    const asking = agreementsAt(undefined, { mode: 'shadow' }).requestCancellation({
      agreementId: 'agmt-1',
      reasonCode: 'OTHER',
      clientToken: 'one',
    })
    await expect(asking).rejects.toThrow('shadow mode')
  })
})
