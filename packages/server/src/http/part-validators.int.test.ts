import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApp, NOW } from './app.fixture.ts'

let seller: Awaited<ReturnType<typeof anApp>>
beforeAll(async () => {
  seller = await anApp()
})
afterAll(() => seller.close())

async function ask(method: 'GET' | 'POST' | 'PUT', url: string, payload?: object) {
  const { auth: headers } = seller
  const response = await seller.app.inject({ method, url, headers, ...(payload && { payload }) })
  return { status: response.statusCode, body: response.json() }
}

describe('a body means what it says', () => {
  it('null cuts no key off: it is not 0 seconds', async () => {
    const order = { subscriptionId: seller.subscription.id }
    const { id } = (await ask('POST', '/keys', order)).body
    for (const overlapSeconds of [null, '60', false])
      expect(await ask('POST', `/keys/${id}/rotate`, { overlapSeconds })).toMatchObject({
        status: 400,
        body: { errors: [{ field: 'overlapSeconds' }] },
      })
    expect((await ask('GET', `/keys/${id}`)).body.state).toBe('active')
    // No body at all is another matter, and so is one field less.
    expect((await ask('POST', `/keys/${id}/rotate`, {})).body.replaces.usableUntil).toBe(
      new Date(NOW + 86_400_000).toISOString(),
    )
  })

  const MADE = { id: 'made', productCode: 'made', dimensions: [{ key: 'calls' }] }
  it.each([
    ['POST', '/products', { ...MADE, graceMinutes: null }, 'graceMinutes'],
    ['POST', '/products', { ...MADE, dimensions: [{ key: 'calls', scale: null }] }, 'dimensions.0.scale'],
    [
      'POST',
      '/products',
      { ...MADE, dimensions: [{ key: 'calls', reportZero: 'false' }] },
      'dimensions.0.reportZero',
    ],
    ['PUT', '/products/acme/plans/team', { title: null }, 'title'],
    [
      'PUT',
      '/products/acme/endpoints/eu',
      { url: 'https://example.com', everySeconds: null },
      'everySeconds',
    ],
    [
      'POST',
      '/quota/reservations',
      { id: 'r', dimension: 'calls', expiresInSeconds: null, tenantId: 'tenant-a' },
      'expiresInSeconds',
    ],
    ['POST', '/keys', { tenantId: 'tenant-a', user: null }, 'user'],
  ] as const)('%s %s %j is refused', async (method, url, body, field) => {
    expect(await ask(method, url, body)).toMatchObject({
      status: 400,
      body: { code: 'request.invalid', errors: [{ field }] },
    })
  })
})

it('a query is text, and its numbers and switches are read', async () => {
  for (let number = 0; number < 2; number++)
    await ask('POST', '/keys', { subscriptionId: seller.subscription.id, user: 'paged' })
  expect((await ask('GET', '/keys?user=paged&limit=1')).body.items).toHaveLength(1)
  expect((await ask('GET', '/keys?user=paged&limit=none')).status).toBe(400)
})
