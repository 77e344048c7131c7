import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkRelay } from './relay-signature.ts'

const SECRET = 'a shared secret of the relay'
const NOW = Date.UTC(2026, 10, 21, 7, 30)
const RELAY = { secret: SECRET, toleranceMs: 300_000 }

function check(given: { body?: string; timestamp?: string; signature?: string; now?: number }) {
  const { body = '{"action":"x"}', timestamp = String(NOW / 1000), now = NOW } = given
  const signature =
    given.signature ?? createHmac('sha256', SECRET).update(`${timestamp}.${body}`).digest('hex')
  return checkRelay({ proof: { signature, timestamp }, body: Buffer.from(body) }, RELAY, now)
}

it('takes what the relay signed, its time in seconds or RFC 3339', () => {
  expect(check({})).toEqual({ sentAt: NOW })
  expect(check({ timestamp: '2026-11-21T07:30:00.000Z' })).toEqual({ sentAt: NOW })
  expect(check({ timestamp: '2026-11-21T08:30:00+01:00' })).toEqual({ sentAt: NOW })
})

it('takes the signature in either case, and with its algorithm before it', () => {
  const timestamp = String(NOW / 1000)
  const signature = createHmac('sha256', SECRET).update(`${timestamp}.body`).digest('hex')
  for (const written of [`sha256=${signature}`, signature.toUpperCase()])
    expect(check({ body: 'body', signature: written })).toEqual({ sentAt: NOW })
})

it('refuses what was signed too long ago, or too far ahead', () => {
  expect(check({ now: NOW + 300_000 })).toEqual({ sentAt: NOW })
  expect(check({ now: NOW + 300_001 })).toMatchObject({ why: 'expired' })
  expect(check({ now: NOW - 300_001 })).toMatchObject({ why: 'expired' })
})

describe('refuses', () => {
  const valid = createHmac('sha256', SECRET)
    .update(`${NOW / 1000}.{"action":"x"}`)
    .digest('hex')

  it.each([
    ['another body', { body: '{"action":"y"}', signature: valid }, 'forged'],
    ['another time', { timestamp: String(NOW / 1000 + 1), signature: valid }, 'forged'],
    ['the same time, written otherwise', { timestamp: '2026-11-21T07:30:00Z', signature: valid }, 'forged'],
    ['another secret', { signature: createHmac('sha256', 'x').update('y').digest('hex') }, 'forged'],
    ['a shorter signature', { signature: valid.slice(0, 62) }, 'unsigned'],
    ['a longer signature', { signature: `${valid}00` }, 'unsigned'],
    ['another algorithm', { signature: `sha1=${valid}` }, 'unsigned'],
    ['no signature', { signature: '' }, 'unsigned'],
    ['no time', { timestamp: '' }, 'unsigned'],
    ['a time without a zone', { timestamp: '2026-11-21T07:30:00' }, 'unsigned'],
    ['milliseconds', { timestamp: String(NOW) }, 'unsigned'],
    [
      'an old time with a wrong signature as forged: a stranger learns nothing of our clock',
      { timestamp: '1000000000', signature: valid },
      'forged',
    ],
  ])('%s', (_, given, why) => {
    expect(check(given)).toMatchObject({ why })
  })

  it('everything that the relay did not sign', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (body, timestamp, random) => {
          expect(check({ body, timestamp, signature: Buffer.from(random).toString('hex') })).toHaveProperty(
            'why',
          )
        },
      ),
    )
  })
})
