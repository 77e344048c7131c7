import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createSimulator, createVirtualClock } from '@tollkeeper/simulator'
import type { Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { accessibilityFaults } from './accessibility.ts'
import { openBrowser } from './browser.ts'
import { ROOT } from './processes.ts'

/** Git-ignored: for a person to look at. */
const SCREENSHOTS = join(ROOT, 'coverage/screenshots')

const DAY_MS = 24 * 3_600_000

const VIEWS = [
  { width: 1280, height: 900, colorScheme: 'light' },
  { width: 390, height: 844, colorScheme: 'dark' },
] as const

it('takes a buyer through a contract: trial, paid, more seats, renewal, and the seller’s wish to end it', async () => {
  const clock = createVirtualClock({ start: Date.parse('2026-11-20T12:30:00Z'), running: false })
  const simulator = await createSimulator({
    clock,
    seed: 1,
    settings: { licenseDelayMs: 0, throttling: false },
  })
  onTestFinished(() => simulator.close())
  const { url } = await simulator.listen()
  const page = await (await openBrowser()).newPage()
  const newest = () => simulator.marketplace.listSubscriptions().at(-1)!
  const press = async (name: string) => {
    await page.getByRole('button', { name, exact: true }).click()
    await page.waitForLoadState()
  }

  await page.goto(url)
  const team = page.getByRole('region', { name: 'Demo Team' })
  await team.getByLabel('People').fill('4')
  await team.getByText('More ways to buy').click()
  await team.getByLabel('As a free trial').check()
  await look(page, 'products, with an open form')
  await team.getByRole('button', { name: 'Subscribe to Demo Team' }).click()
  await page.getByRole('heading', { level: 1, name: 'Demo Team' }).waitFor()
  expect(newest()).toMatchObject({ freeTrial: true, quantities: { people: 4, projects: 1 } })

  await press('Convert to paid')
  expect(newest()).toMatchObject({ intent: 'REPLACE', freeTrial: false, quantities: { people: 4 } })
  await page.getByLabel('People').fill('9')
  await press('Change within the agreement')
  await press('Turn renewal on')
  expect(newest()).toMatchObject({ quantities: { people: 9 }, term: { autoRenew: true } })
  await press('Suspend the account')
  await look(page, 'a suspended subscription')
  await press('Reinstate the account')
  await press('Renew now')
  expect(newest()).toMatchObject({ intent: 'RENEW', quantities: { people: 9 }, suspended: false })
  expect(await page.getByRole('link', { name: /^agmt-/ }).count()).toBe(1)

  for (const [answer, state] of [
    ['Reject the cancellation', 'licensed'],
    ['Approve the cancellation', 'ending'],
  ] as const) {
    await simulator.handleAws({
      target: 'AWSMPCommerceService_v20200301.SendAgreementCancellationRequest',
      region: 'us-east-1',
      body: JSON.stringify({ agreementId: newest().agreementId, reasonCode: 'TEST_AGREEMENT' }),
    })
    await page.reload()
    await look(page, 'a request to cancel')
    if (answer === 'Reject the cancellation') await page.getByLabel('Why not').fill('We need it')
    await press(answer)
    expect(newest().state).toBe(state)
  }
  expect(await page.getByRole('region', { name: 'Requests to cancel' }).textContent()).toContain('We need it')
  await look(page, 'an ending subscription')

  clock.advance(DAY_MS)
  await page.goto(url)
  const suite = page.getByRole('region', { name: 'Demo Suite' })
  await suite.getByRole('combobox', { name: 'Term' }).selectOption('1 month')
  await suite.getByText('More ways to buy').click()
  await suite.getByLabel('Renews at the end of its term').check()
  await suite.getByLabel('Through a channel partner').check()
  await suite.getByRole('button', { name: 'Subscribe to Demo Suite' }).click()
  await page.getByRole('heading', { level: 1, name: 'Demo Suite' }).waitFor()
  expect(await page.getByText('a channel partner').count()).toBe(1)
  clock.advance(32 * DAY_MS)
  await page.reload()
  await page.getByRole('link', { name: newest().id }).click()
  await page.getByText('Renews', { exact: true }).first().waitFor()
  expect(newest()).toMatchObject({ intent: 'RENEW', state: 'licensed' })
})

/** Takes pictures of a page, and checks that everybody can use it, on each kind of screen. */
async function look(page: Page, name: string): Promise<void> {
  for (const { width, height, colorScheme } of VIEWS) {
    await page.setViewportSize({ width, height })
    await page.emulateMedia({ colorScheme })
    mkdirSync(SCREENSHOTS, { recursive: true })
    await page.screenshot({ path: join(SCREENSHOTS, `storefront, ${name}, ${width}.png`), fullPage: true })
    expect.soft(await accessibilityFaults(page), `${name}, ${width} wide`).toEqual([])
  }
  await page.setViewportSize(VIEWS[0])
}
