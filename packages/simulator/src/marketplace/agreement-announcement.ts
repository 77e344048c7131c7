import { SimulatorError } from '../errors.ts'
import type { SimulatedProduct } from './product.ts'

/** What AWS sends besides the events of an agreement's way, and what it may send one day. */
export const ANNOUNCEMENT_KINDS = [
  'agreementEnding',
  'renewalTermsFinalized',
  'renewalUpcoming',
  'billingAdjustmentCompleted',
  'billingAdjustmentFailed',
  'disbursementPaused',
  'changeSetSucceeded',
  'changeSetFailed',
  'offerReleased',
  'spendThresholdReached',
  'unknownDetailType',
  'unknownSnsAction',
] as const
export type AnnouncementKind = (typeof ANNOUNCEMENT_KINDS)[number]

/** A notification to send now. */
export interface AnnouncementOrder {
  readonly kind: AnnouncementKind
  /** `agreementEnding`: 180, 120, 90, 60 or 30. Default 30. */
  readonly daysBeforeEndTime?: number
  /** `unknownDetailType`: what to call it. */
  readonly detailType?: string
  /** `unknownSnsAction`: what to call it. */
  readonly action?: string
}

const ENDING_DAYS = [180, 120, 90, 60, 30]
const NAME_LENGTH_MAX = 128

/** @throws {SimulatorError} `invalid` */
export function parseAnnouncement(value: unknown, product: SimulatedProduct): AnnouncementOrder {
  const order = (value ?? {}) as Record<string, unknown>
  const { kind, daysBeforeEndTime, detailType, action, ...rest } = order
  const [unknown] = Object.keys(rest)
  check(unknown === undefined, `a notification has no ${unknown}`)
  check(
    (ANNOUNCEMENT_KINDS as readonly unknown[]).includes(kind),
    `kind must be one of ${ANNOUNCEMENT_KINDS.join(', ')}`,
  )
  check(
    daysBeforeEndTime === undefined || ENDING_DAYS.includes(daysBeforeEndTime as number),
    `daysBeforeEndTime must be one of ${ENDING_DAYS.join(', ')}`,
  )
  for (const name of [detailType, action]) {
    check(
      name === undefined || (typeof name === 'string' && name.length > 0 && name.length <= NAME_LENGTH_MAX),
      `detailType and action must be text of at most ${NAME_LENGTH_MAX} characters`,
    )
  }
  check(
    kind !== 'unknownSnsAction' || product.metering === 'legacy',
    'only products metered by product code are told over SNS',
  )
  return { ...order } as unknown as AnnouncementOrder
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new SimulatorError('invalid', message)
}
