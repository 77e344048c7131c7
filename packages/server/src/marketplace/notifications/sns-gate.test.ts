import { describe, expect, it } from 'vitest'
import { readSnsMessage } from '../../domain/subscriptions/sns-message.ts'
import { aClock } from '../../storage/contract/fixtures.ts'
import { createSigningCertificates } from './signing-certificates.ts'
import {
  ACTION,
  aConfirmation,
  aNotification,
  anAuthority,
  aWeb,
  CERTIFICATE_URL,
  type Envelope,
  signed,
  TOPIC,
} from './sns.fixture.ts'
import { createAwsSnsGate } from './sns-gate.ts'

const NOW = Date.UTC(2026, 10, 21, 7, 30)
const authority = anAuthority()
const aws = authority.signer()
const stranger = anAuthority('Stranger').signer()
const SIMULATOR = 'http://127.0.0.1:4010'
const SIMULATED_URL = `${SIMULATOR}/SimpleNotificationService-abc.pem`

function aGate(
  pages: Readonly<Record<string, string | number>> = { [CERTIFICATE_URL]: aws.certificate },
  mode: 'live' | 'simulated' = 'live',
) {
  const web = aWeb(pages)
  const clock = aClock(NOW)
  const troubles: (string | undefined)[] = []
  const options = { mode, endpoint: mode === 'simulated' ? SIMULATOR : undefined, get: web.get }
  const gate = createAwsSnsGate({
    ...options,
    certificates: createSigningCertificates({ ...options, clock }),
    onCertificates: async (trouble) => void troubles.push(trouble),
  })
  return {
    ...web,
    clock,
    troubles,
    verify: (envelope: Envelope) => gate.verify(readSnsMessage(envelope)),
    confirm: (envelope: Envelope) => gate.confirm(readSnsMessage(envelope)),
  }
}

const refusedFor = (why: string) =>
  expect.objectContaining({ code: 'notification.refused', details: expect.objectContaining({ why }) })
const unavailable = expect.objectContaining({ code: 'marketplace.unavailable' })

describe('a message that SNS signed', () => {
  it.each(['1', '2'] as const)('is taken, signed in version %s', async (version) => {
    const { verify } = aGate()
    await verify(signed(aNotification(ACTION), aws, { version }))
    await verify(signed(aNotification(ACTION, { Subject: 'News' }), aws, { version }))
    await verify(signed(aNotification(ACTION, { Subject: '' }), aws, { version }))
    await verify(signed(aConfirmation(), aws, { version }))
    await verify(signed(aConfirmation({ Type: 'UnsubscribeConfirmation' }), aws, { version }))
  })

  it('in China as well', async () => {
    const url = 'https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem'
    await aGate({ [url]: aws.certificate }).verify(signed(aNotification(ACTION), aws, { url }))
  })

  it('needs its certificate once', async () => {
    const { verify, asked } = aGate()
    for (let count = 0; count < 5; count++) await verify(signed(aNotification(ACTION), aws))
    expect(asked).toEqual([CERTIFICATE_URL])
  })
})

describe('a message that SNS did not sign as it is', () => {
  const good = signed(aNotification(ACTION, { Subject: 'News' }), aws)
  const confirmation = signed(aConfirmation(), aws)

  it.each(['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Signature'])(
    'is refused: %s was changed',
    async (field) => {
      const { verify } = aGate()
      const changed = { ...good, [field]: `A${good[field]}` }
      await expect(verify(changed)).rejects.toEqual(refusedFor('forged'))
    },
  )

  it.each(['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn'])(
    'is refused: %s of a confirmation was changed',
    async (field) => {
      const { verify } = aGate()
      await expect(verify({ ...confirmation, [field]: `A${confirmation[field]}` })).rejects.toEqual(
        refusedFor('forged'),
      )
    },
  )

  it('is refused: of another type, another version, or without a field', async () => {
    const { verify } = aGate()
    const { Subject: _, ...without } = good
    for (const changed of [
      { ...confirmation, Type: 'UnsubscribeConfirmation' },
      { ...good, SignatureVersion: '2' },
      { ...good, SignatureVersion: '3' },
      { ...good, SignatureVersion: 'valueOf' },
      without,
    ])
      await expect(verify(changed)).rejects.toEqual(refusedFor('forged'))
  })

  it('is refused: signed by somebody else', async () => {
    const { verify } = aGate()
    await expect(verify(signed(aNotification(ACTION), stranger))).rejects.toEqual(refusedFor('forged'))
  })

  it('is refused: not signed at all', async () => {
    const { verify, asked } = aGate()
    const { Signature: _, ...unsigned } = good
    for (const envelope of [aNotification(ACTION), unsigned])
      await expect(verify(envelope)).rejects.toEqual(refusedFor('unsigned'))
    expect(asked).toEqual([])
  })
})

