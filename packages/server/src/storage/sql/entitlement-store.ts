import type { Entitlement, EntitlementReading } from '../../domain/entitlements/entitlement.ts'
import type {
  EntitlementState,
  EntitlementStore,
  ReadingChanges,
  Suspects,
} from '../../domain/entitlements/entitlement-store.ts'
import { shareLooks } from '../../domain/share-looks.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { appendAudit } from './audit-trail.ts'
import { toAgreement } from './buyer-case-store.ts'
import { readContractHistory } from './contract-history.ts'
import type { Row, Sql, SqlDatabase } from './database.ts'
import { appendDomainEvent } from './domain-events.ts'
import { int, optionalInt, optionalText, SUBSCRIPTION_COLUMNS, text, toSubscription } from './rows.ts'
import { bumpEpoch, getSubscription, patchSubscription, SUBSCRIPTION_STEP } from './subscription-store.ts'

/** Renewals followed back from one agreement to an earlier one: one a year. */
const PREDECESSORS_MAX = 100

const READING_COLUMNS = 'e.subscription, e.entitlements, e.read_at, e.empty_since, e.failed_at, e.failure'

export function createSqlEntitlementStore(database: SqlDatabase): EntitlementStore {
  return {
    find: (id) =>
      database.read(async (sql) => ({
        ...(await getState(sql, id)),
        history: await readContractHistory(sql, id),
      })),
    findServing: (id) => database.read((sql) => findServing(sql, id)),
    async settle(id, decide, actor, now) {
      const settle = async (sql: Sql, mayChangeSubscription: boolean) => {
        const state = await getState(sql, id)
        const changes = decide(state)
        if (changes !== undefined && changesSubscription(changes) && !mayChangeSubscription) return undefined
        if (changes !== undefined) await apply(sql, state, changes, actor, now)
        return getSubscription(sql, id)
      }
      // Nearly all readings say what the last one said: usage is not to wait for them.
      const settled = await database.transaction((sql) => settle(sql, false))
      return settled ?? (await database.transaction((sql) => settle(sql, true), SUBSCRIPTION_STEP))!
    },
    claimDue: async (product, now, leaseMs, limit) => {
      const isAny = await database.read((sql) =>
        sql.get(
          'SELECT 1 AS one FROM entitlement_reading WHERE product = ? AND next_at <= ? LIMIT 1',
          product,
          now,
        ),
      )
      if (isAny === undefined) return []
      return database.transaction(async (sql) => {
        const rows = await sql.all(
          'SELECT subscription FROM entitlement_reading WHERE product = ? AND next_at <= ? ORDER BY next_at LIMIT ?',
          product,
          now,
          limit,
        )
        for (const row of rows)
          await sql.run(
            'UPDATE entitlement_reading SET next_at = ? WHERE subscription = ?',
            now + leaseMs,
            row.subscription!,
          )
        return rows.map((row) => text(row.subscription))
      })
    },
    listSuspects: (product, revokedSince, limit) =>
      database.read((sql) => listSuspects(sql, product, revokedSince, limit)),
    noteRevocation: (id, now) =>
      database.transaction(async (sql) => {
        await sql.run('UPDATE entitlement_reading SET revoked_at = ? WHERE subscription = ?', now, id)
      }),
    epochs: createEpochs(database),
  }
}

function createEpochs(database: SqlDatabase): EntitlementStore['epochs'] {
  return shareLooks(async () => {
    const row = await database.get(
      `SELECT (SELECT value FROM ledger WHERE name = 'epoch') AS subscriptions, (SELECT value FROM ledger WHERE name = 'readings') AS readings`,
    )
    return { subscriptions: int(row!.subscriptions), readings: int(row!.readings) }
  })
}

async function getState(sql: Sql, id: string): Promise<EntitlementState> {
  return { subscription: await getSubscription(sql, id), reading: await findReading(sql, id) }
}

async function findReading(sql: Sql, id: string): Promise<EntitlementReading | undefined> {
  const row = await sql.get(
    `SELECT ${READING_COLUMNS} FROM entitlement_reading e WHERE e.subscription = ?`,
    id,
  )
  return row && toReading(row)
}

async function findServing(sql: Sql, id: string): Promise<EntitlementReading | undefined> {
  const own = await findReading(sql, id)
  let reading = own
  let before = id
  for (let step = 0; step < PREDECESSORS_MAX && (reading?.entitlements.length ?? 0) === 0; step++) {
    const row = await sql.get(
      'SELECT id FROM subscription WHERE successor = ? ORDER BY seq DESC LIMIT 1',
      before,
    )
    if (row === undefined) return own
    before = text(row.id)
    reading = await findReading(sql, before)
  }
  return reading
}

function changesSubscription({ patch }: ReadingChanges): boolean {
  return patch !== undefined && Object.keys(patch).length > 0
}

