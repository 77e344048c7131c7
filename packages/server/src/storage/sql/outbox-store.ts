import { DomainError } from '../../domain/error.ts'
import type { DomainEventType } from '../../domain/telling/domain-event.ts'
import { isFailing, triesAllowed } from '../../domain/telling/judge-delivery.ts'
import type {
  ClaimedDelivery,
  Delivery,
  DeliveryState,
  OutboxStore,
  SinkHealth,
  Verdict,
} from '../../domain/telling/outbox-store.ts'
import { type SinkSpec, wants } from '../../domain/telling/sink.ts'
import { clearAlarm, raiseAlarm } from './alarms.ts'
import { appendAudit } from './audit-trail.ts'
import type { Row, Sql, SqlDatabase } from './database.ts'
import { appendDomainEvent, toDomainEvent } from './domain-events.ts'
import { int, optionalInt, optionalText, text } from './rows.ts'

/** A sink that no process has known for so long starts anew: nobody wants last year's welcome mails. */
const FORGET_SINK_MS = 30 * 86_400_000
const SEEN_EVERY_MS = 3_600_000

/** Of all that waits for a sink, what is due and the earliest that waits of its subscription. */
const DUE = `delivery d WHERE d.sink = ?1 AND d.state = 'waiting' AND d.next_at <= ?2
  AND NOT EXISTS (SELECT 1 FROM delivery e WHERE e.sink = d.sink AND e.subscription = d.subscription AND e.state = 'waiting' AND e.event < d.event)`

const DELIVERY = `SELECT d.event, d.sink, d.subscription, d.state, d.attempts, d.queued_at, d.next_at, d.last_error, d.finished_at, v.id, v.type, v.at, v.product
  FROM delivery d JOIN domain_event v ON v.seq = d.event`

/** Events are numbered in the order of their commits (see `appendDomainEvent`): what a cursor has passed is complete. */
export function createSqlOutboxStore(database: SqlDatabase): OutboxStore {
  return {
    register: (sinks, now) =>
      database.transaction(async (sql) => {
        for (const { name } of sinks) await registerSink(sql, name, now)
      }),
    tellOnce: (event) =>
      database.transaction(async (sql) => {
        const known = await sql.get('SELECT seq FROM domain_event WHERE id = ?', event.id)
        if (known === undefined) await appendDomainEvent(sql, event)
      }),
    findWork: (sinks, now) => database.read((sql) => findWork(sql, sinks, now)),
    fanOut: (sinks, now, limit) =>
      database.transaction(async (sql) => {
        let isMore = false
        for (const sink of sinks) isMore = (await fanOutTo(sql, sink, now, limit)) || isMore
        return isMore
      }),
    claim: (sink, now, options) => database.transaction((sql) => claim(sql, sink, now, options)),
    settle: (claimed, now, judge) =>
      database.transaction(async (sql) => {
        const row = await sql.get(
          `SELECT d.event, d.failures, d.queued_at FROM delivery d JOIN domain_event v ON v.seq = d.event
           WHERE v.id = ? AND d.sink = ? AND d.state = 'waiting' AND d.attempts = ?`,
          claimed.event.id,
          claimed.sink,
          claimed.attempt,
        )
        if (row === undefined) return false
        const verdict = judge({
          failures: int(row.failures),
          queuedAt: int(row.queued_at),
          sink: toHealth(await getSink(sql, claimed.sink)),
        })
        await writeVerdict(sql, int(row.event), claimed.sink, verdict, now)
        return true
      }),
    getEvent: (id) => database.read(async (sql) => toDomainEvent(await getEventRow(sql, id))),
    earlierTypes: (id) =>
      database.read(async (sql) => {
        const { seq, subscription } = await getEventRow(sql, id)
        const rows = await sql.all(
          'SELECT DISTINCT type FROM domain_event WHERE subscription = ? AND seq < ?',
          subscription!,
          seq!,
        )
        return rows.map((row) => text(row.type) as DomainEventType)
      }),
    list: (options) => database.read((sql) => list(sql, options)),
    replay: (id, sinks, actor, now) =>
      database.transaction(async (sql) => {
        const event = await getEventRow(sql, id)
        const names = sinks ?? (await deadSinks(sql, int(event.seq)))
        for (const name of names) await queueAnew(sql, event, name, now)
        for (const name of names) await clearIfNoneDead(sql, name)
        if (names.length > 0) await auditReplay(sql, actor, id, names, now)
        const rows = await sql.all(`${DELIVERY} WHERE d.event = ? ORDER BY d.sink`, event.seq!)
        return rows.map(toDelivery).filter(({ sink }) => names.includes(sink))
      }),
    replayDead: (sink, actor, now) =>
      database.transaction(async (sql) => {
        const rows = await sql.all(
          `SELECT d.sink, v.* FROM delivery d JOIN domain_event v ON v.seq = d.event
           WHERE d.state = 'dead' AND (?1 IS NULL OR d.sink = ?1) ORDER BY d.event`,
          sink ?? null,
        )
        for (const row of rows) await queueAnew(sql, row, text(row.sink), now)
        const names = [...new Set(rows.map((row) => text(row.sink)))]
        for (const name of names) await clearIfNoneDead(sql, name)
        if (rows.length > 0) await auditReplay(sql, actor, `${rows.length} dead deliveries`, names, now)
        return rows.length
      }),
    purge: (before, limit) =>
      database.transaction(async (sql) => {
        const { changes } = await sql.run(
          `DELETE FROM delivery WHERE (event, sink) IN
           (SELECT event, sink FROM delivery WHERE state = 'delivered' AND finished_at < ? ORDER BY finished_at LIMIT ?)`,
          before,
          limit,
        )
        return changes
      }),
    onEvent: (listener) => database.listen(listener),
  }
}

