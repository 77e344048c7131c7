import type { Clock } from '../domain/clock.ts'
import {
  createNotificationIntake,
  type NotificationIntake,
} from '../domain/subscriptions/notification-intake.ts'
import type { ReceiveEvent } from '../domain/subscriptions/receive-event.ts'
import { createTopicCheck } from '../domain/subscriptions/sns-message.ts'
import { createBoundedGet } from '../marketplace/notifications/bounded-get.ts'
import { createSigningCertificates } from '../marketplace/notifications/signing-certificates.ts'
import { createAwsSnsGate } from '../marketplace/notifications/sns-gate.ts'
import type { Ledger } from './ledger.ts'

/** AWS Marketplace's notifications, whichever way they come. */
export function composeNotifications(
  { config, catalog, cases, usage, audit }: Ledger,
  receive: ReceiveEvent,
  clock: Clock,
): NotificationIntake {
  const { mode } = config
  const { endpoint } = config.aws
  const get = createBoundedGet()
  const subject = 'SNS certificates'
  const gate = createAwsSnsGate({
    mode,
    endpoint,
    get,
    certificates: createSigningCertificates({ mode, endpoint, get, clock }),
    async onCertificates(trouble) {
      if (trouble === undefined) await usage.clearAlarm('notifications', subject)
      else
        await usage.raise({
          kind: 'notifications',
          subject,
          message: `messages of AWS Marketplace's topics wait: the certificate that they are signed with cannot be fetched (${trouble}). Let this server reach SNS over HTTPS, or take them from a queue`,
          at: clock.now(),
        })
    },
  })
  return createNotificationIntake({
    receive,
    store: cases,
    alarms: usage,
    audit,
    gate,
    isExpectedTopic: createTopicCheck({
      productCodes: () => catalog.list().map(({ productCode }) => productCode),
      topics: config.notifications.snsTopics,
    }),
    clock,
  })
}