async function apply(
  sql: Sql,
  { subscription, reading: before }: EntitlementState,
  changes: ReadingChanges,
  actor: string,
  now: number,
): Promise<void> {
  const { id, product } = subscription
  const { reading, periods, term, patch } = changes
  await sql.run(
    `INSERT INTO entitlement_reading (subscription, product, entitlements, read_at, empty_since, failed_at, failure, next_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (subscription) DO UPDATE SET entitlements = excluded.entitlements, read_at = excluded.read_at, empty_since = excluded.empty_since,
       failed_at = excluded.failed_at, failure = excluded.failure, next_at = CASE WHEN entitlement_reading.next_at IS NULL THEN NULL ELSE excluded.next_at END`,
    id,
    product,
    JSON.stringify(reading.entitlements),
    reading.readAt ?? null,
    reading.emptySince ?? null,
    reading.failedAt ?? null,
    reading.failure ?? null,
    changes.nextAt,
  )
  for (const { dimension, units, from } of periods) await putPeriod(sql, id, dimension, units, from)
  if (term !== undefined)
    await sql.run(
      'INSERT INTO contract_term (subscription, from_ms) VALUES (?, ?) ON CONFLICT DO NOTHING',
      id,
      term,
    )
  if (periods.length > 0)
    await appendAudit(sql, {
      at: now,
      actor,
      action: 'entitlements.change',
      subject: id,
      before: before?.entitlements ?? [],
      after: reading.entitlements,
    })
  if (patch !== undefined && changesSubscription(changes)) {
    await patchSubscription(sql, id, patch, actor, now, changes.planFrom)
    await bumpEpoch(sql)
  }
  for (const event of changes.tell) await appendDomainEvent(sql, event)
  await sql.run(`UPDATE ledger SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'readings'`)
}

async function putPeriod(
  sql: Sql,
  subscription: string,
  dimension: string,
  units: number,
  from: number,
): Promise<void> {
  // A clock that went back: what was noted for later times did not come about.
  await sql.run(
    'DELETE FROM entitlement_period WHERE subscription = ? AND dimension = ? AND from_ms > ?',
    subscription,
    dimension,
    from,
  )
  await sql.run(
    `INSERT INTO entitlement_period (subscription, dimension, from_ms, units) VALUES (?, ?, ?, ?)
     ON CONFLICT (subscription, dimension, from_ms) DO UPDATE SET units = excluded.units`,
    subscription,
    dimension,
    from,
    units,
  )
}

async function listSuspects(
  sql: Sql,
  product: string,
  revokedSince: number,
  limit: number,
): Promise<Suspects> {
  const rows = await sql.all(
    `SELECT ${READING_COLUMNS}, ${SUBSCRIPTION_COLUMNS} FROM entitlement_reading e INDEXED BY entitlement_reading_empty CROSS JOIN subscription s ON s.id = e.subscription
     WHERE e.product = ? AND e.empty_since IS NOT NULL AND e.next_at IS NOT NULL AND s.status IN ('active', 'suspended') ORDER BY e.empty_since LIMIT ?`,
    product,
    limit,
  )
  const suspects = []
  for (const row of rows) {
    const subscription = toSubscription(row)
    suspects.push({
      subscription,
      reading: toReading(row),
      agreements: await agreementsOf(sql, subscription),
    })
  }
  const count = async (where: string, ...values: number[]) =>
    int(
      (await sql.get(
        `SELECT COUNT(*) AS n FROM entitlement_reading WHERE product = ? AND ${where}`,
        product,
        ...values,
      ))!.n,
    )
  const alarm = await sql.get(
    `SELECT 1 AS one FROM alarm WHERE kind = 'revocation_stopped' AND subject = ?`,
    product,
  )
  return {
    suspects,
    live: suspects.length === 0 ? 0 : await count('next_at IS NOT NULL'),
    revoked: suspects.length === 0 ? 0 : await count('revoked_at > ?', revokedSince),
    isStopped: alarm !== undefined,
  }
}

async function agreementsOf(sql: Sql, { id }: Subscription) {
  const rows = await sql.all('SELECT facts FROM agreement WHERE subscription = ?', id)
  return rows.map(toAgreement)
}

function toReading(row: Row): EntitlementReading {
  return {
    subscription: text(row.subscription),
    entitlements: (JSON.parse(text(row.entitlements)) as Entitlement[]).map((entitlement) => ({
      ...entitlement,
      // JSON leaves out what is undefined.
      expiresAt: entitlement.expiresAt,
    })),
    readAt: optionalInt(row.read_at),
    emptySince: optionalInt(row.empty_since),
    failedAt: optionalInt(row.failed_at),
    failure: optionalText(row.failure),
  }
}
