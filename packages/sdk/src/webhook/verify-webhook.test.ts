import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { verifyWebhook } from './verify-webhook.ts'

const NOW = Date.parse('2026-11-21T10:00:00Z')
const OLD = `whsec_${Buffer.from('the old secret of an endpoint').toString('base64')}`
const NEW = `whsec_${Buffer.from('the new secret of an endpoint').toString('base64')}`
const BODY = JSON.stringify({
  type: 'key.created',
  timestamp: '2026-11-21T09:59:59Z',
  data: { product: 'acmé' },
})

/** As the specification's own library signs. */
function signed(secret = OLD, at = NOW, body = BODY) {
  const id = 'evt_1'
  return {
    body,
    headers: {
      'webhook-id': id,
      'webhook-timestamp': String(at / 1000),
      'webhook-signature': new Webhook(secret).sign(id, new Date(at), body),
    },
    secret: OLD as string | readonly string[],
    now: NOW,
  }
}

describe('verifyWebhook', () => {
  it('takes what the endpoint’s secret signed', async () => {
    const message = signed()
    const verified = await verifyWebhook(message)
    expect(verified).toMatchObject({ id: 'evt_1', sentAt: NOW, event: { type: 'key.created' } })
    await verifyWebhook({ ...message, body: Buffer.from(BODY), headers: new Headers(message.headers) })
    const upper = Object.fromEntries(
      Object.entries(message.headers).map(([name, value]) => [name.toUpperCase(), [value]]),
    )
    await verifyWebhook({ ...message, headers: upper })
  })

  it('takes either secret while it is rotated, and either of several signatures', async () => {
    const [old, next] = [signed(OLD), signed(NEW)]
    await verifyWebhook({ ...next, secret: [OLD, NEW] })
    await verifyWebhook({ ...old, secret: [OLD, NEW] })
    const both = `v1a,nonsense ${next.headers['webhook-signature']} ${old.headers['webhook-signature']}`
    await verifyWebhook({ ...old, headers: { ...old.headers, 'webhook-signature': both } })
  })

  it.each([
    ['another body', { ...signed(), body: `${BODY} ` }, 'webhook.signature_wrong'],
    ['another secret', signed(NEW), 'webhook.signature_wrong'],
    [
      'another id',
      { ...signed(), headers: { ...signed().headers, 'webhook-id': 'evt_2' } },
      'webhook.signature_wrong',
    ],
    [
      'a signature that is none',
      { ...signed(), headers: { ...signed().headers, 'webhook-signature': 'v1,!!' } },
      'webhook.signature_wrong',
    ],
    ['an old message', signed(OLD, NOW - 301_000), 'webhook.too_old'],
    ['one from the future', signed(OLD, NOW + 301_000), 'webhook.too_old'],
    [
      'a time that is none',
      { ...signed(), headers: { ...signed().headers, 'webhook-timestamp': 'now' } },
      'webhook.too_old',
    ],
    ['no signature', { ...signed(), headers: { 'webhook-id': 'evt_1' } }, 'webhook.headers_missing'],
    ['no JSON', signed(OLD, NOW, 'hello'), 'webhook.unreadable'],
  ])('refuses %s', async (_, message, code) => {
    await expect(verifyWebhook(message)).rejects.toMatchObject({ name: 'WebhookError', code })
  })

  it('says what is wrong with a secret, without it', async () => {
    await expect(verifyWebhook({ ...signed(), secret: [] })).rejects.toThrow(TypeError)
    await expect(verifyWebhook({ ...signed(), secret: 'whsec_?very?secret' })).rejects.toThrow(
      /^secret: expected whsec_ and base64$/,
    )
  })
})
