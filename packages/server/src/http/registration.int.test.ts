import { describe, expect, it, onTestFinished } from 'vitest'
import { DomainError } from '../domain/error.ts'
import { PLAIN_PLAN } from '../domain/plans/plan.ts'
import { type LandingPage, PLAIN_LANDING } from '../domain/products/product.ts'
import type { Subscription } from '../domain/subscriptions/subscription.ts'
import { aProduct, aSubscription } from '../storage/contract/fixtures.ts'
import { anApp, NOW, PRODUCTS } from './app.fixture.ts'

const TOKEN = 'a+secret/token==of-a-buyer'
const CUSTOMER = {
  productCode: 'acme0code0of0twenty0five0',
  customerAwsAccountId: '111122223333',
  customerIdentifier: undefined,
  licenseArn: 'arn:aws:license-manager::294406891311:license:l-abcdef',
}
const ADA = { email: 'ada@example.com', name: 'Ada Lovelace', company: 'Analytical Engines' }
const EVE = { email: 'eve@example.com', name: 'Eve', company: '' }

type Given = Parameters<typeof anApp>[0]
type Seller = Awaited<ReturnType<typeof anApp>>

async function aSeller(given: Given = {}): Promise<Seller> {
  const seller = await anApp({ resolve: () => CUSTOMER, ...given })
  onTestFinished(() => seller.close())
  return seller
}

