import { sign } from 'node:crypto'

/** An SNS message before it is signed: a notification, or what confirms that a subscription begins or ended. */
export type SnsDraft =
  | {
      readonly Type: 'Notification'
      readonly MessageId: string
      readonly TopicArn: string
      readonly Message: string
      readonly Timestamp: string
      readonly UnsubscribeURL: string
    }
  | {
      readonly Type: 'SubscriptionConfirmation' | 'UnsubscribeConfirmation'
      readonly MessageId: string
      readonly Token: string
      readonly TopicArn: string
      readonly Message: string
      readonly SubscribeURL: string
      readonly Timestamp: string
    }

export type SnsMessage = SnsDraft & {
  readonly SignatureVersion: SignatureVersion
  /** Base64. */
  readonly Signature: string
  readonly SigningCertURL: string
}

/** 1: SHA1 with RSA. 2: SHA256 with RSA. */
export type SignatureVersion = '1' | '2'

/** Fields that are signed, in order of bytes. There is no `Subject`: AWS Marketplace sends none. */
const SIGNED_FIELDS = {
  Notification: ['Message', 'MessageId', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: [
    'Message',
    'MessageId',
    'SubscribeURL',
    'Timestamp',
    'Token',
    'TopicArn',
    'Type',
  ],
} as const

/**
 * Signs a message as SNS does.
 *
 * @see {@link https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html | Verifying signatures}
 */
export function signSnsMessage(
  draft: SnsDraft,
  version: SignatureVersion,
  signer: { readonly privateKey: string; readonly certificateUrl: string },
): SnsMessage {
  const fields =
    draft.Type === 'Notification' ? SIGNED_FIELDS.Notification : SIGNED_FIELDS.SubscriptionConfirmation
  const values: Readonly<Record<string, string>> = draft
  const text = fields.map((field) => `${field}\n${values[field]}\n`).join('')
  const signature = sign(version === '1' ? 'sha1' : 'sha256', Buffer.from(text), signer.privateKey)
  return {
    ...draft,
    SignatureVersion: version,
    Signature: signature.toString('base64'),
    SigningCertURL: signer.certificateUrl,
  }
}

/** The order in which SNS writes a message's fields. */
const FIELD_ORDER = [
  'Type',
  'MessageId',
  'Token',
  'TopicArn',
  'Message',
  'SubscribeURL',
  'Timestamp',
  'SignatureVersion',
  'Signature',
  'SigningCertURL',
  'UnsubscribeURL',
]

/** JSON laid out as SNS writes it, spaces included. */
export function writeSnsMessage(message: SnsMessage): string {
  const values: Readonly<Record<string, string>> = message
  const lines = FIELD_ORDER.filter((field) => values[field] !== undefined).map(
    (field) => `  ${JSON.stringify(field)} : ${JSON.stringify(values[field])}`,
  )
  return `{\n${lines.join(',\n')}\n}`
}

/** Headers of a message over HTTP. A subscription that is not confirmed has no ARN to show. */
export function snsHeaders(message: SnsDraft, subscriptionArn: string): Record<string, string> {
  return {
    'content-type': 'text/plain; charset=UTF-8',
    'user-agent': 'Amazon Simple Notification Service Agent',
    'x-amz-sns-message-type': message.Type,
    'x-amz-sns-message-id': message.MessageId,
    'x-amz-sns-topic-arn': message.TopicArn,
    ...(message.Type !== 'SubscriptionConfirmation' && { 'x-amz-sns-subscription-arn': subscriptionArn }),
  }
}
