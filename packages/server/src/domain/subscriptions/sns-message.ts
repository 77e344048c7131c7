import { type Json, own, textOf, unreadable } from './notification-json.ts'

export type SnsMessageType = 'Notification' | 'SubscriptionConfirmation' | 'UnsubscribeConfirmation'

/**
 * A message in SNS's envelope, as it comes over HTTPS or lies in a queue. Every text is exactly as it was sent: the
 * signature is over them.
 *
 * @see {@link https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html | SNS message formats} (read November 2026)
 */
export interface SnsMessage {
  readonly type: SnsMessageType
  readonly messageId: string
  readonly topicArn: string
  readonly message: string
  /** RFC 3339. */
  readonly timestamp: string
  readonly subject: string | undefined
  /** Of confirmations only. */
  readonly token: string | undefined
  /** Of confirmations only. */
  readonly subscribeUrl: string | undefined
  /** Undefined: it is not signed. */
  readonly signature:
    | { readonly version: string; readonly value: string; readonly certificateUrl: string }
    | undefined
}

const TYPES: readonly SnsMessageType[] = [
  'Notification',
  'SubscriptionConfirmation',
  'UnsubscribeConfirmation',
]
const ID_LENGTH_MAX = 255
const TOPIC_LENGTH_MAX = 512
const URL_LENGTH_MAX = 4_096

/** Does it look like a message in SNS's envelope, even if not all of it is there? */
export function isSnsMessage(body: Json): boolean {
  return Object.hasOwn(body, 'TopicArn') || typeOf(body) !== undefined
}

/** @throws {DomainError} `notification.unreadable` */
export function readSnsMessage(body: Json): SnsMessage {
  const type = typeOf(body)
  if (type === undefined) throw unreadable('the SNS message has no known Type')
  const needed = (field: string, lengthMax: number): string => {
    const text = textOf(body, field, lengthMax)
    if (text === undefined) throw unreadable(`the SNS message has no ${field} that can be read`)
    return text
  }
  const message = own(body, 'Message')
  const subject = own(body, 'Subject')
  if (typeof message !== 'string') throw unreadable('the SNS message has no Message')
  const version = textOf(body, 'SignatureVersion', 8)
  const value = textOf(body, 'Signature', URL_LENGTH_MAX)
  const certificateUrl = textOf(body, 'SigningCertURL', URL_LENGTH_MAX)
  const isConfirmation = type !== 'Notification'
  return {
    type,
    messageId: needed('MessageId', ID_LENGTH_MAX),
    topicArn: needed('TopicArn', TOPIC_LENGTH_MAX),
    message,
    timestamp: needed('Timestamp', 64),
    // As it is, even empty: SNS signs what is there.
    subject: typeof subject === 'string' ? subject : undefined,
    token: isConfirmation ? needed('Token', URL_LENGTH_MAX) : undefined,
    subscribeUrl: isConfirmation ? needed('SubscribeURL', URL_LENGTH_MAX) : undefined,
    signature:
      version === undefined || value === undefined || certificateUrl === undefined
        ? undefined
        : { version, value, certificateUrl },
  }
}

function typeOf(body: Json): SnsMessageType | undefined {
  const type = own(body, 'Type')
  return TYPES.find((known) => known === type)
}

/** The AWS account that owns AWS Marketplace's topics (template of AWS's serverless sample, read November 2026). */
const MARKETPLACE_ACCOUNT = '287250355862'
const MARKETPLACE_TOPIC = new RegExp(
  `^arn:aws:sns:us-east-1:${MARKETPLACE_ACCOUNT}:aws-mp-(?:subscription|entitlement)-notification-(.+)$`,
)

/**
 * Which topics may speak to us: AWS Marketplace's own two of each of our products, and those that the seller named.
 * Anybody with an AWS account can have a topic whose messages AWS signs.
 */
export function createTopicCheck(given: {
  /** AWS's product codes, as they are when a message comes. */
  readonly productCodes: () => readonly string[]
  readonly topics: readonly string[]
}): (topicArn: string) => boolean {
  const topics = new Set(given.topics)
  return (topicArn) => {
    const code = MARKETPLACE_TOPIC.exec(topicArn)?.[1]
    return topics.has(topicArn) || (code !== undefined && given.productCodes().includes(code))
  }
}