/** The first product with what its seller wrote about its landing page. */
function aBrandedSeller(landing: Partial<LandingPage>, title = 'Acme Analytics', given: Given = {}) {
  const product = { ...PRODUCTS[0], title, landing: { ...PLAIN_LANDING, ...landing } }
  return aSeller({ products: [product, PRODUCTS[1]], ...given })
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

function post({ app }: Seller, url: string, fields: string | Record<string, string>, headers = {}) {
  const payload = typeof fields === 'string' ? fields : new URLSearchParams(fields).toString()
  return app.inject({ method: 'POST', url, headers: { ...FORM, ...headers }, payload })
}

/** What AWS Marketplace has a buyer's browser do. */
function setUp(seller: Seller, fields: Record<string, string> = {}, listing = 'acme') {
  return post(seller, `/marketplace/register/${listing}`, { 'x-amzn-marketplace-token': TOKEN, ...fields })
}

/** The address of the landing page, and the ticket in it. */
async function arrive(seller: Seller, fields: Record<string, string> = {}) {
  const { headers } = await setUp(seller, fields)
  const url = String(headers.location)
  return { url, ticket: new URL(url, 'http://x').searchParams.get('registration')! }
}

/** A ticket of a subscription as it is now, however it came to be. */
async function aTicket(seller: Seller, values: Partial<Subscription>) {
  const subscription = aSubscription({ product: 'acme', ...values })
  await seller.deps.subscriptions.create(subscription, 'system')
  return { subscription, ticket: seller.deps.tickets.issue(subscription, NOW) }
}

const send = (seller: Seller, fields: Record<string, string>, headers = {}) =>
  post(seller, '/l/acme', fields, headers)

const contactsOf = async ({ deps }: Seller) => {
  const [subscription] = await deps.subscriptions.findMatching('acme', { licenseArn: CUSTOMER.licenseArn })
  return deps.buyers.listContacts(subscription!.buyer)
}

describe('the fulfilment URL', () => {
  it.each(['GET', 'HEAD'] as const)('answers AWS’s check by %s with 200', async (method) => {
    const { app } = await aSeller()
    expect((await app.inject({ method, url: '/marketplace/register/acme' })).statusCode).toBe(200)
    expect((await app.inject({ method, url: '/marketplace/register/nope' })).statusCode).toBe(404)
  })

  it('resolves the token at once and sends the browser on to the landing page', async () => {
    const seen: string[] = []
    const seller = await aSeller({
      resolve: (token) => {
        seen.push(token)
        return CUSTOMER
      },
    })
    const response = await setUp(seller)
    expect(seen).toEqual([TOKEN]) // decoded once: `+` and `/` are the token's own
    expect(response.statusCode).toBe(303)
    expect(response.headers.location).toMatch(/^\/l\/acme\?registration=[A-Za-z0-9_.-]+$/)
    expect(response.headers['cache-control']).toBe('no-store')
    expect(
      await seller.deps.subscriptions.findMatching('acme', { licenseArn: CUSTOMER.licenseArn }),
    ).toHaveLength(1)
  })

  it('takes the fields that AWS is said to send along, and believes none', async () => {
    const seller = await aSeller()
    const { url } = await arrive(seller, {
      'x-amzn-marketplace-offer-type': 'free-trial',
      'x-amzn-marketplace-agreement-id': 'agmt-of-somebody-else',
      'x-amzn-marketplace-product-id': 'prod-other',
      'x-amzn-marketplace-fulfillment-url': 'https://evil.example',
    })
    expect(url).toMatch(/^\/l\/acme\?registration=[^&]+&offer=free-trial$/)
    const [subscription] = await seller.deps.subscriptions.findMatching('acme', {
      licenseArn: CUSTOMER.licenseArn,
    })
    expect(subscription).toMatchObject({ agreementId: undefined, freeTrial: undefined, product: 'acme' })
    expect((await seller.app.inject({ url })).payload).toContain('Free trial: waiting for AWS Marketplace')
  })

  it('takes no offer type but the one that it knows', async () => {
    expect((await arrive(await aSeller(), { 'x-amzn-marketplace-offer-type': '"><b>' })).url).not.toContain(
      'offer',
    )
  })

  it.each([
    ['registration.token_expired', 400, 'has expired'],
    ['registration.token_invalid', 400, 'did not recognise'],
    ['registration.wrong_product', 422, 'another product'],
    ['subscription.ended', 410, 'has ended'],
    ['marketplace.unavailable', 503, 'does not answer'],
    ['ledger.busy', 503, 'very busy'],
    ['ledger.waiting_for_release', 503, 'very busy'],
  ] as const)('says what to do after %s', async (code, status, words) => {
    const seller = await aSeller({
      resolve: () => {
        throw new DomainError(code, 'in the words of a program')
      },
    })
    const response = await setUp(seller)
    expect(response.statusCode).toBe(status)
    expect(response.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(response.payload).toContain(words)
    expect(response.payload).toContain('Set up your account')
    expect(response.payload).not.toContain('in the words of a program')
    if (status === 503) expect(Number(response.headers['retry-after'])).toBeGreaterThan(0)
  })

  it('does not register a buyer of another product', async () => {
    const seller = await aSeller({
      resolve: () => ({ ...CUSTOMER, productCode: 'other0code0of0twenty0five' }),
    })
    const response = await setUp(seller)
    expect(response.statusCode).toBe(422)
    const matching = seller.deps.subscriptions.findMatching(undefined, { licenseArn: CUSTOMER.licenseArn })
    expect(await matching).toEqual([])
  })

  it.each([
    ['no token', ''],
    ['an empty token', 'x-amzn-marketplace-token='],
    ['two tokens', 'x-amzn-marketplace-token=a&x-amzn-marketplace-token=b'],
    ['too long a token', `x-amzn-marketplace-token=${'a'.repeat(8_193)}`],
  ])('refuses %s', async (_, payload) => {
    const response = await post(await aSeller(), '/marketplace/register/acme', payload)
    expect(response.statusCode).toBe(400)
    expect(response.payload).toContain('Set up your account')
  })

  it('is slowed where one address registers too often', async () => {
    const seller = await aSeller({ elapsed: () => 0 })
    for (let count = 0; count < 60; count++) expect((await setUp(seller)).statusCode).toBe(303)
    const refused = await setUp(seller)
    expect(refused.statusCode).toBe(429)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(refused.payload).toContain('Wait a minute')
  })

  it('shows the token nowhere: no header, no page, no log, not even when AWS’s client quotes it in an error', async () => {
    const failing = await aSeller({
      logRequests: true,
      resolve: (token) => {
        throw new Error(`request {"RegistrationToken":"${token}"} failed`)
      },
    })
    const failed = await setUp(failing)
    expect(failed.statusCode).toBe(500)
    const working = await aSeller({ logRequests: true })
    const registered = await setUp(working)
    const page = await working.app.inject({ url: registered.headers.location! })
    for (const [seller, response] of [
      [failing, failed],
      [working, registered],
      [working, page],
    ] as const) {
      const shown = JSON.stringify([response.headers, response.payload, seller.logged()])
      for (const form of [TOKEN, encodeURIComponent(TOKEN)]) expect(shown).not.toContain(form)
      expect(response.headers['set-cookie']).toBeUndefined()
    }
    expect(failing.logged()).toContain('[redacted]')
  })

  it('uses no token out of an address, and repeats or logs none', async () => {
    const resolved: string[] = []
    const seller = await aSeller({
      logRequests: true,
      resolve: (token) => {
        resolved.push(token)
        return CUSTOMER
      },
    })
    const query = `?x-amzn-marketplace-token=${encodeURIComponent(TOKEN)}`
    const answers = [
      await seller.app.inject({ url: `/marketplace/register/acme${query}` }),
      await seller.app.inject({ url: `/l/acme${query}` }),
      await post(seller, `/marketplace/register/acme${query}`, ''),
    ]
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 400])
    expect(resolved).toEqual([])
    for (const { payload, headers } of answers)
      expect(JSON.stringify([payload, headers, seller.logged()])).not.toContain('of-a-buyer')
  })
})

