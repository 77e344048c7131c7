import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { createVirtualClock } from '../clock/virtual-clock.ts'
import type { Simulator, SimulatorOptions } from '../simulator.ts'
import { aProduct, aSimulator, call, utc } from '../test-values.ts'

const DAY = 24 * 3_600_000
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const contract = aProduct({
  productCode: 'contract',
  pricing: 'contract',
  dimensions: [{ key: 'seats', name: 'Seats', price: '120' }],
})

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

async function aServedSimulator(options: SimulatorOptions = {}) {
  const simulator = await aSimulator({ products: [aProduct(), contract], ...options })
  cleanups.push(() => simulator.close())
  const { url } = await simulator.listen()
  const control = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${url}/_control/${path}`, {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }
  const page = async (path: string) => (await fetch(`${url}${path}`)).text()
  const submit = async (path: string, fields: Record<string, string> = {}) => {
    const body = new URLSearchParams(fields).toString()
    const response = await fetch(`${url}${path}`, { method: 'POST', body, headers: FORM, redirect: 'manual' })
    return [response.status, response.headers.get('location')]
  }
  return { simulator, control, page, submit }
}

async function askToCancel(simulator: Simulator, agreementId: string): Promise<string> {
  const input = { agreementId, reasonCode: 'TEST_AGREEMENT', description: 'Only a <test>' }
  return (await call(simulator, 'SendAgreementCancellationRequest', input)).body
    .agreementCancellationRequestId
}

describe('the control API', () => {
  it('orders what a buyer may order, and shows it with readable instants', async () => {
    const { control } = await aServedSimulator()
    const { status, body } = await control('POST', 'subscriptions', {
      productCode: 'contract',
      channelPartner: '999988887777',
      autoRenew: true,
      quantities: { seats: 3 },
    })
    expect([status, body]).toMatchObject([
      201,
      {
        channelPartner: { accountId: '999988887777' },
        term: { endsAt: '2027-11-20T12:30:00.000Z', autoRenew: true, length: { months: 12 } },
        end: { reason: 'RENEWED', endedAt: '2027-11-20T12:30:00.000Z' },
      },
    ])
    const trial = await control('POST', 'subscriptions', {
      productCode: 'prodcode1',
      freeTrial: true,
      trialDays: 7,
    })
    expect(trial.body.end.endedAt).toBe('2026-11-27T12:30:00.000Z')
    const failing = await control('POST', 'subscriptions', { productCode: 'prodcode1', fail: true })
    expect(failing.body.state).toBe('failed')
    for (const wrong of [{ sellerRole: 'broker' }, { trialDays: 3 }, { autoRenew: 'yes' }, { fail: 1 }]) {
      const refused = await control('POST', 'subscriptions', { productCode: 'contract', ...wrong })
      expect(refused.status).toBe(400)
    }
  })

  it('replaces, turns renewal on and off, and suspends', async () => {
    const { control } = await aServedSimulator()
    const { body } = await control('POST', 'subscriptions', { productCode: 'contract', freeTrial: true })
    expect((await control('POST', `subscriptions/${body.id}/auto-renew`, { autoRenew: true })).status).toBe(
      400,
    )
    const replaced = await control('POST', `subscriptions/${body.id}/replace`, { quantities: { seats: 5 } })
    expect([replaced.status, replaced.body]).toMatchObject([
      201,
      { intent: 'REPLACE', quantities: { seats: 5 }, previousAgreementId: body.agreementId },
    ])
    const path = `subscriptions/${replaced.body.id}`
    expect((await control('POST', `${path}/auto-renew`, { autoRenew: true })).body.end.reason).toBe('RENEWED')
    expect((await control('POST', `${path}/auto-renew`, { autoRenew: false })).body.end.reason).toBe(
      'EXPIRED',
    )
    expect((await control('POST', `${path}/auto-renew`, { colour: 'red' })).status).toBe(400)
    await control('POST', `${path}/suspend`)
    expect((await control('POST', `${path}/resume`)).body.advisories).toEqual([
      { issuedAt: '2026-11-20T12:30:00.000Z', resolvedAt: '2026-11-20T12:30:00.000Z' },
    ])
    expect((await control('POST', `subscriptions/${body.id}/replace`, {})).status).toBe(409)
  })

  it('answers the seller’s requests to cancel', async () => {
    const { simulator, control } = await aServedSimulator()
    const { id, agreementId } = simulator.marketplace.subscribe({ productCode: 'prodcode1' })
    const first = await askToCancel(simulator, agreementId)
    const rejected = await control('POST', `cancellation-requests/${first}/reject`, { reason: 'No' })
    expect([rejected.status, rejected.body]).toMatchObject([
      200,
      { id: first, status: 'REJECTED', statusMessage: 'No', createdAt: '2026-11-20T12:30:00.000Z' },
    ])
    const second = await askToCancel(simulator, agreementId)
    expect((await control('POST', `cancellation-requests/${second}/approve`)).body.status).toBe('APPROVED')
    expect((await control('POST', `cancellation-requests/${second}/approve`)).status).toBe(409)
    expect((await control('POST', 'cancellation-requests/acr-nobody/approve')).status).toBe(404)
    const listed = (await control('GET', `subscriptions/${id}/cancellation-requests`)).body
    expect(listed.cancellationRequests.map((request: { status: string }) => request.status)).toEqual([
      'REJECTED',
      'APPROVED',
    ])
    expect((await control('GET', 'cancellation-requests')).body).toEqual(listed)
    expect((await control('GET', 'subscriptions/nobody/cancellation-requests')).status).toBe(404)
    expect((await control('GET', `subscriptions/${id}`)).body.state).toBe('ending')
  })

  it('sends other notifications', async () => {
    const { simulator, control } = await aServedSimulator()
    const { id } = simulator.marketplace.subscribe({ productCode: 'contract' })
    const kind = 'agreementEnding'
    expect(
      (await control('POST', `subscriptions/${id}/notify`, { kind, daysBeforeEndTime: 60 })).status,
    ).toBe(204)
    expect(simulator.marketplace.notifications().at(-1)?.payload).toMatchObject({
      'detail-type': 'Purchase Agreement Ending - Proposer',
      detail: { agreement: { daysBeforeEndTime: 60 } },
    })
    expect((await control('POST', `subscriptions/${id}/notify`, { kind: 'nothing' })).status).toBe(400)
    expect((await control('POST', 'subscriptions/nobody/notify', { kind })).status).toBe(404)
  })
})

describe('the storefront', () => {
  it('takes an order with quantities, term and renewal, and what becomes of it', async () => {
    const { simulator, page, submit } = await aServedSimulator()
    const newest = () => simulator.marketplace.listSubscriptions().at(-1)
    const order = { productCode: 'contract', accountId: '444455556666', 'quantity.seats': '7' }
    expect(await submit('/subscribe', { ...order, termMonths: '24', autoRenew: 'yes' })).toEqual([
      303,
      '/subscriptions/sub-1',
    ])
    expect(newest()).toMatchObject({
      quantities: { seats: 7 },
      term: { autoRenew: true, length: { months: 24 } },
    })
    await submit('/subscriptions/sub-1/amend', { 'quantity.seats': '9' })
    expect(newest()?.quantities).toEqual({ seats: 9 })
    expect(await submit('/subscriptions/sub-1/renew')).toEqual([303, '/subscriptions/sub-2'])
    expect(await submit('/subscriptions/sub-2/replace')).toEqual([303, '/subscriptions/sub-3'])
    expect(newest()).toMatchObject({ intent: 'REPLACE', quantities: { seats: 9 } })
    expect(await page('/subscriptions/sub-2')).toContain('href="/subscriptions/sub-3"')
    expect(await page('/subscriptions/sub-3')).toContain('href="/subscriptions/sub-2"')
    expect(await submit('/subscriptions/sub-1/renew')).toEqual([409, null])
    expect(await submit('/subscriptions/sub-1/constructor')).toEqual([404, null])
  })

  it('shows the seller’s request to cancel, escaped, and takes the answer', async () => {
    const { simulator, page, submit } = await aServedSimulator()
    const { id, agreementId } = simulator.marketplace.subscribe({ productCode: 'prodcode1' })
    const request = await askToCancel(simulator, agreementId)
    expect(await page(`/subscriptions/${id}`)).toContain('Only a &#60;test&#62;')
    const back = [303, `/subscriptions/${id}`]
    expect(await submit(`/cancellation-requests/${request}/reject`, { reason: 'No' })).toEqual(back)
    expect(await submit(`/cancellation-requests/${request}/approve`)).toEqual([409, null])
    const second = await askToCancel(simulator, agreementId)
    expect(await submit(`/cancellation-requests/${second}/approve`)).toEqual(back)
    expect(simulator.marketplace.getSubscription(id).state).toBe('ending')
  })

  it('posts the registration of a trial as one', async () => {
    const { page, submit } = await aServedSimulator()
    await submit('/subscribe', {
      productCode: 'contract',
      accountId: '444455556666',
      'quantity.seats': '1',
      termMonths: '12',
      freeTrial: 'yes',
    })
    expect(await page('/subscriptions/sub-1')).toContain(
      'name="x-amzn-marketplace-offer-type" value="free-trial"',
    )
  })
})

describe('the state file', () => {
  function aStateFile(): string {
    const folder = mkdtempSync(join(tmpdir(), 'simulator-agreements-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    return join(folder, 'state.jsonl')
  }

  const aKeptSimulator = (stateFile: string, at: number) =>
    aSimulator({
      products: [aProduct(), contract],
      clock: createVirtualClock({ start: at, running: false }),
      stateFile,
      settings: { licenseDelayMs: 72_000 },
    })

  it('brings back renewals, requests and what was announced', async () => {
    const stateFile = aStateFile()
    const before = await aKeptSimulator(stateFile, utc('12:30'))
    const renewing = before.marketplace.subscribe({ productCode: 'contract', autoRenew: true, termMonths: 1 })
    const asked = before.marketplace.subscribe({ productCode: 'prodcode1' })
    before.marketplace.notify(asked.id, { kind: 'disbursementPaused' })
    await askToCancel(before, asked.agreementId)
    before.clock.advance(40 * DAY)
    const seen = {
      subscriptions: before.marketplace.listSubscriptions(),
      requests: before.marketplace.listCancellationRequests(),
      notifications: before.marketplace.notifications(),
    }
    expect(seen.subscriptions).toMatchObject([
      { id: renewing.id },
      { end: { reason: 'CANCELLED' } },
      { intent: 'RENEW' },
    ])
    await before.close()

    const after = await aKeptSimulator(stateFile, utc('12:30'))
    expect({
      subscriptions: after.marketplace.listSubscriptions(),
      requests: after.marketplace.listCancellationRequests(),
      notifications: after.marketplace.notifications(),
    }).toEqual(seen)
    after.clock.advance(31 * DAY)
    expect(after.marketplace.listSubscriptions().map(({ intent }) => intent)).toEqual([
      'NEW',
      'NEW',
      'RENEW',
      'RENEW',
    ])
    await after.close()
  })

  it('settles after a restart what fell due while nobody looked', async () => {
    const stateFile = aStateFile()
    const before = await aKeptSimulator(stateFile, utc('12:30'))
    before.marketplace.subscribe({ productCode: 'contract', autoRenew: true, termMonths: 1 })
    before.clock.advance(40 * DAY)
    await before.close()
    const lines = readFileSync(stateFile, 'utf8')
    expect(lines).not.toContain('"kind":"subscriptions"')
    const after = await aKeptSimulator(stateFile, utc('12:30'))
    expect(after.marketplace.listSubscriptions()).toHaveLength(2)
    await after.close()
  })

  it('of before terms were kept still ends its contracts in time', async () => {
    const stateFile = aStateFile()
    const before = await aKeptSimulator(stateFile, utc('12:30'))
    const { id, agreementId } = before.marketplace.subscribe({ productCode: 'contract' })
    await before.close()
    const old = readFileSync(stateFile, 'utf8').replace(/"term":\{[^}]*\{[^}]*\}[^}]*\},/, '')
    expect(old).not.toContain('"term"')
    writeFileSync(stateFile, old)
    const after = await aKeptSimulator(stateFile, utc('12:30'))
    const { body } = await call(after, 'DescribeAgreement', { agreementId })
    expect(body.endTime).toBe(Date.parse('2027-11-20T12:30:00Z') / 1000)
    after.clock.set(Date.parse('2027-11-21T12:30:00Z'))
    expect(after.marketplace.getSubscription(id)).toMatchObject({
      state: 'closed',
      end: { reason: 'EXPIRED' },
    })
    await after.close()
  })
})
