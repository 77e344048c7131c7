import { DomainError } from '../../domain/error.ts'
import { refused, type SnsGate } from '../../domain/subscriptions/sns-gate.ts'
import type { SnsMessage } from '../../domain/subscriptions/sns-message.ts'
import type { Get } from './bounded-get.ts'
import { isOfSimulator, type SigningCertificates, simulatorOf } from './signing-certificates.ts'
import { isSignedBy } from './sns-signature.ts'

export interface AwsSnsGateOptions {
  readonly mode: 'simulated' | 'shadow' | 'live'
  /** The simulator's address; used in simulated mode only. */
  readonly endpoint?: string | undefined
  readonly certificates: SigningCertificates
  readonly get: Get
  /** Told once when certificates cannot be fetched, with why, and once when they can. */
  readonly onCertificates?: (trouble: string | undefined) => Promise<void>
}

/**
 * SNS's signatures and links, checked as AWS says.
 *
 * @throws {Error} in simulated mode without an address on this machine
 */
export function createAwsSnsGate(options: AwsSnsGateOptions): SnsGate {
  const { certificates, get } = options
  const simulator = options.mode === 'simulated' ? simulatorOf(options.endpoint) : undefined
  let isTroubled: boolean | undefined

  async function tell(trouble: string | undefined): Promise<void> {
    if (isTroubled === (trouble !== undefined)) return
    await options.onCertificates?.(trouble)
    isTroubled = trouble !== undefined
  }

  return {
    async verify(message) {
      const { signature, topicArn } = message
      if (signature === undefined) throw refused('unsigned', 'the SNS message is not signed', topicArn)
      const found = await certificates.find(signature.certificateUrl)
      if (found.kind === 'unavailable') {
        await tell(found.reason)
        throw new DomainError(
          'marketplace.unavailable',
          `the certificate of an SNS message cannot be fetched now (${found.reason})`,
        )
      }
      if (found.kind === 'refused') throw refused('certificate', found.reason, topicArn)
      await tell(undefined)
      if (!isSignedBy(message, found.key))
        throw refused('forged', 'the message is not what was signed, or not by this certificate', topicArn)
    },
    async confirm(message) {
      const { subscribeUrl = '', topicArn } = message
      const url = URL.parse(subscribeUrl)
      if (url === null || !isLink(url, message, simulator))
        throw refused('wrong_link', 'SubscribeURL does not lead to SNS of the topic’s region', topicArn)
      const answer = await get(url)
      if (answer.kind === 'answered' && answer.status >= 200 && answer.status < 300) return
      const why = answer.kind === 'answered' ? `HTTP ${answer.status}` : answer.reason
      // Not the URL: whoever has it may subscribe.
      throw new DomainError(
        'marketplace.unavailable',
        `SNS does not confirm the subscription of ${topicArn} (${why})`,
      )
    },
  }
}

/** It confirms this topic's subscription with this message's token, at SNS itself, and does nothing else. */
function isLink(url: URL, { topicArn, token }: SnsMessage, simulator: URL | undefined): boolean {
  const { searchParams } = url
  const asks =
    searchParams.get('Action') === 'ConfirmSubscription' &&
    searchParams.get('TopicArn') === topicArn &&
    searchParams.get('Token') === token
  if (!asks || url.username !== '' || url.password !== '' || url.pathname !== '/') return false
  if (simulator !== undefined) return isOfSimulator(url, simulator)
  const [, partition, , region = ''] = topicArn.split(':')
  const domain = partition === 'aws-cn' ? 'amazonaws.com.cn' : 'amazonaws.com'
  return (
    url.protocol === 'https:' &&
    url.port === '' &&
    /^[a-z0-9-]{3,40}$/.test(region) &&
    url.hostname === `sns.${region}.${domain}`
  )
}