describe('a listing that is switched off', () => {
  it('says so, and registers nobody', async () => {
    const seller = await aSeller({ closedListings: new Map([['acme', 'Acme <Analytics>']]) })
    for (const response of [
      await seller.app.inject({ url: '/marketplace/register/acme' }),
      await seller.app.inject({ method: 'HEAD', url: '/marketplace/register/acme' }),
      await seller.app.inject({ url: '/l/acme' }),
      await setUp(seller),
      await send(seller, ADA),
    ]) {
      expect(response.statusCode).toBe(404)
      if (response.payload !== '')
        expect(response.payload).toContain('Acme &#60;Analytics&#62; takes no registrations')
    }
    expect(await seller.deps.subscriptions.findMatching('acme', { licenseArn: CUSTOMER.licenseArn })).toEqual(
      [],
    )
  })

  it('may have no name', async () => {
    const seller = await aSeller({ closedListings: new Map([['old-listing', undefined]]) })
    const { statusCode, payload } = await seller.app.inject({ url: '/l/old-listing' })
    expect([statusCode, payload.includes('This product takes no registrations')]).toEqual([404, true])
  })
})

describe('the landing page', () => {
  it('says without a registration what it is for and how to get here', async () => {
    const { app } = await aSeller()
    const { statusCode, payload } = await app.inject({ url: '/l/acme' })
    expect(statusCode).toBe(200)
    expect(payload).toContain('Set up Acme Analytics')
    expect(payload).toContain('Manage subscriptions')
    expect(payload).not.toContain('<form')
    expect((await app.inject({ method: 'HEAD', url: '/l/acme' })).statusCode).toBe(200)
    expect((await app.inject({ url: '/l/nope' })).statusCode).toBe(404)
  })

  it('is guarded: no script, no frame, no cookie, nothing of others, nothing kept', async () => {
    const seller = await aSeller()
    const { url } = await arrive(seller)
    for (const address of ['/l/acme', url, '/l/nope', '/l/acme?registration=x']) {
      const { headers, payload } = await seller.app.inject({ url: address })
      const policy = String(headers['content-security-policy'])
      expect(policy).toMatch(
        /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; base-uri 'none'; form-action '(self|none)'; frame-ancestors 'none'$/,
      )
      expect(headers).toMatchObject({
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'x-robots-tag': 'noindex, nofollow',
      })
      expect(headers['x-frame-options']).toMatch(/^DENY$/i)
      expect(headers['set-cookie']).toBeUndefined()
      expect(payload).not.toMatch(/<script|style="|\son[a-z]+=/)
      expect(payload).toMatch(/<html lang="en">[\s\S]*<main[\s\S]*<h1>/)
    }
  })

  it('lets in its own style, by the hash of just what is there', async () => {
    const { app } = await aBrandedSeller({ accentColor: '#ffdd00' })
    const { headers, payload } = await app.inject({ url: '/l/acme' })
    const style = /<style>([\s\S]*?)<\/style>/.exec(payload)![1]!
    const digest = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(style))).toString('base64')
    expect(headers['content-security-policy']).toContain(`'sha256-${digest}'`)
  })

  it('shows what the seller wrote', async () => {
    const seller = await aBrandedSeller({
      description: 'Counts things.\n\nFast.',
      logoUrl: 'https://cdn.acme.example/logo.svg',
      supportEmail: 'help@acme.example',
      supportUrl: 'https://acme.example/support',
      loginUrl: 'https://app.acme.example/login',
      nextSteps: 'We write within an hour.',
    })
    const { url } = await arrive(seller)
    const { payload, headers } = await seller.app.inject({ url })
    expect(payload).toContain('<p>Counts things.</p><p>Fast.</p>')
    expect(payload).toContain('<a href="mailto:help@acme.example">help@acme.example</a>')
    expect(payload).toContain('<a href="https://acme.example/support">')
    expect(payload).toContain('<a href="https://app.acme.example/login">I already have an account</a>')
    expect(payload).toContain('<p>We write within an hour.</p>')
    expect(payload).toContain('<img src="https://cdn.acme.example/logo.svg" alt="">')
    expect(headers['content-security-policy']).toContain('; img-src https://cdn.acme.example;')
  })

  it('asks for the e-mail address and for what the seller wants to know, nothing about paying', async () => {
    const seller = await aBrandedSeller({
      fields: [
        { name: 'phone', required: true },
        { name: 'company', required: false },
      ],
    })
    const { payload } = await seller.app.inject({ url: (await arrive(seller)).url })
    const inputs = [...payload.matchAll(/<input id="(\w+)"[^>]*>/g)]
    expect(inputs.map(([, name]) => name)).toEqual(['email', 'phone', 'company'])
    expect(inputs.map(([tag]) => / required/.test(tag))).toEqual([true, true, false])
    expect(inputs.map(([tag]) => /autocomplete="([\w-]+)"/.exec(tag)![1])).toEqual([
      'email',
      'tel',
      'organization',
    ])
    for (const [, name] of inputs) expect(payload).toContain(`<label for="${name}">`)
    expect(payload).toContain('>Company (optional)</label>')
    expect(payload).not.toMatch(/card|iban|credit/i)
  })

  it.each([
    [{ status: 'pending' }, '', /<dd>Waiting for AWS Marketplace<p>/],
    [{ status: 'pending', freeTrial: true }, '', /<dd>Free trial: waiting for AWS Marketplace/],
    [{ status: 'active' }, '', /<dd>Active<\/dd>/],
    [{ status: 'active', freeTrial: true }, '', /<dd>Active: free trial<\/dd>/],
    [{ status: 'active' }, '&offer=free-trial', /<dd>Active: free trial<\/dd>/],
    // What AWS says counts more than what a browser says.
    [{ status: 'active', freeTrial: false }, '&offer=free-trial', /<dd>Active<\/dd>/],
    [{ status: 'suspended' }, '', /<dd>On hold<p>/],
    [{ status: 'superseded' }, '', /<dd>Active<p>It is being renewed/],
    [{ status: 'active', termEnd: Date.parse('2027-03-01T00:00:00Z') }, '', /<dd>until 1 March 2027<\/dd>/],
  ] as const)('shows what was bought and its state: %j%s', async (values, query, shown) => {
    const seller = await aSeller()
    const { ticket, subscription } = await aTicket(seller, values)
    const { statusCode, payload } = await seller.app.inject({ url: `/l/acme?registration=${ticket}${query}` })
    expect(statusCode).toBe(200)
    expect(payload).toMatch(shown)
    expect(payload).toContain('<dd>Acme Analytics</dd>')
    expect(payload).toContain(`<code>${subscription.id}</code>`)
  })

  it('names the plan as the seller calls it, and no end that AWS only writes for want of one', async () => {
    const plan = {
      id: 'pro',
      title: 'Professional',
      ...PLAIN_PLAN,
    }
    const seller = await aSeller({ products: [{ ...PRODUCTS[0], plans: [plan] }] })
    const { ticket } = await aTicket(seller, { plan: 'pro', termEnd: Date.parse('9999-12-31T00:00:00Z') })
    const { payload } = await seller.app.inject({ url: `/l/acme?registration=${ticket}` })
    expect(payload).toContain('<dt>Plan</dt><dd>Professional</dd>')
    expect(payload).not.toContain('Current term')
  })

  it.each([
    [{ status: 'cancelling', accessEnd: NOW, finalWindowEnd: NOW }, 'This subscription has ended'],
    [{ status: 'cancelled', accessEnd: NOW }, 'This subscription has ended'],
    [{ status: 'expired', accessEnd: NOW }, 'This subscription has ended'],
    [{ status: 'failed' }, 'did not complete your subscription'],
  ] as const)('takes no details for %j', async (values, words) => {
    const seller = await aSeller()
    const { ticket, subscription } = await aTicket(seller, values)
    const seen = await seller.app.inject({ url: `/l/acme?registration=${ticket}` })
    const sent = await send(seller, { registration: ticket, ...ADA })
    for (const { statusCode, payload } of [seen, sent]) {
      expect(statusCode).toBe(410)
      expect(payload).toContain(words)
      expect(payload).not.toContain('<form')
    }
    expect(await seller.deps.buyers.listContacts(subscription.buyer)).toEqual([])
  })

  it('follows a renewal between the click and the form', async () => {
    const seller = await aSeller()
    const next = await aTicket(seller, {
      id: 'sub_next',
      buyer: 'buy_same',
      customerAwsAccountId: '222222222222',
    })
    const { ticket } = await aTicket(seller, {
      status: 'superseded',
      successor: next.subscription.id,
      customerAwsAccountId: '222222222222',
    })
    expect((await seller.app.inject({ url: `/l/acme?registration=${ticket}` })).payload).toContain('sub_next')
    expect((await send(seller, { registration: ticket, ...ADA })).statusCode).toBe(303)
  })
})