async function newestEvent(sql: Sql): Promise<number> {
  return int((await sql.get('SELECT COALESCE(MAX(seq), 0) AS seq FROM domain_event'))!.seq)
}

async function registerSink(sql: Sql, name: string, now: number): Promise<void> {
  const known = await sql.get('SELECT seen_at FROM sink WHERE name = ?', name)
  if (known !== undefined && now - int(known.seen_at) < FORGET_SINK_MS) {
    await sql.run('UPDATE sink SET seen_at = ?1 WHERE name = ?2 AND seen_at < ?1', now, name)
    return
  }
  await sql.run(
    `INSERT INTO sink (name, cursor, seen_at) VALUES (?1, ?2, ?3)
     ON CONFLICT (name) DO UPDATE SET cursor = ?2, seen_at = ?3, failures = 0, failing_since = NULL, paused_until = NULL`,
    name,
    await newestEvent(sql),
    now,
  )
  const { changes } = await sql.run(
    `UPDATE delivery SET state = 'dead', finished_at = ?, last_error = 'the sink was not configured for a month' WHERE sink = ? AND state = 'waiting'`,
    now,
    name,
  )
  if (changes === 0) return
  const message = `${name} was not configured for a month, and ${changes} event(s) that waited for it were given up; see \`tollkeeper delivery list --dead\``
  await raiseAlarm(sql, { kind: 'delivery_dead', subject: name, message, at: now })
}

async function findWork(sql: Sql, sinks: readonly SinkSpec[], now: number) {
  const newest = await newestEvent(sql)
  const due: string[] = []
  let unsorted = false
  for (const { name } of sinks) {
    const row = await sql.get('SELECT * FROM sink WHERE name = ?', name)
    if (row === undefined || int(row.cursor) < newest || now - int(row.seen_at) > SEEN_EVERY_MS)
      unsorted = true
    if (row === undefined || triesAllowed(toHealth(row), now, 1) === 0) continue
    if ((await sql.get(`SELECT 1 AS one FROM ${DUE} LIMIT 1`, name, now)) !== undefined) due.push(name)
  }
  return { unsorted, due }
}

