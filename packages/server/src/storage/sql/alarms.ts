import type { Alarm, OpenAlarm } from '../../domain/usage/usage-store.ts'
import type { Row, Sql } from './database.ts'
import { int, text } from './rows.ts'

/** Values: kind, subject, message, first and last time. What is raised again is the same alarm. */
const RAISE_ALARM = `INSERT INTO alarm (kind, subject, message, raised, first_at, last_at) VALUES (?, ?, ?, 1, ?, ?)
  ON CONFLICT (kind, subject) DO UPDATE SET message = excluded.message, raised = alarm.raised + 1,
  last_at = CASE WHEN alarm.last_at < excluded.last_at THEN excluded.last_at ELSE alarm.last_at END`

export async function raiseAlarm(sql: Sql, { kind, subject, message, at }: Alarm): Promise<void> {
  await sql.run(RAISE_ALARM, kind, subject, message, at, at)
}

/** @returns whether it was open */
export async function clearAlarm(sql: Sql, kind: Alarm['kind'], subject: string): Promise<boolean> {
  if (kind === 'late_across_edge') await sql.run('DELETE FROM late_across WHERE subject = ?', subject)
  const { changes } = await sql.run('DELETE FROM alarm WHERE kind = ? AND subject = ?', kind, subject)
  return changes === 1
}

/** An isolation ended: where it was the product's last, so did all that AWS refused for its sake. */
export async function clearPoison(sql: Sql, product: string, dimension: string | undefined): Promise<void> {
  if (dimension !== undefined) await clearAlarm(sql, 'poison', `${product}/${dimension}`)
  const left = await sql.get('SELECT 1 AS one FROM isolation WHERE product = ? LIMIT 1', product)
  if (left !== undefined) return
  // '0' is what follows '/': all subjects of the product, and of no other.
  await sql.run(
    `DELETE FROM alarm WHERE kind = 'poison' AND subject > ? AND subject < ?`,
    `${product}/`,
    `${product}0`,
  )
}

/** Open alarms, newest first. */
export async function listAlarms(sql: Sql, limit: number): Promise<OpenAlarm[]> {
  const rows = await sql.all('SELECT * FROM alarm ORDER BY last_at DESC, kind, subject LIMIT ?', limit)
  return rows.map(toAlarm)
}

export function toAlarm(row: Row): OpenAlarm {
  return {
    kind: text(row.kind) as Alarm['kind'],
    subject: text(row.subject),
    message: text(row.message),
    at: int(row.last_at),
    firstAt: int(row.first_at),
    count: int(row.raised),
  }
}
