import type { Endpoint } from '../products/endpoint.ts'
import type { Product } from '../products/product.ts'
import { hourOf } from '../usage/hour.ts'
import {
  type EndpointHealth,
  type HealthChange,
  type HealthHour,
  type Uptime,
  uptimeOf,
} from './endpoint-health.ts'
import type { HealthStore } from './health-store.ts'

/** Over which time uptime is told, hours. The hour in progress counts, and the one that the time began in. */
export const UPTIME_HOURS = { '24h': 24, '7d': 168, '30d': 720 } as const
export type UptimeSpan = keyof typeof UPTIME_HOURS

export interface HealthOfEndpoint {
  readonly endpoint: Endpoint
  /** Undefined: it was never asked. */
  readonly health: EndpointHealth | undefined
  readonly uptime: Readonly<Record<UptimeSpan, Uptime>>
  /** Newest first. */
  readonly changes: readonly HealthChange[]
}

const CHANGES_MAX = 20
const PAGE = 720

/** How a product's endpoints are, and how they were. */
export async function describeHealth(
  health: Pick<HealthStore, 'list' | 'hours' | 'changes'>,
  { id: product, endpoints }: Pick<Product, 'id' | 'endpoints'>,
  now: number,
): Promise<readonly HealthOfEndpoint[]> {
  const known = await health.list(product)
  const thisHour = hourOf(now)
  const hours = await hoursSince(health, product, thisHour - UPTIME_HOURS['30d'])
  return Promise.all(
    endpoints.map(async (endpoint) => {
      const name = { product, endpoint: endpoint.id }
      const own = hours.filter((hour) => hour.endpoint === endpoint.id)
      const over = (span: UptimeSpan) =>
        uptimeOf(own.filter(({ hour }) => hour >= thisHour - UPTIME_HOURS[span]))
      return {
        endpoint,
        health: known.find((one) => one.endpoint === endpoint.id),
        uptime: { '24h': over('24h'), '7d': over('7d'), '30d': over('30d') },
        changes: await health.changes(name, CHANGES_MAX),
      }
    }),
  )
}

async function hoursSince(
  health: Pick<HealthStore, 'hours'>,
  product: string,
  from: number,
): Promise<readonly HealthHour[]> {
  const hours: HealthHour[] = []
  let cursor: string | undefined
  do {
    const page = await health.hours({ product, from, limit: PAGE, cursor })
    hours.push(...page.items)
    cursor = page.next
  } while (cursor !== undefined)
  return hours
}