describe('a ticket', () => {
  it('is not taken where it was cut, changed, or is of another listing', async () => {
    const seller = await aSeller()
    const { ticket } = await arrive(seller)
    const query = new URLSearchParams([
      ['registration', ticket],
      ['registration', ticket],
    ])
    for (const url of [
      '/l/acme?registration=',
      '/l/acme?registration=unknown',
      `/l/acme?registration=${ticket.slice(0, -1)}`,
      `/l/other?registration=${ticket}`,
      `/l/acme?${query}`,
      '/l/acme?registration[a]=b&registration=c&registration=d',
      `/l/acme?registration=${'a'.repeat(10_000)}`,
    ]) {
      const { statusCode, payload } = await seller.app.inject({ url })
      expect(statusCode, url).toBe(400)
      expect(payload).toContain('Set up your account')
    }
    expect((await send(seller, ADA)).statusCode).toBe(400)
    expect((await post(seller, '/l/other', { registration: ticket, ...ADA })).statusCode).toBe(400)
  })

  it('lasts an hour, and is renewed by pressing the button again', async () => {
    const seller = await aSeller()
    const { url, ticket } = await arrive(seller)
    seller.clock.set(NOW + 3_599_000)
    expect((await seller.app.inject({ url })).statusCode).toBe(200)
    seller.clock.set(NOW + 3_600_000)
    for (const response of [
      await seller.app.inject({ url }),
      await send(seller, { registration: ticket, ...ADA }),
    ]) {
      expect(response.statusCode).toBe(410)
      expect(response.payload).toContain('Set up your account')
    }
    const again = await arrive(seller)
    expect((await seller.app.inject({ url: again.url })).payload).toContain('<form')
    expect((await send(seller, { registration: again.ticket, ...ADA })).statusCode).toBe(303)
  })

  it('is in no log, nor are the details', async () => {
    const seller = await aSeller({
      logRequests: true,
      completeRegistration: async (id, contact) => {
        throw new Error(`cannot write ${id} ${JSON.stringify(contact)}`)
      },
    })
    const { url, ticket } = await arrive(seller)
    await seller.app.inject({ url })
    await seller.app.inject({ url: `${url}&done=1` })
    await seller.app.inject({ url: `/l/acme?registration=${ticket}x` })
    const sent = await send(seller, { registration: ticket, ...ADA })
    expect(sent.statusCode).toBe(500)
    expect(seller.logged()).toContain('a contact was not stored')
    for (const hidden of [ticket, ADA.email, ADA.name, ADA.company])
      expect(seller.logged()).not.toContain(hidden)
  })
})

