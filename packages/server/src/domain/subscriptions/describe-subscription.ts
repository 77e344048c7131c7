import type { EntitlementStore } from '../entitlements/entitlement-store.ts'
import type { ProductCatalog } from '../products/product.ts'
import type { OpenAlarm } from '../usage/usage-store.ts'
import { type Agreement, latestSpell } from './agreement.ts'
import type { Subscription } from './subscription.ts'
import type { SubscriptionHistory, UnsettledUsage } from './subscription-history.ts'

/** What is known of a subscription beside its row. */
export interface SubscriptionFacts {
  readonly agreement: Agreement | undefined
  readonly endReason: string | undefined
  readonly unsettled: UnsettledUsage
  readonly alarms: readonly OpenAlarm[]
  /** Since when AWS's answers on what its contract grants are empty, ms; undefined: they are not, or there is none. */
  readonly emptySince: number | undefined
}

/** All that `describeSubscription` needs. */
export async function readSubscriptionFacts(
  deps: {
    readonly history: Pick<
      SubscriptionHistory,
      'findAgreement' | 'findEndReason' | 'readUnsettled' | 'listAlarms'
    >
    readonly entitlements: Pick<EntitlementStore, 'find'>
    readonly catalog: ProductCatalog
  },
  subscription: Subscription,
): Promise<SubscriptionFacts> {
  const { history, entitlements, catalog } = deps
  const { id } = subscription
  const hasContract =
    subscription.channel === 'aws' && (catalog.find(subscription.product)?.pricing ?? 'usage') !== 'usage'
  const [agreement, endReason, unsettled, alarms, entitled] = await Promise.all([
    history.findAgreement(subscription),
    history.findEndReason(id),
    history.readUnsettled(id),
    history.listAlarms(id),
    hasContract ? entitlements.find(id) : undefined,
  ])
  return { agreement, endReason, unsettled, alarms, emptySince: entitled?.reading?.emptySince }
}

/** A subscription in words, for the person who asks why a buyer has access, or has none. */
export interface SubscriptionWords {
  /** How it is, and since when. */
  readonly state: string
  /** What happens next, by itself or by whom. */
  readonly next: string
}

/** Is all that AWS can be told of its use told, and answered? Undefined: it goes on. */
export function isFinalUsageSettled(
  { accessEnd }: Pick<Subscription, 'accessEnd'>,
  { openHours, heldHours, unsentRecords, inDoubtRecords }: UnsettledUsage,
): boolean | undefined {
  return accessEnd === undefined ? undefined : openHours + heldHours + unsentRecords + inDoubtRecords === 0
}

/** Why it ended, in AWS's own word where AWS said one; undefined: it has not, or nobody knows. */
export function endReasonOf(
  { status, accessEnd }: Subscription,
  { agreement, endReason }: Pick<SubscriptionFacts, 'agreement' | 'endReason'>,
): string | undefined {
  if (accessEnd === undefined) return undefined
  if (agreement?.endStatus !== undefined) return agreement.endStatus
  if (endReason !== undefined) return endReason
  if (status === 'superseded') return 'RENEWED'
  return agreement !== undefined && latestSpell(agreement)?.refused === true ? 'REFUSED' : undefined
}

/** @param now - passed in, ms */
export function describeSubscription(
  subscription: Subscription,
  facts: SubscriptionFacts,
  now: number,
): SubscriptionWords {
  switch (subscription.status) {
    case 'pending':
      return describePending(subscription, now)
    case 'active':
      return describeActive(subscription, facts)
    case 'suspended':
      return describeSuspended(subscription)
    case 'failed':
      return {
        state: `Never began: ${failureOf(subscription, facts)}.`,
        next: 'Nothing: the buyer may subscribe again, which is another subscription.',
      }
    case 'superseded':
      return {
        state: `AWS renewed or replaced its agreement on ${day(subscription.accessEnd)}; ${subscription.successor ?? 'another subscription'} goes on in its place, with the same tenant and access.`,
        next: settling(subscription, facts, now),
      }
    case 'cancelling':
    case 'cancelled':
    case 'expired': {
      const reason = endReasonOf(subscription, facts)
      return {
        state: `Ended on ${minute(subscription.accessEnd)}${reason === undefined ? '' : ` (${inWords(reason)})`}: the buyer has no access.`,
        next: settling(subscription, facts, now),
      }
    }
  }
}

