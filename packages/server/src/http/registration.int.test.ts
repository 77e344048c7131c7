import { describe, expect, it } from 'vitest'
import { DomainError } from '../domain/error.ts'
import { anApp } from './app.fixture.ts'

const TOKEN = 'a+secret/token==of-a-buyer'
const CUSTOMER = {
  productCode: 'acme0code0of0twenty0five0',
  customerAwsAccountId: '111122223333',
  customerIdentifier: undefined,
  licenseArn: 'arn:aws:license-manager::294406891311:license:l-abcdef',
}

async function register(
  resolve: NonNullable<Parameters<typeof anApp>[0]>['resolve'],
  given: { payload?: string; listing?: string } = {},
) {
  const seller = await anApp({ ...(resolve !== undefined && { resolve }) })
  const response = await seller.app.inject({
    method: 'POST',
    url: `/marketplace/register/${given.listing ?? 'acme'}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: given.payload ?? new URLSearchParams({ 'x-amzn-marketplace-token': TOKEN }).toString(),
  })
  return { ...seller, response }
}

describe('the fulfilment URL', () => {
  it.each(['GET', 'HEAD'] as const)('answers AWS’s check by %s with 200', async (method) => {
    const { app, close } = await anApp()
    expect((await app.inject({ method, url: '/marketplace/register/acme' })).statusCode).toBe(200)
    expect((await app.inject({ method, url: '/marketplace/register/nope' })).statusCode).toBe(404)
    await close()
  })

  it('registers the buyer and ends on a page under an id of ours', async () => {
    const seen: string[] = []
    const { app, deps, response, close } = await register((token) => {
      seen.push(token)
      return CUSTOMER
    })
    expect(seen).toEqual([TOKEN]) // decoded once: `+` and `/` are the token's own
    expect(response.statusCode).toBe(303)
    expect(response.headers.location).toMatch(/^\/l\/acme\?registration=[A-Za-z0-9_-]{22}$/)
    const [subscription] = await deps.subscriptions.findMatching('acme', { licenseArn: CUSTOMER.licenseArn })
    expect(subscription?.status).toBe('pending')
    const page = await app.inject({ url: response.headers.location! })
    expect(page.statusCode).toBe(200)
    expect(page.payload).toContain('Your subscription is registered')
    await close()
  })

  it('takes the same buyer again', async () => {
    const { app, response, close } = await register(() => CUSTOMER)
    expect(response.statusCode).toBe(303)
    const again = await app.inject({
      method: 'POST',
      url: '/marketplace/register/acme',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ 'x-amzn-marketplace-token': 'token of a colleague' }).toString(),
    })
    expect((await app.inject({ url: again.headers.location! })).payload).toContain('registered already')
    await close()
  })

  it.each([
    ['registration.token_expired', 400, 'Set up your account'],
    ['registration.token_invalid', 400, 'did not recognise'],
    ['marketplace.unavailable', 503, 'a few minutes'],
  ] as const)('says what to do after %s', async (code, status, words) => {
    const { response, close } = await register(() => {
      throw new DomainError(code, 'as AWS says')
    })
    expect(response.statusCode).toBe(status)
    expect(response.headers['content-type']).toContain('text/html')
    expect(response.payload).toContain(words)
    await close()
  })

  it('does not register a buyer of another product', async () => {
    const { response, deps, close } = await register(() => ({
      ...CUSTOMER,
      productCode: 'other0code0of0twenty0five',
    }))
    expect(response.statusCode).toBe(422)
    expect(await deps.subscriptions.findMatching(undefined, { licenseArn: CUSTOMER.licenseArn })).toEqual([])
    await close()
  })

  it.each([
    ['no token', ''],
    ['an empty token', 'x-amzn-marketplace-token='],
    ['two tokens', 'x-amzn-marketplace-token=a&x-amzn-marketplace-token=b'],
  ])('refuses %s', async (_, payload) => {
    const { response, close } = await register(() => CUSTOMER, { payload })
    expect(response.statusCode).toBe(400)
    await close()
  })

  it('is slowed where one address registers too often', async () => {
    const { app, close } = await anApp({ resolve: () => CUSTOMER })
    const post = () =>
      app.inject({
        method: 'POST',
        url: '/marketplace/register/acme',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        payload: 'x-amzn-marketplace-token=a',
      })
    for (let count = 0; count < 60; count++) expect((await post()).statusCode).toBe(303)
    const refused = await post()
    expect(refused.statusCode).toBe(429)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(refused.payload).toContain('wait a minute')
    await close()
  })

  it('shows the token nowhere: no header, no page, no log, not even when AWS’s client quotes it in an error', async () => {
    const failing = await register((token) => {
      throw new Error(`request {"RegistrationToken":"${token}"} failed`)
    })
    expect(failing.response.statusCode).toBe(500)
    const working = await register(() => CUSTOMER)
    const page = await working.app.inject({ url: working.response.headers.location! })
    for (const { response, logged } of [failing, working, { ...working, response: page }]) {
      const shown = JSON.stringify([response.headers, response.payload, logged()])
      for (const form of [TOKEN, encodeURIComponent(TOKEN)]) expect(shown).not.toContain(form)
    }
    expect(failing.logged()).toContain('[redacted]')
    await failing.close()
    await working.close()
  })
})

describe('the landing page', () => {
  it('is guarded: no script, no frame, nothing of others', async () => {
    const { app, close } = await anApp()
    const { headers, payload } = await app.inject({ url: '/l/acme' })
    expect(headers['content-security-policy']).toMatch(/default-src 'none'/)
    expect(headers['content-security-policy']).toMatch(/frame-ancestors 'none'/)
    expect(headers['content-security-policy']).not.toContain('unsafe')
    expect(headers['referrer-policy']).toBe('no-referrer')
    expect(payload).not.toContain('<script')
    expect(payload).toMatch(/<html lang="en">[\s\S]*<main[\s\S]*<h1>/)
    await close()
  })

  it('says nothing about an id it does not know, or of another listing, or one of an hour ago', async () => {
    const { app, clock, response, close } = await register(() => CUSTOMER)
    const location = response.headers.location!
    expect((await app.inject({ url: '/l/acme?registration=unknown' })).payload).toContain('has passed')
    expect((await app.inject({ url: location.replace('acme', 'other') })).payload).toContain('has passed')
    clock.set(clock.now() + 3_600_000)
    expect((await app.inject({ url: location })).payload).toContain('has passed')
    await close()
  })
})
