import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { aFolder } from './a-folder.ts'
import { accessibilityFaults } from './accessibility.ts'
import { openBrowser } from './browser.ts'
import { marketplaceAt } from './marketplace.ts'
import { ask, eventually, ROOT, startTollkeeper } from './processes.ts'

/** Git-ignored: for a person to look at. */
const SCREENSHOTS = join(ROOT, 'coverage/screenshots')

const VIEWS = [
  { name: 'wide', width: 1280, height: 900, colorScheme: 'light' },
  { name: 'phone', width: 390, height: 844, colorScheme: 'dark' },
] as const

it('shows the way from Subscribe to an accepted record, with a click for each step', async () => {
  const folder = aFolder()
  const server = await startTollkeeper(
    ['dev', '--port', '0', '--simulator-port', '0', '--data', join(folder, 'data'), '--json'],
    { cwd: folder },
  )
  onTestFinished(() => server.stop())
  const { url, storefront, key } = server.ready as { url: string; storefront: string; key: string }
  const browser = await openBrowser()
  const context = await browser.newContext({ viewport: VIEWS[0] })
  const complaints: string[] = []
  const seen: string[] = []
  context.on('page', (page) => {
    page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.message}`))
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(`${page.url()}: ${message.text()}`)
    })
    page.on('request', (request) => seen.push(request.url()))
  })
  const page = await context.newPage()

  await page.goto(storefront)
  await look(page, 'storefront')
  await page.getByRole('button', { name: 'Subscribe to Demo API' }).click()
  await page.getByRole('heading', { name: 'Demo API' }).waitFor()
  await look(page, 'subscription')

  const [landing] = await Promise.all([
    context.waitForEvent('page'),
    page.getByRole('button', { name: 'Set up your account' }).click(),
  ])
  await landing.waitForLoadState()
  expect(landing.url(), 'no token in the address').not.toContain('token')
  await look(landing, 'landing')
  await landing.getByLabel('E-mail address').fill('buyer@example.com')
  await landing.getByRole('button', { name: 'Complete registration' }).click()
  await landing.waitForURL(/done=1/)
  await look(landing, 'registered')

  // AWS says after a minute that access starts.
  await marketplaceAt(storefront).advance('2m')
  await eventually('the subscription is active', async () => {
    await landing.reload()
    return (await landing.locator('dl').textContent())?.includes('Active')
  })
  await look(landing, 'active')

  const use = async (correlationId: string) => {
    const usageTime = new Date(await marketplaceAt(storefront).now()).toISOString()
    return ask(`${url}/meter`, { body: { dimension: 'api_requests', usageTime, correlationId }, key })
  }
  expect(await use('from-the-browser')).toMatchObject({ status: 'accepted' })
  const accepted = () =>
    ask<{ items: object[] }>(`${url}/usage/records?state=accepted`, { key }).then(({ items }) => items)

  for (let hours = 0; hours < 2; hours++) {
    await page.getByRole('button', { name: 'Advance one hour' }).click()
    await page.waitForLoadState()
  }
  const records = await eventually('our side shows the record', async () => {
    const items = await accepted()
    return items.length > 0 && items
  })
  expect(records).toMatchObject([{ dimension: 'api_requests', quantity: 1, state: 'accepted' }])
  await page.getByRole('link', { name: 'Usage and bill' }).click()
  const row = page.getByRole('region', { name: 'Usage records' }).getByRole('row').nth(1)
  expect(await row.textContent()).toMatch(/api_requests1us-east-1/)
  expect(await page.getByRole('region', { name: 'Bill' }).textContent()).toContain('$0.002')
  await look(page, 'usage')

  // The buyer leaves: what was used in the hour in progress is billed once, within AWS's hour.
  for (const id of ['last-1', 'last-2']) await use(id)
  await page.goBack()
  await page.getByRole('button', { name: 'Cancel subscription' }).click()
  await page.waitForLoadState()
  await marketplaceAt(storefront).advance('2m')
  const subscription = async () =>
    (await ask<{ items: { status: string }[] }>(`${url}/marketplace/subscriptions`, { key })).items[0]!
  await eventually('the goodbye begins', async () => (await subscription()).status === 'cancelling')
  await marketplaceAt(storefront).advance('11m')
  const both = await eventually('the last hour is billed', async () => {
    const items = await accepted()
    return items.length > 1 && items
  })
  expect(both).toMatchObject([{ quantity: 2 }, { quantity: 1 }])
  await marketplaceAt(storefront).advance('1h')
  await eventually('the subscription is over', async () => (await subscription()).status === 'cancelled')
  await expect(use('too-late')).rejects.toThrow(/410/)
  expect(await marketplaceAt(storefront).ledger()).toMatchObject([{ quantity: 1 }, { quantity: 2 }])
  await page.reload()
  await look(page, 'cancelled')

  await page.goto(url)
  expect(await page.locator('pre').textContent()).toContain('"dimension": "api_requests",')
  await look(page, 'front')
  await page.goto(`${url}/docs`)
  await page.getByText('Report many uses').first().waitFor()
  await picture(page, 'docs')

  expect(complaints, 'errors in the browser’s console').toEqual([])
  const hosts = new Set(seen.filter((at) => !at.startsWith('data:')).map((at) => new URL(at).hostname))
  expect([...hosts], 'nothing is loaded from elsewhere').toEqual(['127.0.0.1'])
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
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: !name.startsWith('docs') })
}
