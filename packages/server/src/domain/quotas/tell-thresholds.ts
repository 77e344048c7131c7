import { hash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Prompt } from '../prompt.ts'
import { type DomainEvent, eventView } from '../telling/domain-event.ts'
import type { OutboxStore } from '../telling/outbox-store.ts'
import type { Leases } from './leases.ts'
import { limitStates } from './plan-limits.ts'
import type { LimitState, QuotaAnswer } from './quota-answer.ts'
import type { QuotaStore } from './quota-store.ts'
import type { Settled } from './reserve-quota.ts'
import { upgradeOf } from './upgrade.ts'
import { baseText } from './validate-quota.ts'

/** Percent of a limit that somebody is told of, the highest first. */
const THRESHOLDS = [100, 80] as const
/** Those of a minute or an hour start anew before anybody could do something. */
const TOLD_WINDOWS: readonly string[] = ['day', 'month', 'lifetime']
const TOLD_MAX = 100_000

/**
 * Tells the seller's systems, and by mail the buyer, that a limit is nearly or wholly used: once for each window, threshold and
 * limit. What is only reserved may be let go of: it is told when it is settled. It follows from what is counted, so what a crash kept from being told is told at the next use.
 */
export interface ThresholdTeller {
  look(answer: Told): Prompt<void>
  /** What was only reserved until now is used. */
  lookAtSettled(settled: Settled): Promise<void>
}

type Told = Pick<QuotaAnswer, 'holder' | 'dimension' | 'scale' | 'limits'>

export function createThresholdTeller(deps: {
  readonly outbox: Pick<OutboxStore, 'tellOnce'>
  readonly quotas: Pick<QuotaStore, 'read'>
  readonly leases: Pick<Leases, 'unused'>
  readonly clock: Pick<Clock, 'now'>
  readonly onError: (error: unknown) => void
}): ThresholdTeller {
  /** Ids of what this node has told, or seen told. */
  const told = new Set<string>()

  function look(answer: Told): Prompt<void> {
    const events: DomainEvent[] = []
    for (const limit of answer.limits) {
      const event = eventOf(answer, limit, deps.clock.now())
      if (event !== undefined && !told.has(event.id)) events.push(event)
    }
    return events.length === 0 ? undefined : tell(events)
  }

  async function tell(events: readonly DomainEvent[]): Promise<void> {
    for (const event of events) {
      if (told.size >= TOLD_MAX) told.clear()
      told.add(event.id)
      try {
        await deps.outbox.tellOnce(event)
      } catch (error) {
        // Who asked is let through all the same.
        told.delete(event.id)
        deps.onError(error)
      }
    }
  }

  return {
    look,
    async lookAtSettled({ reservation, holder, limits: all, isSettled, scale }) {
      // A successor counts in windows of its own.
      if (!isSettled || holder.subscription === undefined || holder.id !== reservation.holder) return
      const now = deps.clock.now()
      const limits = all.filter(
        ({ window, max, end }) => isTold(window, max) && (end === undefined || now < end),
      )
      if (limits.length === 0) return
      const { dimension } = reservation
      const keys = limits.map(({ window, start }) => ({ holder: holder.id, dimension, window, start }))
      try {
        const counters = await deps.quotas.read(keys)
        const used = counters.map((counter, index) => ({
          ...counter,
          used: Math.max(0, counter.used - deps.leases.unused(keys[index]!)),
        }))
        await look({ holder, dimension, scale, limits: limitStates(limits, used) })
      } catch (error) {
        // It is settled all the same, and told at the next use.
        deps.onError(error)
      }
    },
  }
}

function isTold(window: string, max: number | undefined): boolean {
  return max !== undefined && max > 0 && TOLD_WINDOWS.includes(window)
}

function eventOf(answer: Told, limit: LimitState, now: number): DomainEvent | undefined {
  const { holder, dimension, scale } = answer
  const { window, max, startsAt, resetAt, onExceed } = limit
  const used = limit.used - limit.held
  const subscription = holder?.subscription
  if (subscription === undefined || max === undefined || !isTold(window, max)) return undefined
  const percent = THRESHOLDS.find((threshold) => used * 100 >= max * threshold)
  if (percent === undefined) return undefined
  const upgrade = upgradeOf(holder!)
  return {
    id: idOf([subscription.id, dimension, window, startsAt, max, percent]),
    type: 'quota.threshold_reached',
    at: now,
    product: subscription.product,
    buyer: subscription.buyer,
    subscription: subscription.id,
    data: {
      subscription: eventView(subscription),
      dimension,
      percent,
      window,
      limit: baseText(max, scale),
      used: baseText(used, scale),
      onExceed,
      ...(resetAt !== undefined && { resetAt: new Date(resetAt).toISOString() }),
      ...(upgrade !== undefined && { upgrade: { plan: upgrade.plan?.id, url: upgrade.url } }),
    },
  }
}

/** The same for the same: whichever node tells it, and however often. */
function idOf(parts: readonly (string | number)[]): string {
  const hex = hash('sha256', JSON.stringify(parts), 'hex')
  return `evt_${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