async function fanOutTo(sql: Sql, sink: SinkSpec, now: number, limit: number): Promise<boolean> {
  const row = await sql.get('SELECT cursor FROM sink WHERE name = ?', sink.name)
  if (row === undefined) {
    await registerSink(sql, sink.name, now)
    return false
  }
  const events = await sql.all(
    'SELECT seq, type, product, subscription FROM domain_event WHERE seq > ? ORDER BY seq LIMIT ?',
    row.cursor!,
    limit,
  )
  for (const event of events) {
    const about = { type: text(event.type) as DomainEventType, product: text(event.product) }
    if (!wants(sink, about)) continue
    await sql.run(
      `INSERT INTO delivery (event, sink, subscription, state, queued_at, next_at) VALUES (?1, ?2, ?3, 'waiting', ?4, ?4)
       ON CONFLICT (event, sink) DO NOTHING`, // a person was faster and replayed it
      event.seq!,
      sink.name,
      event.subscription!,
      now,
    )
  }
  const cursor = events.at(-1)?.seq ?? row.cursor!
  await sql.run(
    'UPDATE sink SET cursor = ?1, seen_at = CASE WHEN seen_at < ?2 THEN ?2 ELSE seen_at END WHERE name = ?3',
    cursor,
    now,
    sink.name,
  )
  return events.length === limit
}

async function claim(
  sql: Sql,
  sink: string,
  now: number,
  { limit, leaseMs }: { limit: number; leaseMs: number },
): Promise<readonly ClaimedDelivery[]> {
  const row = await sql.get('SELECT * FROM sink WHERE name = ?', sink)
  if (row === undefined) return []
  const health = toHealth(row)
  const rows = await sql.all(
    `SELECT due.attempts, due.event, v.* FROM (SELECT d.event, d.attempts, d.next_at FROM ${DUE} ORDER BY d.next_at, d.event LIMIT ?3) due
     JOIN domain_event v ON v.seq = due.event ORDER BY due.next_at, due.event`,
    sink,
    now,
    triesAllowed(health, now, limit),
  )
  for (const { event } of rows) {
    await sql.run(
      'UPDATE delivery SET attempts = attempts + 1, next_at = ? WHERE event = ? AND sink = ?',
      now + leaseMs,
      event!,
      sink,
    )
  }
  // One try at a time, of all processes together, to see whether it is back.
  if (rows.length > 0 && isFailing(health))
    await sql.run('UPDATE sink SET paused_until = ? WHERE name = ?', now + leaseMs, sink)
  return rows.map((found) => ({
    event: toDomainEvent(found),
    sink,
    attempt: int(found.attempts) + 1,
    failuresBefore: health.failures,
  }))
}

async function writeVerdict(
  sql: Sql,
  event: number,
  sink: string,
  verdict: Verdict,
  now: number,
): Promise<void> {
  const { state, failures, nextAt, error, sink: health } = verdict
  await sql.run(
    'UPDATE delivery SET state = ?, failures = ?, next_at = ?, last_error = ?, finished_at = ? WHERE event = ? AND sink = ?',
    state,
    failures,
    nextAt,
    error ?? null,
    state === 'waiting' ? null : now,
    event,
    sink,
  )
  await sql.run(
    'UPDATE sink SET failures = ?, failing_since = ?, paused_until = ? WHERE name = ?',
    health.failures,
    health.failingSince ?? null,
    health.pausedUntil ?? null,
    sink,
  )
  for (const alarm of verdict.raise) await raiseAlarm(sql, alarm)
  for (const subject of verdict.clear) await clearAlarm(sql, 'delivery_dead', subject)
}

async function getEventRow(sql: Sql, id: string): Promise<Row> {
  const row = await sql.get('SELECT * FROM domain_event WHERE id = ?', id)
  if (row === undefined) throw new DomainError('event.not_found', `no event ${id}`)
  return row
}

