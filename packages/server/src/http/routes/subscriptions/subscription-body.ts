import { type Static, Type } from 'typebox'
import { refusalOf } from '../../../domain/entitlements/decide-access.ts'
import type { ServiceKey } from '../../../domain/keys/service-key.ts'
import type { Agreement } from '../../../domain/subscriptions/agreement.ts'
import {
  describeSubscription,
  endReasonOf,
  isFinalUsageSettled,
  readSubscriptionFacts,
} from '../../../domain/subscriptions/describe-subscription.ts'
import type { Channel, Subscription, SubscriptionStatus } from '../../../domain/subscriptions/subscription.ts'
import type { HttpDeps } from '../../deps.ts'
import { findVisible } from '../../product-scope.ts'
import { ref, Time } from '../../schemas.ts'

export const STATUSES = [
  'pending',
  'active',
  'suspended',
  'cancelling',
  'cancelled',
  'failed',
  'expired',
  'superseded',
] as const satisfies readonly SubscriptionStatus[]

export const CHANNELS = ['aws', 'direct', 'free'] as const satisfies readonly Channel[]

const summaryFields = {
  id: Type.String(),
  product: Type.String(),
  buyer: Type.String(),
  channel: Type.Enum([...CHANNELS], {
    description: 'How it was bought. Only what came through AWS Marketplace is metered to AWS.',
  }),
  plan: Type.Optional(Type.String()),
  tenantId: Type.Optional(Type.String()),
  status: Type.Enum([...STATUSES]),
  licenseArn: Type.Optional(Type.String()),
  customerAWSAccountId: Type.Optional(Type.String()),
  customerIdentifier: Type.Optional(Type.String()),
  agreementId: Type.Optional(Type.String()),
  grantedAt: Type.Optional(
    Type.String({ format: 'date-time', description: 'When AWS, or off AWS the seller, let access start.' }),
  ),
  termEnd: Type.Optional(Type.String({ format: 'date-time', description: 'Absent: no end, or unknown.' })),
  freeTrial: Type.Optional(Type.Boolean({ description: 'Absent: AWS has not said.' })),
  accessStart: Type.String({ format: 'date-time', description: 'From when usage is counted.' }),
  accessEnd: Type.Optional(Time),
  finalWindowEnd: Type.Optional(
    Type.String({ format: 'date-time', description: 'Until when AWS takes final usage.' }),
  ),
  successor: Type.Optional(
    Type.String({ description: 'The subscription that took its place, and takes what comes late.' }),
  ),
  createdAt: Time,
}

export const SubscriptionBody = Type.Object(summaryFields, { $id: 'Subscription' })

const Yes = Type.Enum(['yes', 'no', 'unknown'])

export const SubscriptionDetail = Type.Object(
  {
    ...summaryFields,
    access: Type.Object({
      allowed: Type.Boolean({
        description: 'May the buyer use the product? What of it, `/entitlements/check` says.',
      }),
      reason: Type.Optional(Type.Enum(['pending', 'suspended', 'cancelling', 'ended', 'not_entitled'])),
    }),
    explanation: Type.Object(
      { state: Type.String(), next: Type.String() },
      { description: 'In words: how it is, and what happens next.' },
    ),
    terms: Type.Object(
      {
        soldBy: Type.Enum(['seller', 'partner', 'unknown']),
        price: Type.Enum(['free', 'seller', 'aws', 'unknown'], {
          description:
            'Whose price holds: none, the seller’s own, or what the buyer accepted on AWS Marketplace. `unknown` where a channel partner sold it: AWS does not show its price to the manufacturer.',
        }),
        freeTrial: Yes,
        termEnd: Type.String({ description: 'A time, `none` or `unknown`.' }),
      },
      { description: 'What AWS lets a seller see of them; never guessed.' },
    ),
    agreement: Type.Optional(
      Type.Object(
        {
          agreementId: Type.Optional(Type.String()),
          previousAgreementId: Type.Optional(Type.String()),
          offerId: Type.Optional(Type.String()),
          intent: Type.Optional(Type.String()),
          endStatus: Type.Optional(Type.String({ description: 'AWS’s status of an ended agreement.' })),
          acceptedAt: Type.Optional(Time),
          startsAt: Type.Optional(Time),
          said: Type.Array(
            Type.Object({
              at: Time,
              what: Type.Enum(['granted', 'refused', 'withdrawn', 'closed', 'ended']),
            }),
            { description: 'AWS’s words on access, oldest first, by AWS’s own times.' },
          ),
        },
        { description: 'What AWS said of the agreement that it follows.' },
      ),
    ),
    endReason: Type.Optional(Type.String({ description: 'AWS’s word for why it ended, or ours.' })),
    finalUsage: Type.Optional(
      Type.Object(
        {
          settled: Type.Boolean(),
          openHours: Type.Integer(),
          heldHours: Type.Integer(),
          unsentRecords: Type.Integer(),
          inDoubtRecords: Type.Integer(),
        },
        { description: 'Of an ended one: what is left to bill.' },
      ),
    ),
    alarms: Type.Array(
      Type.Object({
        kind: Type.String(),
        message: Type.String(),
        since: Time,
        last: Time,
        count: Type.Integer(),
      }),
      { description: 'What a person should look at.' },
    ),
  },
  { $id: 'SubscriptionDetail' },
)