describe('the form', () => {
  it('stores who registered, and says so on a page that can be loaded again', async () => {
    const seller = await aSeller()
    const { ticket } = await arrive(seller)
    const sent = await send(seller, { registration: ticket, ...ADA })
    expect(sent.statusCode).toBe(303)
    expect(sent.headers.location).toBe(`/l/acme?registration=${ticket}&done=1`)
    expect(await contactsOf(seller)).toEqual([{ ...ADA, phone: undefined, registeredAt: NOW }])
    for (let times = 0; times < 2; times++) {
      const { statusCode, payload } = await seller.app.inject({ url: sent.headers.location! })
      expect(statusCode).toBe(200)
      expect(payload).toContain('Your registration is complete')
      expect(payload).toContain('What happens next')
      for (const personal of Object.values(ADA)) expect(payload).not.toContain(personal)
    }
  })

  it('is not done before it is sent, whatever the address says', async () => {
    const seller = await aSeller()
    const { payload } = await seller.app.inject({ url: `${(await arrive(seller)).url}&done=1` })
    expect(payload).toContain('<form')
  })

  it('can be left and come back to, with the same address or by the button', async () => {
    const seller = await aSeller()
    const { url } = await arrive(seller)
    expect((await seller.app.inject({ url })).payload).toContain('Complete registration')
    const again = await arrive(seller)
    seller.clock.set(NOW + 1_800_000)
    for (const address of [url, again.url])
      expect((await seller.app.inject({ url: address })).payload).toContain('Complete registration')
    expect(await contactsOf(seller)).toEqual([])
  })

  it('can be sent twice: one contact, one subscription', async () => {
    const seller = await aSeller()
    const { ticket } = await arrive(seller)
    const answers = await Promise.all([1, 2].map(() => send(seller, { registration: ticket, ...ADA })))
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([303, 303])
    expect(await contactsOf(seller)).toHaveLength(1)
  })

  it('greets a second user as joining, takes their details, and shows nothing of the first', async () => {
    const seller = await aSeller()
    await send(seller, { registration: (await arrive(seller)).ticket, ...ADA })
    const { url, ticket } = await arrive(seller)
    const joining = await seller.app.inject({ url })
    expect(joining.statusCode).toBe(200)
    expect(joining.payload).toContain('Join your organisation on Acme Analytics')
    const wrong = await send(seller, { registration: ticket, email: 'eve' })
    expect(wrong.payload).toContain('Join your organisation')
    const done = await send(seller, { registration: ticket, ...EVE })
    const end = await seller.app.inject({ url: done.headers.location! })
    expect(end.payload).toContain('Your registration is complete')
    for (const { payload } of [joining, wrong, end])
      for (const personal of Object.values(ADA)) expect(payload).not.toContain(personal)
    expect((await contactsOf(seller)).map(({ email }) => email).sort()).toEqual([ADA.email, EVE.email])
  })

  it('says what is wrong beside each field and in a list at the top, and keeps what was typed', async () => {
    const seller = await aBrandedSeller({
      fields: [
        { name: 'name', required: true },
        { name: 'phone', required: false },
      ],
    })
    const { ticket } = await arrive(seller, { 'x-amzn-marketplace-offer-type': 'free-trial' })
    const sent = await send(seller, {
      registration: ticket,
      offer: 'free-trial',
      email: 'ada@',
      name: ' ',
      phone: '+44 20 7946 0000',
    })
    expect(sent.statusCode).toBe(422)
    expect(sent.payload).toContain('<title>Error: Set up Acme Analytics')
    expect(sent.payload).toMatch(
      /<section class="summary" tabindex="-1" autofocus[^>]*>[\s\S]*<a href="#email">Enter an e-mail address in the form name@example.com<\/a>[\s\S]*<a href="#name">Enter your name<\/a>/,
    )
    expect(sent.payload).toMatch(
      /<input id="email"[^>]* value="ada@" aria-invalid="true"[^>]* aria-describedby="email-hint email-error"/,
    )
    expect(sent.payload).toMatch(/<input id="phone"[^>]* value="\+44 20 7946 0000" aria-invalid="false"/)
    expect(sent.payload).toContain(`name="registration" value="${ticket}"`)
    expect(sent.payload).toContain('name="offer" value="free-trial"')
    expect(await contactsOf(seller)).toEqual([])
  })

  it('keeps what was typed where it cannot be stored just now', async () => {
    const seller = await aSeller({
      completeRegistration: async () => {
        throw new DomainError('ledger.busy', 'the ledger is busy')
      },
    })
    const sent = await send(seller, { registration: (await arrive(seller)).ticket, ...ADA })
    expect(sent.statusCode).toBe(503)
    expect(Number(sent.headers['retry-after'])).toBeGreaterThan(0)
    expect(sent.payload).toContain('could not be stored just now')
    expect(sent.payload).toContain(`value="${ADA.email}"`)
  })

  it('takes any mail domain and any script', async () => {
    const seller = await aSeller()
    const { ticket } = await arrive(seller)
    for (const email of ['someone@gmail.com', 'someone@outlook.com', 'jürgen@müller.de'])
      expect((await send(seller, { registration: ticket, email, name: '王小明' })).statusCode).toBe(303)
    expect((await contactsOf(seller)).map(({ email }) => email)).toContain('jürgen@xn--mller-kva.de')
  })

  it('may be sent from our own page only, as far as the browser says', async () => {
    const seller = await aSeller({ publicUrl: 'https://billing.acme.example' })
    const { ticket } = await arrive(seller)
    const from = async (headers: Record<string, string>) =>
      (await send(seller, { registration: ticket, ...ADA }, { host: 'internal:4000', ...headers })).statusCode
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site', origin: 'https://billing.acme.example' },
      { origin: 'https://evil.example' },
      { origin: 'https://billing.acme.example.evil.example' },
      { origin: 'nonsense' },
    ])
      expect(await from(headers), JSON.stringify(headers)).toBe(403)
    expect(await contactsOf(seller)).toEqual([])
    for (const headers of [
      { 'sec-fetch-site': 'same-origin', origin: 'null' },
      { 'sec-fetch-site': 'none' },
      { origin: 'https://billing.acme.example' },
      { origin: 'http://internal:4000' },
      { origin: 'null' },
      {},
    ])
      expect(await from(headers), JSON.stringify(headers)).toBe(303)
  })

  it('adds ten contacts an hour for one registration, no more', async () => {
    const seller = await aSeller({ elapsed: () => 0 })
    for (let count = 0; count < 10; count++) {
      const { ticket } = await arrive(seller) // a new ticket is not a new allowance
      const sent = await send(seller, { registration: ticket, email: `user${count}@example.com` })
      expect(sent.statusCode).toBe(303)
    }
    const { ticket } = await arrive(seller)
    expect((await send(seller, { registration: ticket, email: 'not right' })).statusCode).toBe(422)
    const refused = await send(seller, { registration: ticket, email: 'one-more@example.com' })
    expect(refused.statusCode).toBe(429)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(refused.payload).toContain('enough for now')
    expect(await contactsOf(seller)).toHaveLength(10)
    const another = await aTicket(seller, {})
    expect((await send(seller, { registration: another.ticket, ...ADA })).statusCode).toBe(303)
  })

  it('is slowed where one address sends too often', async () => {
    const seller = await aSeller({ elapsed: () => 0 })
    const { ticket } = await arrive(seller)
    const answers = []
    for (let count = 0; count < 61; count++)
      answers.push(await send(seller, { registration: ticket, email: 'x' }))
    expect(answers.slice(0, 60).every(({ statusCode }) => statusCode === 422)).toBe(true)
    expect(answers[60]?.statusCode).toBe(429)
    expect(answers[60]?.headers['content-type']).toContain('text/html')
  })
})

