import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { DomainError, type DomainErrorCode } from '../packages/server/src/domain/error.ts'
import { PLAIN_PLAN } from '../packages/server/src/domain/plans/plan.ts'
import { PLAIN_LANDING, type Product } from '../packages/server/src/domain/products/product.ts'
import type { Subscription } from '../packages/server/src/domain/subscriptions/subscription.ts'
import { anApp, NOW, PRODUCTS } from '../packages/server/src/http/app.fixture.ts'
import { aSubscription } from '../packages/server/src/storage/contract/fixtures.ts'
import { aFolder } from './a-folder.ts'
import { accessibilityFaults } from './accessibility.ts'
import { openBrowser } from './browser.ts'
import { ask, ROOT, startTollkeeper } from './processes.ts'

/** Git-ignored: for a person to look at. */
const SCREENSHOTS = join(ROOT, 'coverage/screenshots/landing')

/** The last one is 1280 × 1024 at 400 %. */
const VIEWS = [
  { name: 'wide-light', width: 1280, height: 900, colorScheme: 'light' },
  { name: 'wide-dark', width: 1280, height: 900, colorScheme: 'dark' },
  { name: 'phone-light', width: 390, height: 844, colorScheme: 'light' },
  { name: 'zoomed-dark', width: 320, height: 256, colorScheme: 'dark' },
] as const

const LOGO_HOST = 'https://cdn.acme.example'
const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><rect width="40" height="40" rx="8" fill="#222"/><circle cx="20" cy="20" r="10" fill="#ffdd00"/><text x="50" y="27" font-family="sans-serif" font-size="20" font-weight="bold">ACME</text></svg>`

/** A colour that could be read on neither paper as it is, and one that could not on a dark one. */
const ACME: Product = {
  ...PRODUCTS[0],
  title: 'Acme Analytics',
  plans: [{ ...PLAIN_PLAN, id: 'pro', title: 'Professional' }],
  landing: {
    description:
      'Acme Analytics counts what matters to you.\n\nFrom the first event to the last, in every region.',
    logoUrl: `${LOGO_HOST}/logo.svg`,
    accentColor: '#ffdd00',
    supportEmail: 'support@acme.example',
    supportUrl: 'https://acme.example/support',
    loginUrl: 'https://app.acme.example/login',
    nextSteps: 'We write to you within one working day.\n\nYour workspace is ready a few minutes after that.',
    fields: [
      { name: 'name', required: true },
      { name: 'company', required: false },
      { name: 'phone', required: false },
    ],
  },
}
const PLAIN: Product = {
  ...PRODUCTS[1],
  title: 'Plain',
  landing: { ...PLAIN_LANDING, accentColor: '#0a0a2a' },
}

const CUSTOMER = {
  productCode: ACME.productCode,
  customerAwsAccountId: '111122223333',
  customerIdentifier: undefined,
  licenseArn: 'arn:aws:license-manager::294406891311:license:l-abcdef',
}

/** A seller's server on a real socket, and what a test does to it. */
async function aSeller(given: Parameters<typeof anApp>[0] = {}) {
  const seller = await anApp({ products: [ACME, PLAIN], resolve: () => CUSTOMER, ...given })
  onTestFinished(() => seller.close())
  const url = await seller.app.listen({ host: '127.0.0.1', port: 0 })
  return {
    ...seller,
    url,
    /** The address of a buyer whose subscription is as given. */
    async arrival(values: Partial<Subscription>, options: { contact?: boolean; query?: string } = {}) {
      const subscription = aSubscription({ product: 'acme', ...values })
      await seller.deps.subscriptions.create(subscription, 'system')
      const contact = { email: 'ada@example.com', name: 'Ada', company: undefined, phone: undefined }
      if (options.contact)
        await seller.deps.completeRegistration(subscription.id, { ...contact, registeredAt: NOW })
      const ticket = seller.deps.tickets.issue(subscription, NOW)
      return `${url}/l/${subscription.product}?registration=${ticket}${options.query ?? ''}`
    },
  }
}

/** A browser for which the seller's logo is there, and nothing else of the world. */
async function aContext(
  browser: Browser,
  options: { javaScriptEnabled?: boolean } = {},
): Promise<{ context: BrowserContext; complaints: string[]; requested: string[] }> {
  const context = await browser.newContext({ viewport: VIEWS[0], ...options })
  const complaints: string[] = []
  const requested: string[] = []
  await context.route(/^https:/, (route) =>
    route.request().url().startsWith(LOGO_HOST)
      ? route.fulfill({ contentType: 'image/svg+xml', body: LOGO })
      : route.abort(),
  )
  context.on('page', (page) => {
    page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.message}`))
    page.on('console', (message) => {
      // A status of 400 and above is one to the console; that it is the right one is tested elsewhere.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        complaints.push(`${page.url()}: ${message.text()}`)
    })
    page.on('request', (request) => requested.push(request.url()))
  })
  return { context, complaints, requested }
}