export const SUBSCRIPTION_SCHEMAS = [SubscriptionBody, SubscriptionDetail]

export const Detail = ref(SubscriptionDetail)

export function toSubscription(subscription: Subscription): Static<typeof SubscriptionBody> {
  const { id, product, buyer, channel, plan, tenantId, status, licenseArn, customerAwsAccountId } =
    subscription
  const { customerIdentifier, agreementId, grantedAt, termEnd, freeTrial } = subscription
  const { accessStart, accessEnd, finalWindowEnd, successor, createdAt } = subscription
  return {
    id,
    product,
    buyer,
    channel,
    ...(plan !== undefined && { plan }),
    ...(tenantId !== undefined && { tenantId }),
    status,
    ...(licenseArn !== undefined && { licenseArn }),
    ...(customerAwsAccountId !== undefined && { customerAWSAccountId: customerAwsAccountId }),
    ...(customerIdentifier !== undefined && { customerIdentifier }),
    ...(agreementId !== undefined && { agreementId }),
    ...(grantedAt !== undefined && { grantedAt: timeText(grantedAt) }),
    ...(termEnd !== undefined && { termEnd: timeText(termEnd) }),
    ...(freeTrial !== undefined && { freeTrial }),
    accessStart: timeText(accessStart),
    ...(accessEnd !== undefined && { accessEnd: timeText(accessEnd) }),
    ...(finalWindowEnd !== undefined && { finalWindowEnd: timeText(finalWindowEnd) }),
    ...(successor !== undefined && { successor }),
    createdAt: timeText(createdAt),
  }
}

/** A subscription with all that is known about it. */
export async function readDetail(
  deps: Pick<HttpDeps, 'history' | 'entitlements' | 'catalog' | 'clock'>,
  subscription: Subscription,
): Promise<Static<typeof SubscriptionDetail>> {
  const facts = await readSubscriptionFacts(deps, subscription)
  const { agreement, unsettled, alarms } = facts
  const refusal = refusalOf({ subscription, product: undefined, reading: undefined }, {})
  const reason = endReasonOf(subscription, facts)
  const settled = isFinalUsageSettled(subscription, unsettled)
  return {
    ...toSubscription(subscription),
    access: refusal === undefined ? { allowed: true } : { allowed: false, reason: refusal },
    explanation: describeSubscription(subscription, facts, deps.clock.now()),
    terms: toTerms(subscription, agreement),
    ...(agreement !== undefined && { agreement: toAgreement(agreement) }),
    ...(reason !== undefined && { endReason: reason }),
    ...(settled !== undefined && { finalUsage: { settled, ...unsettled } }),
    alarms: alarms.map(({ kind, message, firstAt, at, count }) => ({
      kind,
      message,
      since: timeText(firstAt),
      last: timeText(at),
      count,
    })),
  }
}

/** The subscription, if this key may see it. @throws {DomainError} `subscription.not_found` */
export function findSubscription(
  { subscriptions }: Pick<HttpDeps, 'subscriptions'>,
  key: ServiceKey | undefined,
  id: string,
): Promise<Subscription> {
  return findVisible(key, 'subscription.not_found', 'subscription', () => subscriptions.get(id))
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString()
}

function toTerms(
  { channel, freeTrial, termEnd }: Subscription,
  agreement: Agreement | undefined,
): Static<typeof SubscriptionDetail>['terms'] {
  if (channel !== 'aws')
    return {
      soldBy: 'seller',
      price: channel === 'free' ? 'free' : 'seller',
      freeTrial: 'no',
      termEnd: 'none',
    }
  const { throughPartner } = agreement ?? {}
  const soldBy = throughPartner === undefined ? 'unknown' : throughPartner ? 'partner' : 'seller'
  // Pay as you go has no end: known where AWS has told the terms.
  const isOpenEnded = soldBy === 'seller' && agreement !== undefined && agreement.acceptedAt !== undefined
  return {
    soldBy,
    price: soldBy === 'seller' ? 'aws' : 'unknown',
    freeTrial: freeTrial === undefined ? 'unknown' : freeTrial ? 'yes' : 'no',
    termEnd: termEnd !== undefined ? timeText(termEnd) : isOpenEnded ? 'none' : 'unknown',
  }
}

function toAgreement(agreement: Agreement) {
  const { agreementId, previousAgreementId, offerId, intent, endStatus, acceptedAt, startsAt, marks } =
    agreement
  return {
    ...(agreementId !== undefined && { agreementId }),
    ...(previousAgreementId !== undefined && { previousAgreementId }),
    ...(offerId !== undefined && { offerId }),
    ...(intent !== undefined && { intent }),
    ...(endStatus !== undefined && { endStatus }),
    ...(acceptedAt !== undefined && { acceptedAt: timeText(acceptedAt) }),
    ...(startsAt !== undefined && { startsAt: timeText(startsAt) }),
    said: marks.map(({ at, what }) => ({ at: timeText(at), what })),
  }
}
