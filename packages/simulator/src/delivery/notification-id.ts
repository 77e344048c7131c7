import type { Notification } from '../marketplace/notifications.ts'

/** A notification under an id of its own: an event's `id`, an SNS message's `MessageId`. */
export interface IdentifiedNotification extends Notification {
  readonly id: string
  /** An SNS message's `action`, or an event's detail-type. */
  readonly type: string
}

/**
 * Gives each notification its id. It follows from what the notification says, so it is the same each time, also
 * after a restart; several that say the same at one time are told apart by their order.
 */
export function identifyNotifications(
  notifications: readonly Notification[],
  uuid: (name: string) => string,
): IdentifiedNotification[] {
  const seen = new Map<string, number>()
  return notifications.map((notification) => {
    const { at, subscriptionId, channel, payload } = notification
    const message = payload.message as Readonly<Record<string, unknown>> | undefined
    if (channel === 'eventbridge') {
      return { ...notification, id: String(payload.id), type: String(payload['detail-type']) }
    }
    const name = `sns ${subscriptionId} ${at} ${payload.topicArn} ${JSON.stringify(message)}`
    const count = (seen.get(name) ?? 0) + 1
    seen.set(name, count)
    const id = uuid(count === 1 ? name : `${name} ${count}`)
    return { ...notification, id, type: String(message?.action) }
  })
}
