import { randomUUID } from 'node:crypto'
import type { Plan } from '../plans/plan.ts'
import { choosablePlans } from '../plans/plan-version.ts'
import type { Product } from '../products/product.ts'
import { applyPatch } from '../subscriptions/case-draft.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import { type DomainEvent, type DomainEventType, eventView } from '../telling/domain-event.ts'
import { MINUTE_MS } from '../usage/hour.ts'
import {
  type Entitlement,
  type EntitlementPeriod,
  type EntitlementReading,
  isEntitledTo,
  lastExpiry,
  unitsByDimension,
} from './entitlement.ts'
import type { EntitlementState, ReadingChanges } from './entitlement-store.ts'

/** Two empty answers this far apart are believed. */
export const EMPTY_TWICE_MS = 10 * MINUTE_MS
/** After an attempt in vain, and while a buyer waits for AWS's word. */
const AGAIN_MS = 5 * MINUTE_MS
/** After an event that nothing had changed with: its answer may not be there yet. */
const AFTER_EVENT_MS = 2 * MINUTE_MS
/** Dates that move by less are the same term. */
const TERM_MS_MIN = 24 * 60 * MINUTE_MS

/** What came of asking AWS. */
export type Answer =
  | { readonly kind: 'answered'; readonly entitlements: readonly Entitlement[] }
  | { readonly kind: 'failed'; readonly failure: string }

export interface AnswerContext {
  readonly product: Product
  /** ms: what AWS says is as of then, or later. */
  readonly askedAt: number
  /** AWS's own time of the event that was the reason to ask, ms. */
  readonly occurredAt: number | undefined
  readonly refreshMs: number
}

/**
 * What AWS's answer means for a subscription. An empty one takes nothing away, it is only noted; a failed one leaves
 * the last answer to serve. Pure.
 *
 * @returns undefined where a later question was answered meanwhile
 */
export function takeAnswer(
  { subscription, reading }: EntitlementState,
  answer: Answer,
  context: AnswerContext,
): ReadingChanges | undefined {
  const { askedAt, refreshMs } = context
  const before: EntitlementReading = reading ?? {
    subscription: subscription.id,
    entitlements: [],
    readAt: undefined,
    emptySince: undefined,
    failedAt: undefined,
    failure: undefined,
  }
  if (before.readAt !== undefined && before.readAt > askedAt) return undefined
  const nothing = { periods: [], planFrom: askedAt, tell: [] }
  if (answer.kind === 'failed') {
    return {
      ...nothing,
      reading: { ...before, failedAt: askedAt, failure: answer.failure },
      nextAt: askedAt + Math.min(refreshMs, AGAIN_MS),
    }
  }
  const answered = { ...before, readAt: askedAt, failedAt: undefined, failure: undefined }
  if (answer.entitlements.length === 0) {
    return {
      ...nothing,
      reading: { ...answered, emptySince: before.emptySince ?? askedAt },
      nextAt: askedAt + (subscription.status === 'pending' ? AGAIN_MS : EMPTY_TWICE_MS),
    }
  }
  return takeGranted(
    subscription,
    before,
    { ...answered, emptySince: undefined, entitlements: answer.entitlements },
    context,
  )
}

function takeGranted(
  subscription: Subscription,
  before: EntitlementReading,
  reading: EntitlementReading,
  { product, askedAt, occurredAt, refreshMs }: AnswerContext,
): ReadingChanges {
  const isFirst = before.entitlements.length === 0
  // Not before AWS said otherwise; and what it says first holds for all that was used before it was asked.
  const from = isFirst ? 0 : Math.min(askedAt, Math.max(occurredAt ?? askedAt, before.readAt ?? 0))
  const periods = changedUnits(before.entitlements, reading.entitlements, from)
  const isChanged = contentOf(before.entitlements) !== contentOf(reading.entitlements)
  const patch = patchOf(subscription, product, reading.entitlements, before.entitlements)
  const after = applyPatch(subscription, patch)
  const tell: DomainEvent[] = []
  if (isChanged)
    tell.push(
      eventOf('entitlements.changed', after, askedAt, {
        entitlements: reading.entitlements.map(viewOf),
        before: before.entitlements.map(viewOf),
      }),
    )
  if (after.plan !== subscription.plan)
    tell.push(
      eventOf('subscription.changed', after, askedAt, {
        before: { plan: subscription.plan, tenantId: subscription.tenantId },
      }),
    )
  return {
    reading,
    nextAt:
      askedAt + (occurredAt !== undefined && !isChanged ? Math.min(refreshMs, AFTER_EVENT_MS) : refreshMs),
    periods,
    term: newTerm(before.entitlements, reading.entitlements),
    patch,
    planFrom: from,
    tell,
  }
}

