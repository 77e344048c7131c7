import { randomUUID } from 'node:crypto'
import { isRotated, rotateSalts } from '../../domain/visitors/rotate-salts.ts'
import {
  dayOf,
  type Visitor,
  type VisitorHash,
  type VisitorSalt,
  type VisitorStore,
} from '../../domain/visitors/visitor.ts'
import { appendAudit } from './audit-trail.ts'
import type { Row, Sql, SqlDatabase } from './database.ts'
import { appendDomainEvent } from './domain-events.ts'
import { refuseWhileWaiting } from './ledger-guard.ts'
import { int, optionalInt, text } from './rows.ts'

export function createSqlVisitorStore(database: SqlDatabase): VisitorStore {
  return {
    async salts(now, lifeMs) {
      const known = await database.read(readSalts)
      const isDone = isRotated(known, rotateSalts(known, now, lifeMs))
      return isDone ? known : database.transaction((sql) => nextSalt(sql, now, lifeMs))
    },
    find: (hashes) => database.read((sql) => findVisitor(sql, hashes)),
    see: ({ product, hashes, at, solution }) =>
      database.transaction(async (sql) => {
        await refuseWhileWaiting(sql)
        const found = await findVisitor(sql, hashes)
        if (found !== undefined) {
          const seenAt = Math.max(dayOf(at), found.visitor.seenAt)
          await sql.run('UPDATE visitor SET seen_at = ? WHERE id = ?', seenAt, found.visitor.id)
          await addHashes(sql, found.visitor.id, hashes)
          return { status: 'known', visitor: { ...found.visitor, seenAt } }
        }
        if (solution !== undefined) {
          const { changes } = await sql.run(
            'INSERT INTO visitor_solution (id, expires_at) VALUES (?, ?) ON CONFLICT (id) DO NOTHING',
            solution.id,
            solution.expiresAt,
          )
          if (changes === 0) return { status: 'used' }
        }
        const id = `vis_${randomUUID()}`
        await sql.run(
          'INSERT INTO visitor (id, product, first_seen_at, seen_at) VALUES (?, ?, ?, ?)',
          id,
          product,
          at,
          dayOf(at),
        )
        await addHashes(sql, id, hashes)
        const visitor = { id, product, firstSeenAt: at, seenAt: dayOf(at), conversion: undefined }
        return { status: 'new', visitor }
      }),
    convert: (hashes, conversion, traceOf) =>
      database.transaction(async (sql) => {
        await refuseWhileWaiting(sql)
        const visitor = (await findVisitor(sql, hashes))?.visitor
        if (visitor === undefined) return { status: 'unknown', visitor }
        if (visitor.conversion !== undefined)
          return { status: visitor.conversion.buyer === conversion.buyer ? 'repeated' : 'taken', visitor }
        const { buyer, subscription, at } = conversion
        await sql.run(
          'UPDATE visitor SET buyer = ?, subscription = ?, converted_at = ? WHERE id = ?',
          buyer,
          subscription,
          at,
          visitor.id,
        )
        const converted = { ...visitor, conversion }
        const { audit, event } = traceOf(converted)
        await appendAudit(sql, audit)
        await appendDomainEvent(sql, event)
        return { status: 'converted', visitor: converted }
      }),
    forget: ({ seenBefore, now, limit }) =>
      database.transaction(async (sql) => {
        await refuseWhileWaiting(sql)
        const rows = await sql.all(
          'SELECT id FROM visitor WHERE seen_at < ? ORDER BY seen_at LIMIT ?',
          seenBefore,
          limit,
        )
        const ids = rows.map(({ id }) => text(id))
        for (const id of ids) {
          await sql.run('DELETE FROM quota_counter WHERE holder = ?', id)
          await sql.run('DELETE FROM visitor_hash WHERE visitor = ?', id)
          await sql.run('DELETE FROM visitor WHERE id = ?', id)
        }
        const { changes: hashes } = await sql.run(
          `DELETE FROM visitor_hash WHERE hash IN
             (SELECT hash FROM visitor_hash WHERE salt < (SELECT min(number) FROM visitor_salt) LIMIT ?)`,
          limit,
        )
        const { changes: solutions } = await sql.run(
          `DELETE FROM visitor_solution WHERE id IN (SELECT id FROM visitor_solution WHERE expires_at < ? LIMIT ?)`,
          now,
          limit,
        )
        return Math.max(ids.length, hashes, solutions)
      }),
  }
}

async function readSalts(sql: Sql): Promise<readonly VisitorSalt[]> {
  const rows = await sql.all('SELECT number, secret, since FROM visitor_salt ORDER BY number DESC')
  return rows.map(({ number, secret, since }) => ({
    number: int(number),
    secret: Uint8Array.from(secret as Uint8Array),
    since: int(since),
  }))
}

async function nextSalt(sql: Sql, now: number, lifeMs: number): Promise<readonly VisitorSalt[]> {
  await refuseWhileWaiting(sql)
  const known = await readSalts(sql)
  const { made, living } = rotateSalts(known, now, lifeMs)
  if (made !== undefined)
    await sql.run(
      'INSERT INTO visitor_salt (number, secret, since) VALUES (?, ?, ?)',
      made.number,
      made.secret,
      made.since,
    )
  await sql.run('DELETE FROM visitor_salt WHERE number < ?', living.at(-1)!.number)
  return living
}

/** By the newest of the salts that it is known by. */
async function findVisitor(
  sql: Sql,
  hashes: readonly VisitorHash[],
): Promise<{ readonly visitor: Visitor; readonly salt: number } | undefined> {
  const row = await sql.get(
    `SELECT v.*, h.salt FROM visitor_hash h JOIN visitor v ON v.id = h.visitor
     WHERE h.hash IN (${hashes.map(() => '?').join(', ')}) ORDER BY h.salt DESC LIMIT 1`,
    ...hashes.map(({ hash }) => hash),
  )
  return row && { visitor: toVisitor(row), salt: int(row.salt) }
}

async function addHashes(sql: Sql, visitor: string, hashes: readonly VisitorHash[]): Promise<void> {
  for (const { hash, salt } of hashes)
    await sql.run(
      'INSERT INTO visitor_hash (hash, salt, visitor) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING',
      hash,
      salt,
      visitor,
    )
}

function toVisitor(row: Row): Visitor {
  const at = optionalInt(row.converted_at)
  return {
    id: text(row.id),
    product: text(row.product),
    firstSeenAt: int(row.first_seen_at),
    seenAt: int(row.seen_at),
    conversion:
      at === undefined ? undefined : { buyer: text(row.buyer), subscription: text(row.subscription), at },
  }
}
