import { randomUUID } from 'node:crypto'
import type { Product } from '../products/product.ts'
import { type DomainEvent, type DomainEventType, eventView } from '../telling/domain-event.ts'
import type { Alarm } from '../usage/usage-store.ts'
import type { BuyerCase, CaseChanges, CasePatch } from './buyer-case.ts'
import type { Subscription, SubscriptionStatus } from './subscription.ts'

/** A case on which a decision is being made: each step sees what the steps before it did. */
export interface CaseDraft {
  readonly now: number
  /** Undefined where configuration no longer has it, or where it does not matter. */
  readonly product: Product | undefined
  /** Oldest first, those that are being created last. */
  subscriptions(): readonly Subscription[]
  get(id: string): Subscription | undefined
  /** Its status before the decision; undefined for one that is being created. */
  statusBefore(id: string): SubscriptionStatus | undefined
  newId(): string
  /** @returns its id */
  create(subscription: Subscription): string
  /** Fields that are what they were are left out. */
  patch(id: string, patch: CasePatch): void
  tell(type: DomainEventType, id: string, more?: Readonly<Record<string, unknown>>): void
  raise(alarm: Alarm): void
  clear(alarm: Pick<Alarm, 'kind' | 'subject'>): void
  changes(): CaseChanges
}

export function draftCase(buyerCase: BuyerCase, now: number, product?: Product): CaseDraft {
  const before = new Map(buyerCase.subscriptions.map((subscription) => [subscription.id, subscription]))
  const after = new Map(before)
  const patches = new Map<string, CasePatch>()
  const told: { type: DomainEventType; id: string; more: Readonly<Record<string, unknown>> }[] = []
  const raise: Alarm[] = []
  const clear: Pick<Alarm, 'kind' | 'subject'>[] = []

  function known(id: string): Subscription {
    const subscription = after.get(id)
    if (subscription === undefined) throw new RangeError(`${id} is not in this case`)
    return subscription
  }

  return {
    now,
    product,
    subscriptions: () => [...after.values()],
    get: (id) => after.get(id),
    statusBefore: (id) => before.get(id)?.status,
    newId: () => `sub_${randomUUID()}`,
    create(subscription) {
      after.set(subscription.id, subscription)
      return subscription.id
    },
    patch(id, patch) {
      const subscription = known(id)
      const changed = Object.entries(patch).filter(
        ([name, value]) => (value ?? undefined) !== subscription[name as keyof Subscription],
      )
      if (changed.length === 0) return
      const fields = Object.fromEntries(changed) as CasePatch
      after.set(id, applyPatch(subscription, fields))
      if (before.has(id)) patches.set(id, { ...patches.get(id), ...fields })
    },
    tell: (type, id, more = {}) => told.push({ type, id, more }),
    raise: (alarm) => raise.push(alarm),
    clear: (alarm) => clear.push(alarm),
    changes: () => ({
      create: [...after.values()].filter(({ id }) => !before.has(id)),
      change: [...patches].map(([id, patch]) => ({ id, patch })),
      // Told as they are once all is decided.
      tell: told.map(({ type, id, more }): DomainEvent => {
        const subscription = known(id)
        const { product, buyer } = subscription
        const data = { subscription: eventView(subscription), ...more }
        return { id: `evt_${randomUUID()}`, type, at: now, product, buyer, subscription: id, data }
      }),
      raise,
      clear,
    }),
  }
}

/** The subscription with a patch applied: a field left out stays, `null` unsets. */
export function applyPatch(subscription: Subscription, patch: CasePatch): Subscription {
  const { termEnd, plan, ...rest } = patch
  return {
    ...subscription,
    ...rest,
    ...(termEnd !== undefined && { termEnd: termEnd ?? undefined }),
    ...(plan !== undefined && { plan: plan ?? undefined }),
  }
}