function changedUnits(
  before: readonly Entitlement[],
  after: readonly Entitlement[],
  from: number,
): EntitlementPeriod[] {
  const [old, fresh] = [unitsByDimension(before), unitsByDimension(after)]
  return [...new Set([...old.keys(), ...fresh.keys()])]
    .map((dimension) => ({ dimension, units: fresh.get(dimension) ?? 0, from }))
    .filter(({ dimension, units }) => units !== (old.get(dimension) ?? 0))
}

/** A contract that now ends later than it did was renewed when it would have ended. */
function newTerm(before: readonly Entitlement[], after: readonly Entitlement[]): number | undefined {
  const end = lastExpiry(before)
  if (end === undefined || after.length === 0) return undefined
  return (lastExpiry(after) ?? Number.POSITIVE_INFINITY) - end >= TERM_MS_MIN ? end : undefined
}

function patchOf(
  { plan, agreementId, termEnd }: Subscription,
  product: Product,
  entitlements: readonly Entitlement[],
  before: readonly Entitlement[],
): NonNullable<ReadingChanges['patch']> {
  const granted = grantedPlan(product, entitlements, plan, before)
  const wasGranted = product.plans.find(({ id }) => id === plan)?.grantedBy !== undefined
  const expiry = lastExpiry(entitlements)
  return {
    ...(granted !== undefined && granted !== plan && { plan: granted }),
    // A plan that a person gave stays; one that a contract granted goes with it.
    ...(granted === undefined && wasGranted && { plan: null }),
    // Where AWS names an agreement, the agreement says when it ends.
    ...(agreementId === undefined && expiry !== undefined && expiry !== termEnd && { termEnd: expiry }),
  }
}

/**
 * The last plan of the list that a contract grants. Whoever has a plan keeps it beside another one that the same entitlement
 * grants: AWS says nothing of which of the two it is. A retired one has no place in the list any more: it is kept until AWS
 * grants something that it did not grant before. So what the seller retires or adds moves nobody.
 *
 * @param held - the plan until now
 * @param before - what AWS granted until now
 */
export function grantedPlan(
  product: Pick<Product, 'plans'>,
  entitlements: readonly Entitlement[],
  held: string | undefined,
  before: readonly Entitlement[] = [],
): string | undefined {
  const isGranted = ({ grantedBy }: Plan) => grantedBy !== undefined && isEntitledTo(entitlements, grantedBy)
  const isNew = ({ grantedBy }: Plan) => before.length > 0 && !isEntitledTo(before, grantedBy!)
  const granted = choosablePlans(product).filter(isGranted)
  const last = granted.at(-1)
  const kept = product.plans.find((plan) => plan.id === held && isGranted(plan))
  if (kept === undefined) return last?.id
  if (last === undefined || last.grantedBy === kept.grantedBy) return kept.id
  return kept.isRetired ? (granted.findLast(isNew)?.id ?? kept.id) : last.id
}

/** The same whatever order AWS lists them in. */
function contentOf(entitlements: readonly Entitlement[]): string {
  return entitlements
    .map(({ dimension, value }) => JSON.stringify([dimension, value.kind, value.value]))
    .sort()
    .join('\n')
}

function viewOf({ dimension, value, expiresAt }: Entitlement): Record<string, unknown> {
  return {
    dimension,
    value: value.value,
    ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt).toISOString() }),
  }
}

function eventOf(
  type: DomainEventType,
  subscription: Subscription,
  at: number,
  more: Readonly<Record<string, unknown>>,
): DomainEvent {
  const { id, product, buyer } = subscription
  return {
    id: `evt_${randomUUID()}`,
    type,
    at,
    product,
    buyer,
    subscription: id,
    data: { subscription: eventView(subscription), ...more },
  }
}