describe('the certificate', () => {
  it.each([
    'http://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem',
    'https://sns.us-east-1.amazonaws.com.example/SimpleNotificationService-1.pem',
    'https://sns.us-east-1.amazonaws.com.cn.example/x.pem',
    'https://example.com/sns.us-east-1.amazonaws.com/x.pem',
    'https://sns.us-east-1.amazonaws.com@example.com/x.pem',
    'https://user@sns.us-east-1.amazonaws.com/x.pem',
    'https://sns.us-east-1.amazonaws.com:8443/x.pem',
    'https://sns.us-east-1.amazonaws.com/x.pem?y',
    'https://sns.us-east-1.amazonaws.com/x.pem#.pem',
    'https://sns.us-east-1.amazonaws.com/x?.pem',
    'https://sns.us-east-1.amazonaws.com/x.der',
    'https://sns.a.b.amazonaws.com/x.pem',
    // Buckets of the name `sns`, which somebody has.
    'https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem',
    'https://sns.s3-external-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem',
    'https://sns.evil.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem',
    'https://sns.us-east-1.amazonaws.com/elsewhere/x.pem',
    'https://sns.us.amazonaws.com.evil/x.pem',
    'https://xsns.us-east-1.amazonaws.com/x.pem',
    'https://sns.us-east-1.amazonaws.co/x.pem',
    'https://bucket.s3.amazonaws.com/x.pem',
    'https://127.0.0.1/x.pem',
    'file:///etc/ssl/x.pem',
    'sns.us-east-1.amazonaws.com/x.pem',
  ])('is not even asked for at %s', async (url) => {
    const { verify, asked } = aGate({ [url]: stranger.certificate })
    await expect(verify(signed(aNotification(ACTION), stranger, { url }))).rejects.toEqual(
      refusedFor('certificate'),
    )
    expect(asked).toEqual([])
  })

  it('must be valid at the time', async () => {
    const old = authority.signer({ from: '2020-01-01T00:00:00Z', to: '2026-11-21T07:29:59Z' })
    const { verify, clock } = aGate({ [CERTIFICATE_URL]: old.certificate })
    await expect(verify(signed(aNotification(ACTION), old))).rejects.toEqual(refusedFor('certificate'))
    clock.set(Date.UTC(2026, 10, 21, 7, 29, 59))
    await verify(signed(aNotification(ACTION), old))
    clock.set(Date.UTC(2019, 0))
    await expect(verify(signed(aNotification(ACTION), old))).rejects.toEqual(refusedFor('certificate'))
  })

  it.each([
    ['nothing', 404],
    ['something that is no certificate', 'hello'],
    ['a redirect', 302],
  ])('that is %s is refused, and not asked for again by the next forged message', async (_, page) => {
    const { verify, asked, put, clock } = aGate({ [CERTIFICATE_URL]: page })
    for (let count = 0; count < 3; count++)
      await expect(verify(signed(aNotification(ACTION), aws))).rejects.toEqual(refusedFor('certificate'))
    expect(asked).toHaveLength(1)
    put(CERTIFICATE_URL, aws.certificate)
    clock.set(NOW + 10 * 60_000)
    await verify(signed(aNotification(ACTION), aws))
  })

  it.each([
    ['does not answer', 0],
    ['is overloaded', 503],
    ['slows us', 429],
  ])('cannot be judged while its host %s: SNS is to send the message again', async (_, page) => {
    const { verify, put, clock, troubles } = aGate({ [CERTIFICATE_URL]: page })
    const message = signed(aNotification(ACTION), aws)
    await expect(verify(message)).rejects.toEqual(unavailable)
    await expect(verify(message)).rejects.toEqual(unavailable)
    expect(troubles).toHaveLength(1)
    put(CERTIFICATE_URL, aws.certificate)
    clock.set(NOW + 5_000)
    await verify(message)
    await verify(message)
    expect(troubles).toEqual([expect.stringContaining('sns.us-east-1.amazonaws.com'), undefined])
  })

  it('is asked for thirty times a minute at most, whatever names are invented, and a known one is kept', async () => {
    const { verify, asked, clock } = aGate()
    await verify(signed(aNotification(ACTION), aws))
    const invent = (count: number) =>
      verify(
        signed(aNotification(ACTION), aws, {
          url: `https://sns.us-east-1.amazonaws.com/SimpleNotificationService-${count}.pem`,
        }),
      )
    for (let count = 0; count < 300; count++) {
      await expect(invent(count)).rejects.toThrow()
      if (count % 30 === 0) clock.set(clock.now() + 60_000)
    }
    expect(asked.length).toBeLessThanOrEqual(1 + 300)
    const before = asked.length
    clock.set(clock.now() + 60_000)
    for (let count = 300; count < 400; count++) await expect(invent(count)).rejects.toThrow()
    expect(asked.length - before).toBe(30)
    await verify(signed(aNotification(ACTION), aws))
    expect(asked.filter((url) => url === CERTIFICATE_URL)).toHaveLength(1)
  })
})