async function getSink(sql: Sql, name: string): Promise<Row> {
  return (await sql.get('SELECT * FROM sink WHERE name = ?', name)) ?? {}
}

async function list(
  sql: Sql,
  { sink, state, product, limit, cursor }: Parameters<OutboxStore['list']>[0],
): ReturnType<OutboxStore['list']> {
  const [event = Number.MAX_SAFE_INTEGER, afterSink = ''] = readPlace(cursor)
  // The state is one of three words of ours, and stands in the text because an index is of one state.
  const ofState = state === undefined ? '' : `AND d.state = '${state}'`
  const rows = await sql.all(
    `${DELIVERY} WHERE (d.event, d.sink) < (?1, ?2) ${ofState} AND (?3 IS NULL OR d.sink = ?3) AND (?4 IS NULL OR v.product = ?4)
     ORDER BY d.event DESC, d.sink DESC LIMIT ?5`,
    event,
    afterSink,
    sink ?? null,
    product ?? null,
    limit,
  )
  const last = rows.at(-1)
  return {
    items: rows.map(toDelivery),
    next: last !== undefined && rows.length === limit ? `${last.event} ${text(last.sink)}` : undefined,
  }
}

function readPlace(cursor: string | undefined): [] | [event: number, sink: string] {
  if (cursor === undefined) return []
  const space = cursor.indexOf(' ')
  return [Number(cursor.slice(0, space)), cursor.slice(space + 1)]
}

async function deadSinks(sql: Sql, event: number): Promise<string[]> {
  const rows = await sql.all(
    `SELECT sink FROM delivery WHERE event = ? AND state = 'dead' ORDER BY sink`,
    event,
  )
  return rows.map((row) => text(row.sink))
}

/** @param event - a row of `domain_event` */
async function queueAnew(sql: Sql, event: Row, sink: string, now: number): Promise<void> {
  // A try that is under way loses its claim by its number: the event goes out once more, whatever comes of it.
  await sql.run(
    `INSERT INTO delivery (event, sink, subscription, state, queued_at, next_at) VALUES (?1, ?2, ?3, 'waiting', ?4, ?4)
     ON CONFLICT (event, sink) DO UPDATE SET state = 'waiting', attempts = delivery.attempts + CASE WHEN delivery.state = 'waiting' THEN 1 ELSE 0 END, failures = 0, queued_at = ?4, next_at = ?4, finished_at = NULL`,
    event.seq!,
    sink,
    event.subscription!,
    now,
  )
}

async function clearIfNoneDead(sql: Sql, sink: string): Promise<void> {
  const dead = await sql.get(`SELECT 1 AS one FROM delivery WHERE state = 'dead' AND sink = ? LIMIT 1`, sink)
  if (dead === undefined) await clearAlarm(sql, 'delivery_dead', sink)
}

async function auditReplay(
  sql: Sql,
  actor: string,
  subject: string,
  sinks: readonly string[],
  now: number,
): Promise<void> {
  const action = 'delivery.replay'
  await appendAudit(sql, { at: now, actor, action, subject, before: undefined, after: { sinks } })
}

function toHealth(row: Row): SinkHealth {
  return {
    failures: int(row.failures ?? 0n),
    failingSince: optionalInt(row.failing_since),
    pausedUntil: optionalInt(row.paused_until),
  }
}

function toDelivery(row: Row): Delivery {
  const state = text(row.state) as DeliveryState
  return {
    event: text(row.id),
    type: text(row.type) as DomainEventType,
    at: int(row.at),
    product: text(row.product),
    subscription: text(row.subscription),
    sink: text(row.sink),
    state,
    attempts: int(row.attempts),
    queuedAt: int(row.queued_at),
    nextAttemptAt: state === 'waiting' ? int(row.next_at) : undefined,
    lastError: optionalText(row.last_error),
    finishedAt: optionalInt(row.finished_at),
  }
}