it('takes a buyer from Subscribe to a complete registration without any script', async () => {
  const folder = aFolder()
  writeFileSync(
    join(folder, 'tollkeeper.yaml'),
    `mode: simulated
products:
  - id: demo
    title: Demo API
    productCode: demoapi0tollkeeper0000000
    dimensions: [{ key: api_requests, aggregation: count }]
    landing: { supportEmail: help@demo.example, accentColor: "#ff9900" }
`,
  )
  const server = await startTollkeeper(
    ['dev', '--port', '0', '--simulator-port', '0', '--data', join(folder, 'data'), '--json'],
    { cwd: folder, env: { LOG_LEVEL: 'info' } },
  )
  onTestFinished(() => server.stop())
  const { url, storefront, key } = server.ready as { url: string; storefront: string; key: string }
  const { context, complaints } = await aContext(await openBrowser(), { javaScriptEnabled: false })
  const store = await context.newPage()
  await store.goto(storefront)
  await store.getByRole('button', { name: 'Subscribe to Demo API' }).click()
  const setUp = async () => {
    const [page] = await Promise.all([
      context.waitForEvent('page'),
      store.getByRole('button', { name: 'Set up your account' }).click(),
    ])
    await page.waitForLoadState()
    return page
  }

  const page = await setUp()
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Set up Demo API')
  await page.getByLabel('E-mail address').fill('ada@')
  await page.getByLabel('Your name').fill('Ada Lovelace')
  await page.getByRole('button', { name: 'Complete registration' }).click()
  await page.getByRole('link', { name: 'Enter an e-mail address in the form' }).waitFor()
  expect(await page.getByLabel('Your name').inputValue()).toBe('Ada Lovelace')
  await page.getByLabel('E-mail address').fill('ada@example.com')
  await page.getByRole('button', { name: 'Complete registration' }).click()
  await page.getByRole('heading', { name: 'Your registration is complete' }).waitFor()
  expect(page.url(), 'no token and no person in the address').not.toMatch(/token|ada(@|%40)|example/)
  await page.reload()
  await page.getByRole('heading', { name: 'Your registration is complete' }).waitFor()

  // A colleague presses the same button.
  const colleague = await setUp()
  expect(await colleague.getByRole('heading', { level: 1 }).textContent()).toBe(
    'Join your organisation on Demo API',
  )
  expect(await colleague.content()).not.toContain('ada@example.com')
  await colleague.getByLabel('E-mail address').fill('grace@example.com')
  await colleague.getByRole('button', { name: 'Add me as a contact' }).click()
  await colleague.getByRole('heading', { name: 'Your registration is complete' }).waitFor()

  const { items } = await ask<{ items: unknown[] }>(`${url}/marketplace/subscriptions`, { key })
  expect(items, 'one subscription for both').toHaveLength(1)
  const ticket = new URL(page.url()).searchParams.get('registration')!
  for (const hidden of [ticket, 'ada@', 'Lovelace', 'grace@']) expect(server.output()).not.toContain(hidden)
  expect(complaints).toEqual([])
})

it('shows every state of a registration so that everybody can read and use it', async () => {
  const seller = await aSeller()
  const { context, complaints, requested } = await aContext(await openBrowser())
  const page = await context.newPage()
  const states: Readonly<Record<string, string>> = {
    welcome: `${seller.url}/l/acme`,
    'welcome-plain': `${seller.url}/l/other`,
    'form-pending': await seller.arrival({ status: 'pending', plan: 'pro' }),
    'form-plain': await seller.arrival({ status: 'active', product: 'other' }),
    'form-active': await seller.arrival({ status: 'active', termEnd: Date.UTC(2027, 10, 21) }),
    'form-trial': await seller.arrival({ status: 'pending' }, { query: '&offer=free-trial' }),
    'form-suspended': await seller.arrival({ status: 'suspended' }),
    joining: await seller.arrival({ status: 'active' }, { contact: true }),
    'done-pending': await seller.arrival({ status: 'pending' }, { contact: true, query: '&done=1' }),
    'done-active': await seller.arrival({ status: 'active' }, { contact: true, query: '&done=1' }),
    'done-trial': await seller.arrival(
      { status: 'active', freeTrial: true },
      { contact: true, query: '&done=1' },
    ),
  }
  for (const [name, url] of Object.entries(states)) {
    await page.goto(url)
    await look(page, name)
  }
  await page.goto(states['form-pending']!)
  await page.getByLabel('E-mail address').fill('not an address')
  await page.getByLabel('Phone number').fill('call me')
  await page.getByRole('button', { name: 'Complete registration' }).click()
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor()
  await look(page, 'form-errors')

  await page.emulateMedia({ media: 'print' })
  for (const name of ['form-pending', 'done-active']) {
    await page.goto(states[name]!)
    await picture(page, `${name}-print`)
    expect(await page.getByRole('button').count(), 'nothing to press on paper').toBe(0)
    expect(await page.getByText('Reference').isVisible()).toBe(true)
  }
  expect(complaints, 'errors in the browser’s console').toEqual([])
  const origins = new Set(requested.map((at) => new URL(at).origin))
  expect([...origins].sort(), 'the logo, and nothing else of others').toEqual([seller.url, LOGO_HOST])
})

