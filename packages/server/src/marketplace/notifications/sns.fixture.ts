import { generateKeyPairSync, sign } from 'node:crypto'
import forge from 'node-forge'
import type { Get } from './bounded-get.ts'

export const PRODUCT_CODE = 'acme0code0of0twenty0five0'
export const TOPIC = `arn:aws:sns:us-east-1:287250355862:aws-mp-subscription-notification-${PRODUCT_CODE}`
export const CERTIFICATE_URL =
  'https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem'

export interface Keys {
  readonly certificate: string
  readonly privateKey: string
}

/** An authority that vouches for signing certificates; makes keys of its own for each. */
export function anAuthority(name = 'Test authority') {
  const own = rsaKeys()
  const issue = (
    subject: string,
    publicKey: string,
    isAuthority: boolean,
    from = '2020-01-01T00:00:00Z',
    to = '2049-01-01T00:00:00Z',
  ): string => {
    const certificate = forge.pki.createCertificate()
    certificate.publicKey = forge.pki.publicKeyFromPem(publicKey)
    certificate.serialNumber = '01'
    certificate.validity.notBefore = new Date(from)
    certificate.validity.notAfter = new Date(to)
    certificate.setSubject([{ name: 'commonName', value: subject }])
    certificate.setIssuer([{ name: 'commonName', value: name }])
    certificate.setExtensions([
      { name: 'basicConstraints', cA: isAuthority, critical: true },
      isAuthority ? { name: 'keyUsage', keyCertSign: true } : { name: 'keyUsage', digitalSignature: true },
    ])
    certificate.sign(forge.pki.privateKeyFromPem(own.privateKey), forge.md.sha256.create())
    return forge.pki.certificateToPem(certificate)
  }
  return {
    certificate: issue(name, own.publicKey, true),
    signer(valid: { from?: string; to?: string } = {}): Keys {
      const { publicKey, privateKey } = rsaKeys()
      return { certificate: issue('sns.amazonaws.com', publicKey, false, valid.from, valid.to), privateKey }
    },
  }
}

function rsaKeys() {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
}

/** The order in which SNS signs fields, written down a second time from its documentation. */
const SIGNED = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  Confirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
}

export type Envelope = Readonly<Record<string, string>>

/** A notification of AWS Marketplace in SNS's envelope, not signed yet. */
export function aNotification(message: object | string, fields: Envelope = {}): Envelope {
  return {
    Type: 'Notification',
    MessageId: '0d7a1f3e-0000-5000-8000-000000000001',
    TopicArn: TOPIC,
    Message: typeof message === 'string' ? message : JSON.stringify(message),
    Timestamp: '2026-11-21T07:29:00.123Z',
    UnsubscribeURL: 'https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=x',
    ...fields,
  }
}

/** A confirmation of SNS's, not signed yet. */
export function aConfirmation(fields: Envelope = {}): Envelope {
  const topic = fields.TopicArn ?? TOPIC
  const link = new URLSearchParams({ Action: 'ConfirmSubscription', TopicArn: topic, Token: 'token-1' })
  return {
    Type: 'SubscriptionConfirmation',
    MessageId: '0d7a1f3e-0000-5000-8000-000000000002',
    Token: 'token-1',
    TopicArn: topic,
    Message: `You have chosen to subscribe to the topic ${topic}.\nTo confirm the subscription, visit the SubscribeURL included in this message.`,
    SubscribeURL: `https://sns.us-east-1.amazonaws.com/?${link}`,
    Timestamp: '2026-11-21T07:29:00.123Z',
    ...fields,
  }
}

/** Signs it as SNS would with these keys. */
export function signed(
  envelope: Envelope,
  { privateKey }: Keys,
  { version = '1', url = CERTIFICATE_URL }: { version?: '1' | '2'; url?: string } = {},
): Envelope {
  const names = envelope.Type === 'Notification' ? SIGNED.Notification : SIGNED.Confirmation
  const text = names
    .filter((name) => envelope[name] !== undefined)
    .map((name) => `${name}\n${envelope[name]}\n`)
    .join('')
  const signature = sign(version === '1' ? 'sha1' : 'sha256', Buffer.from(text), privateKey)
  return {
    ...envelope,
    SignatureVersion: version,
    Signature: signature.toString('base64'),
    SigningCertURL: url,
  }
}

/** What answers at which address; everything else is 404. Notes what was asked for. */
export function aWeb(pages: Readonly<Record<string, string | number>> = {}) {
  const asked: string[] = []
  const kept = new Map(Object.entries(pages))
  const get: Get = async (url) => {
    asked.push(url.href)
    const page = kept.get(url.href)
    if (page === undefined) return { kind: 'answered', status: 404, body: '' }
    if (page === 0) return { kind: 'failed', reason: 'ETIMEDOUT' }
    return typeof page === 'number'
      ? { kind: 'answered', status: page, body: '' }
      : { kind: 'answered', status: 200, body: page }
  }
  return { get, asked, put: (url: string, page: string | number) => kept.set(url, page) }
}

export const ACTION = {
  action: 'subscribe-success',
  'customer-identifier': 'ifAPi5AcF3',
  'product-code': PRODUCT_CODE,
  'offer-identifier': 'offer-abcexample123',
  isFreeTrialTermPresent: 'true',
}
