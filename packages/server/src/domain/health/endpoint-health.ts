import { randomUUID } from 'node:crypto'
import type { Endpoint } from '../products/endpoint.ts'
import type { DomainEvent } from '../telling/domain-event.ts'
import { hourOf } from '../usage/hour.ts'
import type { Alarm } from '../usage/usage-store.ts'
import { isQuietChange, isStillDown } from './flapping.ts'

/** `unknown`: nobody has asked yet, or not often enough to call it down. */
export type HealthState = 'unknown' | 'up' | 'down'

/** Which endpoint it is about. */
export interface EndpointName {
  readonly product: string
  readonly endpoint: string
}

/** How an endpoint is now, with what was measured in the hour of its last probe. */
export interface EndpointHealth extends EndpointName {
  readonly state: HealthState
  /** When it came to be so, ms. */
  readonly since: number
  /** When it was last asked, ms. */
  readonly checkedAt: number
  /** Failures in a row, up to now. */
  readonly failures: number
  /** Why it failed last, or was not asked; undefined where the last answer was good. */
  readonly reason: string | undefined
  /** Of the last good answer, ms. */
  readonly latencyMs: number | undefined
  readonly hour: number
  /** Probes of that hour. */
  readonly up: number
  readonly down: number
  /** Of its good answers, ms, in their order. */
  readonly latencies: readonly number[]
}

/** What one hour of an endpoint came to. */
export interface HealthHour extends EndpointName {
  /** Hours since 1970. */
  readonly hour: number
  /** Probes with a good answer, and without. */
  readonly up: number
  readonly down: number
  /** Of the good answers, ms; undefined where there was none. */
  readonly p50: number | undefined
  readonly p95: number | undefined
  readonly max: number | undefined
}

/** An endpoint that became up or down. */
export interface HealthChange extends EndpointName {
  readonly at: number
  readonly state: HealthState
  readonly reason: string | undefined
}

/** What came of asking once. Reasons are in our own words: nothing of an answer is quoted but the names of checks. */
export type ProbeOutcome =
  | { readonly kind: 'up'; readonly latencyMs: number }
  | { readonly kind: 'failed'; readonly reason: string }
  /** It may not be asked from here: nothing is known of it. */
  | { readonly kind: 'skipped'; readonly reason: string }

/** What is written of one probe, in one step. */
export interface HealthStep {
  readonly health: EndpointHealth
  readonly hour: HealthHour | undefined
  readonly change: HealthChange | undefined
  readonly tell: readonly DomainEvent[]
  readonly raise: Alarm | undefined
  /** It is up: the alarm is over. */
  readonly clears: boolean
}

/** Times of an hour's answers that are kept: more than there are probes in one. */
const LATENCIES_MAX = 400

/** The subject of an endpoint's alarm. */
export function alarmSubject({ product, endpoint }: EndpointName): string {
  return `${product}/${endpoint}`
}

/**
 * What follows from a probe: only so many failures in a row make an endpoint down, one good answer makes it up.
 *
 * @param changes - the latest, newest first; `CHANGES_JUDGED` are enough
 */
export function judgeProbe(
  product: string,
  endpoint: Pick<Endpoint, 'id' | 'url' | 'downAfter'>,
  before: EndpointHealth | undefined,
  outcome: ProbeOutcome,
  now: number,
  changes: readonly HealthChange[] = [],
): HealthStep {
  const name = { product, endpoint: endpoint.id }
  const known = before ?? newHealth(name, now)
  // A clock that was put back must not write an hour anew.
  const hour = Math.max(hourOf(now), known.hour)
  const counts = hour === known.hour ? known : { up: 0, down: 0, latencies: [] }
  const asked = { ...known, ...counts, hour, checkedAt: now }
  if (outcome.kind === 'skipped')
    return { ...NOTHING, health: { ...asked, reason: outcome.reason, failures: 0 } }
  const isUp = outcome.kind === 'up'
  const failures = isUp ? 0 : known.failures + 1
  const state = isUp ? 'up' : failures >= endpoint.downAfter ? 'down' : known.state
  const reason = isUp ? undefined : outcome.reason
  const hasChanged = state !== known.state
  const health: EndpointHealth = {
    ...asked,
    state,
    since: hasChanged ? now : known.since,
    failures,
    reason,
    latencyMs: isUp ? outcome.latencyMs : known.latencyMs,
    up: counts.up + (isUp ? 1 : 0),
    down: counts.down + (isUp ? 0 : 1),
    latencies: isUp ? [...counts.latencies, outcome.latencyMs].slice(-LATENCIES_MAX) : counts.latencies,
  }
  // That it is up for the first time is no news.
  const isNews = hasChanged && (state === 'down' || known.state === 'down')
  const isQuiet = isQuietChange(known, state, now, changes)
  return {
    health,
    hour: toHour(health),
    change: hasChanged ? { ...name, at: now, state, reason } : undefined,
    tell:
      isNews || isStillDown(known, state, now, changes)
        ? [eventOf(health, endpoint.url, known, now, isNews && isQuiet)]
        : [],
    raise:
      state === 'down'
        ? {
            kind: 'endpoint_down',
            subject: alarmSubject(name),
            message: `endpoint ${endpoint.id} of ${product} is down: ${reason}. See docs/health.md`,
            at: now,
          }
        : undefined,
    clears: hasChanged && state === 'up',
  }
}

const NOTHING = { hour: undefined, change: undefined, tell: [], raise: undefined, clears: false } as const

function newHealth(name: EndpointName, now: number): EndpointHealth {
  return {
    ...name,
    state: 'unknown',
    since: now,
    checkedAt: now,
    failures: 0,
    reason: undefined,
    latencyMs: undefined,
    hour: hourOf(now),
    up: 0,
    down: 0,
    latencies: [],
  }
}

function toHour({ product, endpoint, hour, up, down, latencies }: EndpointHealth): HealthHour {
  const sorted = latencies.toSorted((a, b) => a - b)
  return {
    ...{ product, endpoint, hour, up, down },
    p50: percentile(sorted, 50),
    p95: percentile(sorted, 95),
    max: sorted.at(-1),
  }
}

/** The smallest value that so many percent are not above. */
function percentile(sorted: readonly number[], percent: number): number | undefined {
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1]
}

function eventOf(
  health: EndpointHealth,
  url: string,
  before: EndpointHealth,
  now: number,
  isQuiet: boolean,
): DomainEvent {
  const { product, endpoint, state, reason, failures } = health
  const isDown = state === 'down'
  return {
    id: `evt_${randomUUID()}`,
    type: isDown ? 'endpoint.down' : 'endpoint.up',
    at: now,
    product,
    // Nobody's but the seller's.
    buyer: '',
    subscription: `endpoint:${product}/${endpoint}`,
    data: {
      endpoint: { id: endpoint, url },
      ...(isDown ? { reason, failures } : { downSince: new Date(before.since).toISOString() }),
      ...(isQuiet && { repeated: true }),
    },
  }
}

/** How often it was up, of all times that it was asked. */
export interface Uptime {
  readonly up: number
  readonly down: number
  /** Percent with two decimals, rounded down; undefined where nobody asked. */
  readonly percent: number | undefined
}

export function uptimeOf(hours: readonly Pick<HealthHour, 'up' | 'down'>[]): Uptime {
  const up = hours.reduce((sum, hour) => sum + hour.up, 0)
  const down = hours.reduce((sum, hour) => sum + hour.down, 0)
  const all = up + down
  return { up, down, percent: all === 0 ? undefined : Math.floor((up * 10_000) / all) / 100 }
}
