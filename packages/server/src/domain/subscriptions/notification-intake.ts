import type { AuditTrail } from '../audit/audit-trail.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import { readTime } from '../usage/read-time.ts'
import type { UsageStore } from '../usage/usage-store.ts'
import type { BuyerCaseStore } from './buyer-case.ts'
import type { EventChannel, EventState, MarketplaceEvent } from './marketplace-event.ts'
import { readJsonObject, textOf, timeOf, unreadable } from './notification-json.ts'
import type { QueuedMessage } from './notification-queue.ts'
import { isEventBridgeEvent, readMessage, readSnsNotification } from './read-notification.ts'
import type { ReceiveEvent } from './receive-event.ts'
import { refused, type SnsGate } from './sns-gate.ts'
import { isSnsMessage, readSnsMessage, type SnsMessage } from './sns-message.ts'

/**
 * What became of a message.
 *
 * - a state: it was one of AWS Marketplace's, and is kept
 * - `confirmed`, `unsubscribed`: of a topic's subscription
 * - `rejected`: genuine, but unreadable; it is kept for a person
 */
export type NotificationOutcome = EventState | 'confirmed' | 'unsubscribed' | 'rejected'

/**
 * Takes AWS Marketplace's notifications in, whichever way they come. What resolves is durably kept; what is thrown is
 * not, and may be sent again.
 */
export interface NotificationIntake {
  /**
   * A message of SNS over HTTPS, from anybody: only its signature says whose it is.
   *
   * @throws {DomainError} `notification.refused`, `notification.unreadable`, `marketplace.unavailable`
   */
  sns(body: string): Promise<NotificationOutcome>
  /**
   * A message that whoever sent it vouches for: a relay with its signature, or an API destination with its key. SNS's
   * envelope, an EventBridge event, or SNS's bare message with a `messageId` of its own.
   *
   * @param at - when it was sent, ms, where the message itself does not say
   * @throws {DomainError} `notification.unreadable`
   */
  vouched(body: string, from: { channel: 'relay' | 'eventbridge'; at: number }): Promise<NotificationOutcome>
  /**
   * A message of a queue, which only those can write to whom its policy allows it: SNS's signature is not looked at (its
   * certificate would need a way to the internet), but the topic is.
   *
   * @throws {DomainError} as `sns`
   */
  queued(message: QueuedMessage): Promise<NotificationOutcome>
  /** Puts aside what could not be taken, for a person to see. */
  reject(message: { id: string; channel: EventChannel; reason: string; payload: string }): Promise<void>
}

export interface NotificationIntakeDeps {
  readonly receive: ReceiveEvent
  readonly store: Pick<BuyerCaseStore, 'reject'>
  readonly alarms: Pick<UsageStore, 'raise' | 'clearAlarm'>
  readonly audit: Pick<AuditTrail, 'append'>
  readonly gate: SnsGate
  readonly isExpectedTopic: (topicArn: string) => boolean
  readonly clock: Pick<Clock, 'now'>
}

/**
 * SNS tries an HTTPS endpoint for an hour at most; the rest is for clocks that differ.
 *
 * @see {@link https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html | SNS delivery retries} (read November 2026)
 */
const RETRIES_OVER_MS = 2 * 3_600_000
/** The token of a confirmation holds for three days at most (SNS API reference, read November 2026). */
const CONFIRMATION_MS = 3 * 86_400_000
const RECENT_MAX = 10_000