describe('in simulated mode', () => {
  const pages = { [SIMULATED_URL]: aws.certificate, [`${SIMULATOR}/_control/ca.pem`]: authority.certificate }

  it('the simulator’s certificates are good, and no others', async () => {
    const { verify, asked } = aGate({ ...pages, [CERTIFICATE_URL]: aws.certificate }, 'simulated')
    await verify(signed(aNotification(ACTION), aws, { url: SIMULATED_URL }))
    await expect(verify(signed(aNotification(ACTION), aws))).rejects.toEqual(refusedFor('certificate'))
    await expect(
      verify(signed(aNotification(ACTION), aws, { url: 'http://127.0.0.1:4011/x.pem' })),
    ).rejects.toEqual(refusedFor('certificate'))
    await expect(
      verify(signed(aNotification(ACTION), aws, { url: 'http://192.0.2.1:4010/x.pem' })),
    ).rejects.toEqual(refusedFor('certificate'))
    expect(asked.every((url) => url.startsWith(SIMULATOR))).toBe(true)
  })

  it.each(['Stranger', 'Test authority'])(
    'a certificate of another authority is refused, though it is called %s',
    async (name) => {
      const other = anAuthority(name).signer()
      const { verify } = aGate({ ...pages, [SIMULATED_URL]: other.certificate }, 'simulated')
      const message = signed(aNotification(ACTION), other, { url: SIMULATED_URL })
      await expect(verify(message)).rejects.toEqual(refusedFor('certificate'))
    },
  )

  it('live mode takes none of them', async () => {
    const { verify, asked } = aGate(pages)
    await expect(verify(signed(aNotification(ACTION), aws, { url: SIMULATED_URL }))).rejects.toEqual(
      refusedFor('certificate'),
    )
    expect(asked).toEqual([])
  })

  it('needs an address on this machine', () => {
    const options = { mode: 'simulated', get: aWeb().get, clock: aClock(NOW) } as const
    for (const endpoint of [undefined, 'https://metering.marketplace.us-east-1.amazonaws.com']) {
      expect(() => createSigningCertificates({ ...options, endpoint })).toThrow('on this machine')
      const certificates = createSigningCertificates({ ...options, endpoint: SIMULATOR })
      expect(() => createAwsSnsGate({ ...options, endpoint, certificates })).toThrow('on this machine')
    }
  })
})

describe('a confirmation', () => {
  const link = aConfirmation().SubscribeURL!

  it('is given by following its link, once', async () => {
    const { confirm, asked } = aGate({ [link]: '<ConfirmSubscriptionResponse/>' })
    await confirm(aConfirmation())
    expect(asked).toEqual([link])
  })

  it.each([
    link.replace('https:', 'http:'),
    link.replace('sns.us-east-1', 'sns.eu-west-1'),
    link.replace('amazonaws.com', 'amazonaws.com.example'),
    link.replace('sns.us-east-1.amazonaws.com', 'example.com'),
    link.replace('Action=ConfirmSubscription', 'Action=Unsubscribe'),
    link.replace('aws-mp-', 'other-'),
    link.replace('token-1', 'token-2'),
    link.replace('/?', '/path?'),
    'https://169.254.169.254/latest/meta-data/',
    'not a link',
  ])('does not follow %s', async (SubscribeURL) => {
    const { confirm, asked } = aGate({ [SubscribeURL]: 'ok' })
    await expect(confirm(aConfirmation({ SubscribeURL }))).rejects.toEqual(refusedFor('wrong_link'))
    expect(asked).toEqual([])
  })

  it.each([403, 500, 0, 302])(
    'that SNS answers with %s is to come again, and its token is in no error',
    async (status) => {
      const { confirm } = aGate({ [link]: status })
      const error = await confirm(aConfirmation()).catch((thrown: Error) => thrown)
      expect(error).toEqual(unavailable)
      expect(String(error)).toContain(TOPIC)
      expect(String(error)).not.toContain('token-1')
    },
  )

  it('follows the simulator’s link in simulated mode only', async () => {
    const SubscribeURL = link.replace('https://sns.us-east-1.amazonaws.com', SIMULATOR)
    const simulated = aGate({ [SubscribeURL]: 'ok' }, 'simulated')
    await simulated.confirm(aConfirmation({ SubscribeURL }))
    await expect(simulated.confirm(aConfirmation())).rejects.toEqual(refusedFor('wrong_link'))
    await expect(aGate({ [SubscribeURL]: 'ok' }).confirm(aConfirmation({ SubscribeURL }))).rejects.toEqual(
      refusedFor('wrong_link'),
    )
  })
})