it('can be filled in with a keyboard alone, in the order that it is read in', async () => {
  const seller = await aSeller()
  const { context } = await aContext(await openBrowser())
  const page = await context.newPage()
  await page.goto(await seller.arrival({ status: 'pending' }))
  const focused = () =>
    page.evaluate<string>(
      'document.activeElement.id || document.activeElement.className || document.activeElement.textContent',
    )
  const order = []
  for (let presses = 0; presses < 8; presses++) {
    await page.keyboard.press('Tab')
    order.push(await focused())
  }
  expect(order).toEqual([
    'I already have an account',
    'email',
    'name',
    'company',
    'phone',
    'Complete registration',
    'support@acme.example',
    'support pages',
  ])
  await page.getByLabel('Your name').focus()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor()
  expect(await page.title()).toMatch(/^Error: /)
  expect(await focused(), 'what is wrong is read first').toBe('summary')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  expect(await focused(), 'and leads to its field').toBe('email')
  await page.keyboard.type('ada@example.com')
  await page.keyboard.press('Tab')
  await page.keyboard.type('Ada')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Your registration is complete' }).waitFor()
})

it('says what to do wherever the way is blocked', async () => {
  let fails: DomainErrorCode | undefined
  const seller = await aSeller({
    closedListings: new Map([['closed', 'Acme Classic']]),
    resolve: () => {
      if (fails !== undefined) throw new DomainError(fails, 'in the words of a program')
      return CUSTOMER
    },
  })
  const { context, complaints } = await aContext(await openBrowser())
  const page = await context.newPage()
  /** As AWS Marketplace's page, or another site's, has the browser do. */
  const submit = async (path: string, fields: Readonly<Record<string, string>>) => {
    await page.goto('about:blank')
    const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`)
    await page.setContent(
      `<form method="post" action="${seller.url}${path}">${inputs.join('')}<button>Go</button></form>`,
    )
    const [response] = await Promise.all([page.waitForNavigation(), page.getByRole('button').click()])
    return response?.status()
  }
  const token = { 'x-amzn-marketplace-token': 'a-token' }

  for (const [code, status] of [
    ['registration.token_expired', 400],
    ['registration.token_invalid', 400],
    ['registration.wrong_product', 422],
    ['subscription.ended', 410],
    ['marketplace.unavailable', 503],
    ['ledger.busy', 503],
  ] as const) {
    fails = code
    expect(await submit('/marketplace/register/acme', token), code).toBe(status)
    await look(page, `blocked-${code}`)
  }
  fails = undefined
  expect(await submit('/marketplace/register/acme', {})).toBe(400)
  expect(await submit('/marketplace/register/acme', token)).toBe(200) // after the 303
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Set up Acme Analytics')

  const pending = await seller.arrival({ status: 'pending' })
  const ticket = new URL(pending).searchParams.get('registration')!
  expect(await submit('/l/acme', { registration: ticket, email: 'eve@example.com' })).toBe(403)
  await look(page, 'blocked-form-of-another-site')

  const addresses: Readonly<Record<string, readonly [string, number]>> = {
    closed: [`${seller.url}/l/closed`, 404],
    unknown: [`${seller.url}/l/nowhere`, 404],
    'ticket-cut-off': [pending.slice(0, -5), 400],
    failed: [await seller.arrival({ status: 'failed' }), 410],
    ended: [await seller.arrival({ status: 'cancelled', accessEnd: NOW }), 410],
  }
  for (const [name, [url, status]] of Object.entries(addresses)) {
    expect((await page.goto(url))?.status(), name).toBe(status)
    await look(page, `blocked-${name}`)
  }

  await page.goto(pending)
  for (let count = 0; count < 11; count++) {
    await page.goto(pending)
    await page.getByLabel('E-mail address').fill(`user${count}@example.com`)
    await page.getByLabel('Your name').fill('User')
    await page.getByRole('button', { name: /Complete|Add me/ }).click()
    await page.getByRole('heading', { name: /complete|enough/ }).waitFor()
  }
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('That is enough for now')
  await look(page, 'blocked-too-many-contacts')

  await page.goto(await seller.arrival({ status: 'active' }))
  seller.clock.set(NOW + 3_600_000)
  await page.getByLabel('E-mail address').fill('ada@example.com')
  await page.getByRole('button', { name: 'Complete registration' }).click()
  await page.getByRole('heading', { name: 'This page has expired' }).waitFor()
  await look(page, 'blocked-ticket-expired')
  expect(complaints).toEqual([])
})

/** Takes pictures of a page, and checks that everybody can use it, on each kind of screen. */
async function look(page: Page, name: string): Promise<void> {
  for (const { name: view, width, height, colorScheme } of VIEWS) {
    await page.setViewportSize({ width, height })
    await page.emulateMedia({ colorScheme })
    await picture(page, `${name}-${view}`)
    expect.soft(await accessibilityFaults(page), `${name}, ${view}`).toEqual([])
  }
  await page.setViewportSize(VIEWS[0])
  await page.emulateMedia({ colorScheme: VIEWS[0].colorScheme })
}

async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true })
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true })
}
