import type { Channel, Subscription, SubscriptionStatus } from '../../domain/subscriptions/subscription.ts'
import type { RecordState, UsageRecord } from '../../domain/usage/usage-record.ts'
import type { BucketStatus, UsageBucket } from '../../domain/usage/usage-store.ts'
import type { Row } from './database.ts'

/** The last: only usage that nobody can be billed for has come to it so far; it opens with the first that is billed. */
export const BUCKET_STATUS: readonly BucketStatus[] = ['open', 'held', 'closed', 'closed']
export const EVENT_STATE = ['accepted', 'late', 'unbillable'] as const

export function int(value: Row[string] | undefined): number {
  return Number(value)
}

export function optionalInt(value: Row[string] | undefined): number | undefined {
  return value === null || value === undefined ? undefined : Number(value)
}

export function text(value: Row[string] | undefined): string {
  return value as string
}

export function optionalText(value: Row[string] | undefined): string | undefined {
  return (value as string | null | undefined) ?? undefined
}

/** Of a list in a statement whose values have numbers: `?3, ?4, ?5`. */
export function placeholders(count: number, first: number): string {
  return Array.from({ length: count }, (_, index) => `?${first + index}`).join(', ')
}

export const SUBSCRIPTION_COLUMNS = `s.seq AS s_seq, s.id AS s_id, s.product AS s_product, s.plan AS s_plan, s.tenant_id AS s_tenant_id, s.status AS s_status,
  s.license_arn AS s_license_arn, s.customer_aws_account_id AS s_account, s.customer_identifier AS s_customer, s.agreement_id AS s_agreement,
  s.buyer AS s_buyer, s.channel AS s_channel, s.granted_at AS s_granted_at, s.term_end AS s_term_end, s.free_trial AS s_free_trial,
  s.access_start AS s_access_start, s.access_end AS s_access_end, s.final_window_end AS s_final, s.successor AS s_successor, s.created_at AS s_created_at`

export function toSubscription(row: Row): Subscription {
  return {
    id: text(row.s_id),
    product: text(row.s_product),
    buyer: text(row.s_buyer),
    channel: text(row.s_channel) as Channel,
    plan: optionalText(row.s_plan),
    tenantId: optionalText(row.s_tenant_id),
    status: text(row.s_status) as SubscriptionStatus,
    licenseArn: optionalText(row.s_license_arn),
    customerAwsAccountId: optionalText(row.s_account),
    customerIdentifier: optionalText(row.s_customer),
    agreementId: optionalText(row.s_agreement),
    grantedAt: optionalInt(row.s_granted_at),
    termEnd: optionalInt(row.s_term_end),
    freeTrial: row.s_free_trial === null ? undefined : row.s_free_trial === 1n,
    accessStart: int(row.s_access_start),
    accessEnd: optionalInt(row.s_access_end),
    finalWindowEnd: optionalInt(row.s_final),
    successor: optionalText(row.s_successor),
    createdAt: int(row.s_created_at),
  }
}

/** From `usage_record r JOIN meter m JOIN subscription s`. */
export const RECORD_COLUMNS = `r.seq, r.id, r.product, s.id AS subscription, r.meter, r.dimension, r.hour, r.region, r.identity, r.timestamp, r.quantity, r.unit_base,
  r.allocations, r.state, r.deadline, r.sealed_at, r.attempts, r.unanswered, r.next_attempt_at, r.metering_record_id, r.note, r.attempt, r.lease_until`
export const RECORD_FROM =
  'usage_record r JOIN meter m ON m.seq = r.meter JOIN subscription s ON s.seq = m.subscription'

export function toRecord(row: Row): UsageRecord {
  return {
    id: text(row.id),
    product: text(row.product),
    subscription: text(row.subscription),
    dimension: text(row.dimension),
    hour: int(row.hour),
    region: text(row.region),
    identity: JSON.parse(text(row.identity)),
    timestamp: int(row.timestamp),
    quantity: int(row.quantity),
    unitBase: row.unit_base as bigint,
    allocations: JSON.parse(text(row.allocations)),
    state: text(row.state) as RecordState,
    deadline: int(row.deadline),
    sealedAt: int(row.sealed_at),
    attempts: int(row.attempts),
    unanswered: int(row.unanswered),
    nextAttemptAt: int(row.next_attempt_at),
    meteringRecordId: optionalText(row.metering_record_id),
    note: optionalText(row.note),
  }
}

/** From `bucket b JOIN meter m JOIN subscription s`. */
export const BUCKET_COLUMNS = `b.meter, b.hour, b.quantity, b.unbillable, b.events, b.status, b.hold_reason, b.held_at, m.product, m.dimension, s.id AS subscription`
export const BUCKET_FROM =
  'bucket b JOIN meter m ON m.seq = b.meter JOIN subscription s ON s.seq = m.subscription'

export function toBucket(row: Row): UsageBucket {
  const reason = optionalText(row.hold_reason)
  return {
    subscription: text(row.subscription),
    dimension: text(row.dimension),
    product: text(row.product),
    hour: int(row.hour),
    status: BUCKET_STATUS[int(row.status)]!,
    quantity: row.quantity as bigint,
    unbillable: row.unbillable as bigint,
    events: int(row.events),
    hold: reason === undefined ? undefined : { reason, heldAt: int(row.held_at) },
  }
}
