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
import type { Row, Sql, SqlDatabase } from './database.ts'
import { appendDomainEvent } from './domain-events.ts'
import { int, optionalInt, optionalText, text } from './rows.ts'

export function createSqlHealthStore(database: SqlDatabase): HealthStore {
  return {
    record: (name, decide) =>
      database.transaction(async (sql) => {
        const row = await sql.get(
          'SELECT * FROM endpoint_health WHERE product = ? AND endpoint = ?',
          name.product,
          name.endpoint,
        )
        const { health, hour, change, tell, raise, clears } = decide(row && toHealth(row))
        await putHealth(sql, health)
        if (hour !== undefined) await putHour(sql, hour)
        if (change !== undefined) await putChange(sql, change)
        if (raise !== undefined) await raiseAlarm(sql, raise)
        if (clears) await clearAlarm(sql, 'endpoint_down', alarmSubject(name))
        for (const event of tell) await appendDomainEvent(sql, event)
      }),
    list: (product) =>
      database.read(async (sql) =>
        (await sql.all('SELECT * FROM endpoint_health WHERE product = ? ORDER BY endpoint', product)).map(
          toHealth,
        ),
      ),
    hours: (options) => database.read((sql) => listHours(sql, options)),
    changes: ({ product, endpoint }, limit) =>
      database.read(async (sql) =>
        (
          await sql.all(
            'SELECT * FROM endpoint_change WHERE product = ? AND endpoint = ? ORDER BY at DESC LIMIT ?',
            product,
            endpoint,
            limit,
          )
        ).map(toChange),
      ),
    forget: (name) =>
      database.transaction(async (sql) => {
        const { product, endpoint } = name
        await sql.run('DELETE FROM endpoint_health WHERE product = ? AND endpoint = ?', product, endpoint)
        await clearAlarm(sql, 'endpoint_down', alarmSubject(name))
      }),
    purge: (product, before, limit) =>
      database.transaction(async (sql) => {
        const hours = await sql.run(
          `DELETE FROM endpoint_hour WHERE (product, hour, endpoint) IN
           (SELECT product, hour, endpoint FROM endpoint_hour WHERE product = ? AND hour < ? ORDER BY hour LIMIT ?)`,
          product,
          hourOf(before),
          limit,
        )
        const changes = await sql.run(
          `DELETE FROM endpoint_change WHERE (product, endpoint, at) IN
           (SELECT product, endpoint, at FROM endpoint_change WHERE product = ? AND at < ? ORDER BY at LIMIT ?)`,
          product,
          before,
          limit,
        )
        return Math.max(hours.changes, changes.changes)
      }),
  }
}

async function putHealth(sql: Sql, health: EndpointHealth): Promise<void> {
  const { product, endpoint, state, since, checkedAt, failures, reason, latencyMs } = health
  const { hour, up, down, latencies } = health
  await sql.run(
    `INSERT INTO endpoint_health
       (product, endpoint, state, since, checked_at, failures, reason, latency, hour, up, down, latencies)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (product, endpoint) DO UPDATE SET state = excluded.state, since = excluded.since,
       checked_at = excluded.checked_at, failures = excluded.failures, reason = excluded.reason, latency = excluded.latency,
       hour = excluded.hour, up = excluded.up, down = excluded.down, latencies = excluded.latencies`,
    product,
    endpoint,
    state,
    since,
    checkedAt,
    failures,
    reason ?? null,
    latencyMs ?? null,
    hour,
    up,
    down,
    JSON.stringify(latencies),
  )
}

async function putHour(sql: Sql, hour: HealthHour): Promise<void> {
  const { product, endpoint, up, down, p50, p95, max } = hour
  await sql.run(
    `INSERT INTO endpoint_hour (product, endpoint, hour, up, down, p50, p95, longest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (product, hour, endpoint) DO UPDATE SET up = excluded.up, down = excluded.down, p50 = excluded.p50,
       p95 = excluded.p95, longest = excluded.longest`,
    product,
    endpoint,
    hour.hour,
    up,
    down,
    p50 ?? null,
    p95 ?? null,
    max ?? null,
  )
}

async function putChange(sql: Sql, { product, endpoint, at, state, reason }: HealthChange): Promise<void> {
  // Of two in one millisecond the last is what it is.
  await sql.run(
    `INSERT INTO endpoint_change (product, endpoint, at, state, reason) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (product, endpoint, at) DO UPDATE SET state = excluded.state, reason = excluded.reason`,
    product,
    endpoint,
    at,
    state,
    reason ?? null,
  )
}

async function listHours(
  sql: Sql,
  { product, endpoint, from = 0, limit, cursor }: Parameters<HealthStore['hours']>[0],
): ReturnType<HealthStore['hours']> {
  const [hour, name] = cursor === undefined ? [] : placeOf(cursor)
  const rows = await sql.all(
    `SELECT * FROM endpoint_hour WHERE product = ? AND hour >= ?
     ${endpoint === undefined ? '' : 'AND endpoint = ?'}
     ${hour === undefined ? '' : 'AND hour <= ? AND (hour < ? OR endpoint > ?)'}
     ORDER BY hour DESC, endpoint LIMIT ?`,
    product,
    from,
    ...(endpoint === undefined ? [] : [endpoint]),
    ...(hour === undefined ? [] : [hour, hour, name!]),
    limit + 1,
  )
  const items = rows.slice(0, limit).map(toHour)
  const last = items.at(-1)
  return {
    items,
    next: rows.length > limit && last !== undefined ? `${last.hour} ${last.endpoint}` : undefined,
  }
}

/** The hour and the endpoint that a page ended with. */
function placeOf(cursor: string): [hour: number, endpoint: string] {
  const space = cursor.indexOf(' ')
  return [Number(cursor.slice(0, space)), cursor.slice(space + 1)]
}

function toHealth(row: Row): EndpointHealth {
  return {
    product: text(row.product),
    endpoint: text(row.endpoint),
    state: text(row.state) as HealthState,
    since: int(row.since),
    checkedAt: int(row.checked_at),
    failures: int(row.failures),
    reason: optionalText(row.reason),
    latencyMs: optionalInt(row.latency),
    hour: int(row.hour),
    up: int(row.up),
    down: int(row.down),
    latencies: JSON.parse(text(row.latencies)),
  }
}

function toHour(row: Row): HealthHour {
  return {
    product: text(row.product),
    endpoint: text(row.endpoint),
    hour: int(row.hour),
    up: int(row.up),
    down: int(row.down),
    p50: optionalInt(row.p50),
    p95: optionalInt(row.p95),
    max: optionalInt(row.longest),
  }
}

function toChange(row: Row): HealthChange {
  return {
    product: text(row.product),
    endpoint: text(row.endpoint),
    at: int(row.at),
    state: text(row.state) as HealthState,
    reason: optionalText(row.reason),
  }
}
