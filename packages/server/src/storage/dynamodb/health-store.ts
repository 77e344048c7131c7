import type {
  EndpointHealth,
  HealthChange,
  HealthHour,
  HealthState,
} from '../../domain/health/endpoint-health.ts'
import { alarmSubject } from '../../domain/health/endpoint-health.ts'
import type { HealthStore } from '../../domain/health/health-store.ts'
import { hourOf } from '../../domain/usage/hour.ts'
import { clearAlarm, raiseAlarm } from './alarms.ts'
import { appendDomainEvent, transactionThatTells } from './domain-events.ts'
import { int, optionalInt, optionalText, text } from './fields.ts'
import {
  healthChangeKey,
  healthChangePrefix,
  healthChangesPrefix,
  healthHourKey,
  healthHourPrefix,
  healthKey,
  healthPartition,
  healthPrefix,
} from './keys.ts'
import type { Item, Key, Reader, Table } from './table.ts'

/** So many are looked through at once for those of one endpoint. */
const CHUNK = 1_000

export function createDynamoHealthStore(table: Table): HealthStore {
  return {
    record: (name, decide) =>
      transactionThatTells(table, async (tx) => {
        const item = await tx.get(healthKey(name.product, name.endpoint))
        const { health, hour, change, tell, raise, clears } = decide(item && toHealth(item))
        tx.put(healthItem(health))
        if (hour !== undefined) {
          await tx.get(healthHourKey(hour.product, hour.hour, hour.endpoint))
          tx.put(hourItem(hour))
        }
        if (change !== undefined) {
          await tx.get(healthChangeKey(change.product, change.endpoint, change.at))
          tx.put(changeItem(change))
        }
        if (raise !== undefined) await raiseAlarm(tx, raise)
        if (clears) await clearAlarm(tx, 'endpoint_down', alarmSubject(name))
        for (const event of tell) await appendDomainEvent(tx, event)
      }),
    list: async (product) =>
      (await table.query({ pk: healthPartition(product), prefix: healthPrefix })).map(toHealth),
    hours: (options) => listHours(table, options),
    changes: async ({ product, endpoint }, limit) =>
      (await table.query({ pk: healthPartition(product), prefix: healthChangePrefix(endpoint), limit })).map(
        toChange,
      ),
    forget: (name) =>
      table.transaction(async (tx) => {
        const key = healthKey(name.product, name.endpoint)
        if ((await tx.get(key)) !== undefined) tx.delete(key)
        await clearAlarm(tx, 'endpoint_down', alarmSubject(name))
      }),
    async purge(product, before, limit) {
      const pk = healthPartition(product)
      // Sorted by how long ago they are: the oldest come last.
      const to = `${healthHourPrefix}~`
      const from = healthHourKey(product, hourOf(before) - 1, '').sk
      const hours = await table.query({ pk, from, to, reverse: true, limit })
      const changes = await oldChanges(table, product, before, limit)
      await removeAll(table, [...hours, ...changes])
      return Math.max(hours.length, changes.length)
    },
  }
}

/** Of one endpoint after the other, gone ones too, from the oldest on: what is kept is not read. */
async function oldChanges(
  reader: Reader,
  product: string,
  before: number,
  limit: number,
): Promise<readonly Item[]> {
  const pk = healthPartition(product)
  const end = `${healthChangesPrefix}\uFFFF`
  const found: Item[] = []
  let from = healthChangesPrefix
  while (found.length < limit) {
    const [latest] = await reader.query({ pk, from, to: end, limit: 1 })
    if (latest === undefined) break
    const { endpoint } = toChange(latest)
    const last = `${healthChangePrefix(endpoint)}\uFFFF`
    // Sorted by how long ago they are, too.
    const oldest = healthChangeKey(product, endpoint, before - 1).sk
    const left = limit - found.length
    found.push(...(await reader.query({ pk, from: oldest, to: last, reverse: true, limit: left })))
    from = last
  }
  return found
}

async function removeAll(table: Table, keys: readonly Key[]): Promise<void> {
  const atOnce = table.transactionItemsMax
  for (let from = 0; from < keys.length; from += atOnce)
    await table.transaction(async (tx) => {
      const items = await tx.getMany(keys.slice(from, from + atOnce))
      for (const item of items) if (item !== undefined) tx.delete({ pk: item.pk, sk: item.sk })
    })
}

async function listHours(
  reader: Reader,
  { product, endpoint, from = 0, limit, cursor }: Parameters<HealthStore['hours']>[0],
): ReturnType<HealthStore['hours']> {
  const pk = healthPartition(product)
  const to = `${healthHourKey(product, from, '').sk}~`
  const found: HealthHour[] = []
  let after = cursor ?? healthHourPrefix
  for (;;) {
    const chunk = Math.max(CHUNK, limit + 1)
    const items = await reader.query({ pk, from: `${after}!`, to, limit: chunk })
    for (const item of items) {
      const hour = toHour(item)
      if (endpoint !== undefined && hour.endpoint !== endpoint) continue
      if (found.length === limit) {
        const last = found.at(-1)!
        return { items: found, next: healthHourKey(product, last.hour, last.endpoint).sk }
      }
      found.push(hour)
    }
    if (items.length < chunk) return { items: found, next: undefined }
    after = items.at(-1)!.sk
  }
}

export function healthItem(health: EndpointHealth): Item {
  const { product, endpoint, state, since, checkedAt, failures, reason, latencyMs } = health
  const { hour, up, down, latencies } = health
  return {
    ...healthKey(product, endpoint),
    ...{ product, endpoint, state, since, checkedAt, failures, reason, latency: latencyMs },
    ...{ hour, up, down, latencies: JSON.stringify(latencies) },
  }
}

export function hourItem({ product, endpoint, hour, up, down, p50, p95, max }: HealthHour): Item {
  const key = healthHourKey(product, hour, endpoint)
  return { ...key, product, endpoint, hour, up, down, p50, p95, longest: max }
}

export function changeItem({ product, endpoint, at, state, reason }: HealthChange): Item {
  return { ...healthChangeKey(product, endpoint, at), product, endpoint, at, state, reason }
}

function toHealth(item: Item): EndpointHealth {
  return {
    product: text(item.product),
    endpoint: text(item.endpoint),
    state: text(item.state) as HealthState,
    since: int(item.since),
    checkedAt: int(item.checkedAt),
    failures: int(item.failures),
    reason: optionalText(item.reason),
    latencyMs: optionalInt(item.latency),
    hour: int(item.hour),
    up: int(item.up),
    down: int(item.down),
    latencies: JSON.parse(text(item.latencies)),
  }
}

function toHour(item: Item): HealthHour {
  return {
    product: text(item.product),
    endpoint: text(item.endpoint),
    hour: int(item.hour),
    up: int(item.up),
    down: int(item.down),
    p50: optionalInt(item.p50),
    p95: optionalInt(item.p95),
    max: optionalInt(item.longest),
  }
}

function toChange(item: Item): HealthChange {
  return {
    product: text(item.product),
    endpoint: text(item.endpoint),
    at: int(item.at),
    state: text(item.state) as HealthState,
    reason: optionalText(item.reason),
  }
}