describe('what is sent to do harm', () => {
  const MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(1)>\'--><svg/onload=alert(1)>'

  it('is text wherever it is shown: in each field', async () => {
    const seller = await aBrandedSeller({
      fields: (['name', 'company', 'phone'] as const).map((name) => ({ name, required: false })),
    })
    const { ticket } = await arrive(seller)
    for (const field of ['email', 'name', 'company', 'phone', 'registration', 'offer', 'done']) {
      const { payload } = await send(seller, { registration: ticket, email: 'x', [field]: MARKUP })
      expect(payload, field).not.toMatch(/<script|<img|<svg/)
      const shown = await seller.app.inject({
        url: `/l/acme?registration=${ticket}&${new URLSearchParams({ [field]: MARKUP })}`,
      })
      expect(shown.payload, field).not.toMatch(/<script|<img|<svg/)
    }
    const long = await send(seller, { registration: ticket, email: 'x', name: MARKUP })
    expect(long.payload).toContain('value="&#34;&#62;&#60;script&#62;')
  })

  it('is text wherever it is shown: in the address', async () => {
    const seller = await aSeller()
    for (const url of [
      `/l/${encodeURIComponent(MARKUP)}`,
      `/marketplace/register/${encodeURIComponent(MARKUP)}`,
    ])
      expect((await seller.app.inject({ url })).payload).not.toMatch(/<script|<img|<svg/)
  })

  it('is text wherever it is shown: in the listing’s configuration', async () => {
    const seller = await aBrandedSeller(
      {
        description: MARKUP,
        nextSteps: MARKUP,
        supportEmail: MARKUP,
        supportUrl: 'javascript:alert(1)',
        loginUrl: 'javascript:alert(1)',
        accentColor: '#fff;}</style><script>alert(1)</script>',
        logoUrl: "https://x.example;script-src'unsafe-inline'/x",
      },
      MARKUP,
    )
    const { ticket } = await arrive(seller)
    await send(seller, { registration: ticket, ...ADA })
    for (const url of [
      '/l/acme',
      `/l/acme?registration=${ticket}`,
      `/l/acme?registration=${ticket}&done=1`,
      '/l/acme?registration=x',
    ]) {
      const { payload, headers } = await seller.app.inject({ url })
      expect(payload).not.toMatch(/<script|<img|<svg|javascript:|#fff;}/)
      expect(headers['content-security-policy']).not.toMatch(/script-src|unsafe|img-src/)
    }
  })

  it('adds no header: neither to an answer nor to a mail', async () => {
    const seller = await aSeller()
    const { ticket } = await arrive(seller)
    for (const email of [
      'a@example.com\r\nBcc: eve@example.com',
      'a@example.com\nX: y',
      'a@example.com\u0000',
    ])
      expect((await send(seller, { registration: ticket, email })).statusCode).toBe(422)
    const named = await send(seller, {
      registration: ticket,
      email: 'a@example.com',
      name: 'Ada\r\nBcc: eve@example.com',
    })
    expect(named.statusCode).toBe(303)
    expect((await contactsOf(seller))[0]?.name).toBe('Ada Bcc: eve@example.com')
    const split = await send(seller, { registration: `${ticket}\r\nSet-Cookie: a=b`, ...ADA })
    expect([split.statusCode, split.headers['set-cookie']]).toEqual([400, undefined])
  })

  it('is not taken where a field comes twice', async () => {
    const seller = await aSeller()
    const { ticket } = await arrive(seller)
    for (const payload of [
      `registration=${ticket}&email=a@example.com&email=b@example.com`,
      `registration=${ticket}&registration=${ticket}&email=a@example.com`,
      `registration=${ticket}&email=a@example.com&name=a&name=b`,
    ])
      expect((await post(seller, '/l/acme', payload)).statusCode).toBe(400)
    expect(await contactsOf(seller)).toEqual([])
  })

  it('is not taken by names that mean something to a program', async () => {
    const seller = await aSeller()
    const { ticket } = await arrive(seller)
    const payload = `__proto__=x&constructor=y&toString=z&registration=${ticket}&email=a@example.com`
    expect((await post(seller, '/l/acme', payload)).statusCode).toBe(303)
    expect((await seller.app.inject({ url: '/l/__proto__' })).statusCode).toBe(404)
    expect((await seller.app.inject({ url: '/l/constructor' })).statusCode).toBe(404)
  })

  it('is not taken where it is too large', async () => {
    const seller = await aSeller()
    const { ticket } = await arrive(seller)
    const wide = await send(seller, { registration: ticket, ...ADA, name: 'x'.repeat(201) })
    expect(wide.statusCode).toBe(422)
    for (const url of ['/l/acme', '/marketplace/register/acme']) {
      const huge = await post(seller, url, { registration: ticket, name: 'x'.repeat(20_000) })
      expect(huge.statusCode).toBe(413)
      expect(huge.headers['content-type']).toContain('text/html')
      expect(huge.payload).toContain('Acme Analytics')
    }
  })

  it.each([
    ['application/json', JSON.stringify({ ...ADA, 'x-amzn-marketplace-token': TOKEN })],
    ['text/plain', 'email=a@example.com'],
    [
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="email"\r\n\r\na@example.com\r\n--x--',
    ],
    ['application/xml', '<a/>'],
  ])('is not taken as %s', async (type, payload) => {
    const seller = await aSeller()
    for (const url of ['/l/acme', '/marketplace/register/acme']) {
      const response = await post(seller, url, payload, { 'content-type': type })
      expect(response.statusCode).toBe(415)
      expect(response.headers['content-type']).toContain('text/html')
    }
  })

  it('is not taken by another method', async () => {
    const seller = await aSeller()
    for (const method of ['PUT', 'PATCH', 'DELETE'] as const)
      for (const url of ['/l/acme', '/marketplace/register/acme'])
        expect((await seller.app.inject({ method, url })).statusCode).toBe(405)
  })
})

it('two products of one seller have each their own page', async () => {
  const seller = await aSeller({
    products: [
      PRODUCTS[0],
      aProduct({
        id: 'b',
        title: 'Bee',
        productCode: 'b',
        listing: 'bee',
        landing: { ...PLAIN_LANDING, accentColor: '#aa0000' },
      }),
    ],
  })
  const [acme, bee] = [
    await seller.app.inject({ url: '/l/acme' }),
    await seller.app.inject({ url: '/l/bee' }),
  ]
  expect(bee.payload).toContain('Set up Bee')
  expect(bee.payload).toContain('--accent: #aa0000')
  expect(acme.payload).not.toContain('Bee')
  expect(acme.headers['content-security-policy']).not.toBe(bee.headers['content-security-policy'])
})
