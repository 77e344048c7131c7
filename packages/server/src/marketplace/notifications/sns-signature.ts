import { type KeyObject, verify } from 'node:crypto'
import type { SnsMessage } from '../../domain/subscriptions/sns-message.ts'

/** `SignatureVersion`: 1 is SNS's default, 2 an attribute of the topic. */
const ALGORITHMS: Readonly<Record<string, string>> = { '1': 'RSA-SHA1', '2': 'RSA-SHA256' }

/**
 * The text that SNS signs: of each type certain fields, in order of bytes, each name and value on a line of its own.
 * Topic and type come last and hold no line break, so nobody can move a message of their own topic into ours.
 *
 * @see {@link https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html | Verifying signatures} (read November 2026)
 */
export function signedText(message: SnsMessage): string {
  const { type, messageId, topicArn, timestamp, subject, token, subscribeUrl } = message
  const fields: readonly (readonly [name: string, value: string | undefined])[] =
    type === 'Notification'
      ? [
          ['Message', message.message],
          ['MessageId', messageId],
          ['Subject', subject],
          ['Timestamp', timestamp],
          ['TopicArn', topicArn],
          ['Type', type],
        ]
      : [
          ['Message', message.message],
          ['MessageId', messageId],
          ['SubscribeURL', subscribeUrl],
          ['Timestamp', timestamp],
          ['Token', token],
          ['TopicArn', topicArn],
          ['Type', type],
        ]
  return fields.flatMap(([name, value]) => (value === undefined ? [] : [`${name}\n${value}\n`])).join('')
}

/** Did the holder of this key sign the message as it is? */
export function isSignedBy(message: SnsMessage, key: KeyObject): boolean {
  const { signature } = message
  const algorithm =
    signature !== undefined && Object.hasOwn(ALGORITHMS, signature.version)
      ? ALGORITHMS[signature.version]
      : undefined
  if (signature === undefined || algorithm === undefined) return false
  // What is not base64 is passed over by the decoder, and two writings of one signature are harmless.
  return verify(algorithm, Buffer.from(signedText(message)), key, Buffer.from(signature.value, 'base64'))
}