function describePending({ id, createdAt, accessStart }: Subscription, now: number): SubscriptionWords {
  const state = `Registered on ${minute(createdAt)}; AWS Marketplace has not said yet that access starts.`
  return accessStart > now
    ? { state, next: `Its agreement starts on ${minute(accessStart)}; access starts when AWS says so then.` }
    : {
        state,
        next: `Access starts with AWS’s next word, usually within minutes. If it does not come, see that notifications reach us, or let it start with \`tollkeeper subscription activate ${id}\`.`,
      }
}

function describeActive(subscription: Subscription, { emptySince }: SubscriptionFacts): SubscriptionWords {
  const { channel, grantedAt, accessStart, freeTrial, licenseArn, customerIdentifier, termEnd } = subscription
  const since = `Active since ${minute(grantedAt ?? accessStart)}`
  if (channel !== 'aws') {
    return {
      state: `${since} (${channel}, not through AWS Marketplace).`,
      next: 'It goes on until you end it; its usage is counted and never sent to AWS.',
    }
  }
  const state = `${since}${freeTrial === true ? ', on a free trial' : ''}.`
  if (licenseArn === undefined && customerIdentifier === undefined) {
    return {
      state,
      next: 'AWS renewed or replaced its agreement and has not named the new license: usage waits for it, and access goes on.',
    }
  }
  if (emptySince !== undefined) {
    return {
      state: `${state} AWS has granted nothing of its contract since ${minute(emptySince)}.`,
      next: 'If AWS says so again, or says that the agreement ended, access ends.',
    }
  }
  return {
    state,
    next:
      termEnd === undefined
        ? 'It goes on until the buyer cancels on AWS Marketplace.'
        : `Its term ends on ${minute(termEnd)}; unless AWS renews it, access ends then.`,
  }
}

function describeSuspended({ id, channel }: Subscription): SubscriptionWords {
  return channel === 'aws'
    ? {
        state: 'Suspended: AWS Marketplace holds it, usually for a payment that is due.',
        next: 'It goes on when AWS says so.',
      }
    : {
        state: 'Suspended by you: the buyer has no access.',
        next: `It goes on with \`tollkeeper subscription resume ${id}\`.`,
      }
}

function failureOf(subscription: Subscription, facts: SubscriptionFacts): string {
  const reason = endReasonOf(subscription, facts)
  return reason === undefined || reason === 'REFUSED'
    ? 'the payment failed, or the agreement ended before access began'
    : inWords(reason)
}

function settling(
  { channel, finalWindowEnd }: Subscription,
  { unsettled }: SubscriptionFacts,
  now: number,
): string {
  const { openHours, heldHours, unsentRecords, inDoubtRecords } = unsettled
  const left = [
    counted(openHours, 'open hour'),
    counted(heldHours, 'held hour'),
    counted(unsentRecords, 'record without AWS’s answer', 'records without AWS’s answer'),
    counted(inDoubtRecords, 'record in doubt', 'records in doubt'),
  ].filter((part) => part !== undefined)
  const what = left.join(', ')
  if (channel === 'aws' && finalWindowEnd !== undefined && now < finalWindowEnd) {
    const until = `AWS takes its final usage until ${minute(finalWindowEnd)}`
    return what === '' ? `${until}; nothing is left to send.` : `${until}: ${what} left.`
  }
  return what === '' ? 'Nothing: its final usage is settled.' : `Its final usage is not settled: ${what}.`
}

function counted(number: number, one: string, many = `${one}s`): string | undefined {
  return number === 0 ? undefined : `${number} ${number === 1 ? one : many}`
}

const REASONS: Readonly<Record<string, string>> = {
  CANCELLED: 'cancelled',
  EXPIRED: 'its term ran out',
  TERMINATED: 'AWS terminated the agreement',
  RENEWED: 'renewed',
  REPLACED: 'replaced by another agreement',
  WITHDRAWN: 'AWS withdrew the license',
  SELLER: 'ended by the seller',
  SAID_BY_SELLER: 'the seller said so',
}

function inWords(reason: string): string {
  return REASONS[reason] ?? reason
}

function minute(ms: number | undefined): string {
  return ms === undefined
    ? 'an unknown day'
    : `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

function day(ms: number | undefined): string {
  return ms === undefined ? 'an unknown day' : new Date(ms).toISOString().slice(0, 10)
}