export function createNotificationIntake(deps: NotificationIntakeDeps): NotificationIntake {
  const { receive, store, alarms, audit, gate, isExpectedTopic, clock } = deps
  const recent = createRecentIds()

  async function reject(message: {
    id: string
    channel: EventChannel
    reason: string
    payload: string
  }): Promise<void> {
    const now = clock.now()
    await store.reject({ ...message, receivedAt: now })
    await alarms.raise({
      kind: 'notifications',
      subject: 'rejected messages',
      message: `a message of AWS Marketplace's could not be taken (${message.reason}): see \`tollkeeper event list --rejected\``,
      at: now,
    })
  }

  function checkTopic({ topicArn }: SnsMessage): void {
    if (isExpectedTopic(topicArn)) return
    throw refused(
      'wrong_topic',
      'the message is of a topic that is neither AWS Marketplace’s for one of our products nor in `notifications.snsTopics`',
      topicArn,
    )
  }

  function ageOf({ timestamp }: SnsMessage): number {
    const sentAt = readTime(timestamp)
    if (sentAt === undefined) throw unreadable('the SNS message has no Timestamp that can be read')
    return clock.now() - sentAt
  }

  /** Verified, and of a topic of ours. */
  async function confirm(message: SnsMessage): Promise<NotificationOutcome> {
    const { type, topicArn } = message
    const isWelcome = type === 'SubscriptionConfirmation'
    if (ageOf(message) > (isWelcome ? CONFIRMATION_MS : RETRIES_OVER_MS))
      throw refused('expired', 'the confirmation is too old: subscribe again', topicArn)
    if (isWelcome) await gate.confirm(message)
    const at = clock.now()
    await audit.append({
      at,
      actor: 'aws',
      action: isWelcome ? 'notification.subscribed' : 'notification.unsubscribed',
      subject: topicArn,
      before: undefined,
      after: undefined,
    })
    if (isWelcome) {
      await alarms.clearAlarm('notifications', topicArn)
      return 'confirmed'
    }
    await alarms.raise({
      kind: 'notifications',
      subject: topicArn,
      message: `somebody ended the subscription of ${topicArn}: what it tells does not come any more. Subscribe /marketplace/webhook to it again`,
      at,
    })
    return 'unsubscribed'
  }

  async function notify(message: SnsMessage): Promise<NotificationOutcome> {
    let event: MarketplaceEvent
    try {
      event = readSnsNotification(message, 'sns')
    } catch (error) {
      if (!(error instanceof DomainError)) throw error
      // AWS has signed it, and would send the same again.
      const { messageId: id, message: payload } = message
      await reject({ id, channel: 'sns', reason: error.message, payload })
      return 'rejected'
    }
    const { state } = await receive(event)
    const now = clock.now()
    if (state === 'known' && ageOf(message) > RETRIES_OVER_MS && !recent.has(message.messageId, now))
      throw refused(
        'replayed',
        'the message was taken long ago, and SNS does not send it again',
        message.topicArn,
      )
    if (state !== 'known') recent.add(message.messageId, now)
    return state
  }

  return {
    reject,
    async sns(body) {
      const json = readJsonObject(body, 'the body')
      if (!isSnsMessage(json))
        throw refused(
          'unsigned',
          'nobody vouches for this: it is no message of SNS, and neither signature nor key was shown',
        )
      const message = readSnsMessage(json)
      if (message.signature === undefined)
        throw refused('unsigned', 'the SNS message is not signed', message.topicArn)
      // First what costs nothing: a certificate may have to be fetched.
      checkTopic(message)
      await gate.verify(message)
      return message.type === 'Notification' ? notify(message) : confirm(message)
    },
    async vouched(body, { channel, at }) {
      const json = readJsonObject(body, 'the body')
      if (isSnsMessage(json)) {
        const message = readSnsMessage(json)
        if (message.type !== 'Notification')
          throw unreadable(
            `a ${message.type} of SNS concerns nobody but SNS and its endpoint: it is not to be relayed`,
          )
        return (await receive(readSnsNotification(message, channel))).state
      }
      const id = textOf(json, 'messageId', 255) ?? textOf(json, 'MessageId', 255) ?? textOf(json, 'id', 255)
      if (id === undefined && !isEventBridgeEvent(json))
        throw unreadable('the message has no `messageId`: give it one, the same on every retry')
      const sentAt = timeOf(json, 'timestamp') ?? timeOf(json, 'Timestamp') ?? at
      return (await receive(readMessage(body, { id: id ?? '', at: sentAt, channel }))).state
    },
    async queued({ id, body, sentAt }) {
      const json = readJsonObject(body, 'the body')
      if (!isSnsMessage(json)) {
        if (!Number.isFinite(sentAt)) throw unreadable('the queue does not say when the message was sent')
        return (await receive(readMessage(body, { id, at: sentAt, channel: 'sns' }))).state
      }
      const message = readSnsMessage(json)
      checkTopic(message)
      if (message.type === 'Notification') return (await receive(readSnsNotification(message, 'sns'))).state
      await gate.verify(message)
      return confirm(message)
    },
  }
}

/**
 * What this process has taken lately. SNS's time alone does not tell a retry from a replay where a message was long
 * under way, as it is when a virtual clock leaps.
 */
function createRecentIds() {
  const takenAt = new Map<string, number>()
  return {
    has: (id: string, now: number) => now - (takenAt.get(id) ?? Number.NEGATIVE_INFINITY) <= RETRIES_OVER_MS,
    add(id: string, now: number) {
      if (takenAt.size >= RECENT_MAX) takenAt.delete(takenAt.keys().next().value!)
      takenAt.set(id, now)
    },
  }
}
