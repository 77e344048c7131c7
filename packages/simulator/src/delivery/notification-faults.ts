import { SimulatorError } from '../errors.ts'
import { parseDuration } from '../http/duration.ts'
import type { IdentifiedNotification } from './notification-id.ts'

export const NOTIFICATION_FAULT_KINDS = [
  'repeat',
  'delay',
  'reorder',
  'drop',
  'hold',
  'tamper',
  'forge',
  'wrongTopic',
  'wrongCertHost',
] as const
export type NotificationFaultKind = (typeof NOTIFICATION_FAULT_KINDS)[number]

/**
 * Something to go wrong with notifications that become due from now on. Several may hit one notification. Each
 * hits a notification once for each destination it goes to.
 *
 * - `repeat`: delivered `copies` times (default 2), with the same id
 * - `delay`: delivered `by` of virtual time later (default `1h`)
 * - `reorder`: the next `times` (default 2) wait for one another, and are delivered in reverse
 * - `drop`: never delivered
 * - `hold`: kept until released; others overtake
 * - `tamper`: what the message says is changed after it was signed
 * - `forge`: signed with a key that another certificate authority vouches for
 * - `wrongTopic`: signed well, but from a topic of another account
 * - `wrongCertHost`: `SigningCertURL` is at another host
 *
 * The last four are for signed messages only, and go out in place of the genuine one, which can be sent
 * afterwards with `redeliver`.
 */
export interface NotificationFaultOrder {
  readonly kind: NotificationFaultKind
  /** Only notifications of this SNS action or EventBridge detail-type. */
  readonly type?: string
  readonly channel?: 'sns' | 'eventbridge'
  readonly productCode?: string
  readonly subscriptionId?: string
  /** How many it hits; without it, each until withdrawn. */
  readonly times?: number
  /** `repeat`: how often in all. */
  readonly copies?: number
  /** `delay`: virtual time such as `1h30m`, or milliseconds. */
  readonly by?: string | number
}

/** An order as kept. */
export interface NotificationFault extends NotificationFaultOrder {
  readonly id: string
  readonly hits: number
  /** Notifications it will still hit; absent if without limit. */
  readonly remaining?: number
}

/** Lives in memory: what is held when the simulator stops is delivered by the next one. */
export interface NotificationFaultBook {
  /** @throws {SimulatorError} `invalid` */
  order(order: NotificationFaultOrder): NotificationFault
  list(): NotificationFault[]
  /** @throws {SimulatorError} `not_found` */
  withdraw(id: string): void
  clear(): void
  /** Withdraws each `hold`, so that what it keeps is delivered. */
  release(): void
  /** The faults that hit a notification; counts the hits. */
  strike(notification: IdentifiedNotification, isSigned: boolean): NotificationFault[]
  /** Whether what the order keeps is still to be kept. */
  has(id: string): boolean
}

const FAULTS_MAX = 1_000
const TIMES_MAX = 1_000_000
const COPIES_MAX = 1_000
const REORDER_DEFAULT = 2
const FOR_SIGNED: readonly string[] = ['tamper', 'forge', 'wrongTopic', 'wrongCertHost']
const KEEPS: readonly string[] = ['hold', 'reorder']

/** @param changed - called when something held may go */
export function createNotificationFaultBook(
  changed: () => void,
  productOf: (subscriptionId: string) => string | undefined,
): NotificationFaultBook {
  const faults = new Map<string, NotificationFault>()
  let ordered = 0

  return {
    order(value) {
      const order = parseNotificationFault(value)
      check(faults.size < FAULTS_MAX, `at most ${FAULTS_MAX} faults of notifications at a time`)
      const times = order.kind === 'reorder' ? (order.times ?? REORDER_DEFAULT) : order.times
      const fault = {
        ...order,
        id: `notification-fault-${++ordered}`,
        hits: 0,
        ...(times !== undefined && { times, remaining: times }),
      }
      faults.set(fault.id, fault)
      return fault
    },
    list: () => [...faults.values()],
    withdraw(id) {
      if (!faults.delete(id)) throw new SimulatorError('not_found', `no fault of notifications ${id}`)
      changed()
    },
    clear() {
      faults.clear()
      changed()
    },
    release() {
      for (const { id, kind } of [...faults.values()]) if (kind === 'hold') faults.delete(id)
      changed()
    },
    strike(notification, isSigned) {
      const hit = [...faults.values()].filter(
        (fault) =>
          fault.remaining !== 0 &&
          (isSigned || !FOR_SIGNED.includes(fault.kind)) &&
          fits(fault, notification, productOf),
      )
      for (const fault of hit) {
        const remaining = fault.remaining === undefined ? undefined : fault.remaining - 1
        if (remaining === 0 && !KEEPS.includes(fault.kind)) faults.delete(fault.id)
        else
          faults.set(fault.id, {
            ...fault,
            hits: fault.hits + 1,
            ...(remaining !== undefined && { remaining }),
          })
      }
      return hit
    },
    has: (id) => faults.has(id),
  }
}

function fits(
  fault: NotificationFault,
  notification: IdentifiedNotification,
  productOf: (subscriptionId: string) => string | undefined,
): boolean {
  const { type, channel, subscriptionId, productCode } = fault
  return (
    (type === undefined || type === notification.type) &&
    (channel === undefined || channel === notification.channel) &&
    (subscriptionId === undefined || subscriptionId === notification.subscriptionId) &&
    (productCode === undefined || productCode === productOf(notification.subscriptionId))
  )
}

const FIELDS = ['kind', 'type', 'channel', 'productCode', 'subscriptionId', 'times', 'copies', 'by']

/** @throws {SimulatorError} `invalid`, naming the field */
export function parseNotificationFault(value: unknown): NotificationFaultOrder {
  check(typeof value === 'object' && value !== null && !Array.isArray(value), 'a fault must be an object')
  const order = value as Record<string, unknown>
  const unknown = Object.keys(order).find((field) => !FIELDS.includes(field))
  check(unknown === undefined, `a fault of notifications has no ${unknown}; it has ${FIELDS.join(', ')}`)
  const { kind, channel, times, copies, by } = order
  check(
    NOTIFICATION_FAULT_KINDS.includes(kind as NotificationFaultKind),
    `kind of a fault must be one of ${NOTIFICATION_FAULT_KINDS.join(', ')}`,
  )
  check(
    channel === undefined || channel === 'sns' || channel === 'eventbridge',
    'channel of a fault must be sns or eventbridge',
  )
  for (const field of ['type', 'productCode', 'subscriptionId']) {
    const text = order[field]
    check(
      text === undefined || (typeof text === 'string' && text.length > 0 && text.length <= 255),
      `${field} of a fault must be text`,
    )
  }
  checkWhole(times, 'times', kind === 'reorder' ? 2 : 1, TIMES_MAX)
  checkWhole(copies, 'copies', 2, COPIES_MAX)
  if (by !== undefined) parseDuration(by)
  return { ...order } as unknown as NotificationFaultOrder
}

function checkWhole(value: unknown, field: string, min: number, max: number): void {
  check(
    value === undefined || (Number.isInteger(value) && (value as number) >= min && (value as number) <= max),
    `${field} of a fault must be a whole number from ${min} to ${max}`,
  )
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new SimulatorError('invalid', message)
}
