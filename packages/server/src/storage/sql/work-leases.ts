import { LEASE_MS_MAX, type WorkLeases } from '../../domain/work-leases.ts'
import type { SqlDatabase } from './database.ts'
import { int, text } from './rows.ts'

/** @param slices - see `WorkLeases` */
export function createSqlWorkLeases(database: SqlDatabase, slices: number): WorkLeases {
  return {
    slices,
    claim: (name, holder, now, leaseMs) =>
      database.transaction(async (sql) => {
        const { changes } = await sql.run(
          `INSERT INTO work_lease (name, holder, held_until) VALUES (?1, ?2, ?3)
           ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
           WHERE work_lease.holder = excluded.holder OR work_lease.held_until <= ?4 OR work_lease.held_until > ?5`,
          name,
          holder,
          now + leaseMs,
          now,
          now + LEASE_MS_MAX,
        )
        return changes === 1
      }),
    release: (name, holder) =>
      database.transaction(async (sql) => {
        await sql.run('DELETE FROM work_lease WHERE name = ? AND holder = ?', name, holder)
      }),
    list: () =>
      database.read(async (sql) =>
        (await sql.all('SELECT name, holder, held_until FROM work_lease ORDER BY name')).map((row) => ({
          name: text(row.name),
          holder: text(row.holder),
          until: int(row.held_until),
        })),
      ),
  }
}
