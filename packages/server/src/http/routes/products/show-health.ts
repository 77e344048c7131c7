import type { Static } from 'typebox'
import type { HealthOfEndpoint } from '../../../domain/health/describe-health.ts'
import type { HealthHour, Uptime } from '../../../domain/health/endpoint-health.ts'
import { hourStart } from '../../../domain/usage/hour.ts'
import { timeText } from '../subscriptions/subscription-body.ts'
import type { HealthBody, HealthHourBody } from './product-body.ts'

export function toHealthBody({
  endpoint,
  health,
  uptime,
  changes,
}: HealthOfEndpoint): Static<typeof HealthBody> {
  return {
    endpoint: endpoint.id,
    url: endpoint.url,
    state: health?.state ?? 'unknown',
    ...(health !== undefined && { since: timeText(health.since), checkedAt: timeText(health.checkedAt) }),
    ...(health?.latencyMs !== undefined && { latencyMs: health.latencyMs }),
    failures: health?.failures ?? 0,
    ...(health?.reason !== undefined && { reason: health.reason }),
    uptime: {
      '24h': toUptime(uptime['24h']),
      '7d': toUptime(uptime['7d']),
      '30d': toUptime(uptime['30d']),
    },
    changes: changes.map(({ at, state, reason }) => ({
      at: timeText(at),
      state,
      ...(reason !== undefined && { reason }),
    })),
  }
}

function toUptime({ up, down, percent }: Uptime) {
  return { up, down, ...(percent !== undefined && { percent }) }
}

export function toHourBody({
  endpoint,
  hour,
  up,
  down,
  p50,
  p95,
  max,
}: HealthHour): Static<typeof HealthHourBody> {
  return {
    endpoint,
    hour: timeText(hourStart(hour)),
    up,
    down,
    ...(p50 !== undefined && { p50Ms: p50 }),
    ...(p95 !== undefined && { p95Ms: p95 }),
    ...(max !== undefined && { maxMs: max }),
  }
}
