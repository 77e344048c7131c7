import { DomainError } from '../../domain/error.ts'
import { type Filling, type LedgerCopy, requireRun } from '../../domain/moving/ledger-copy.ts'
import { appendAudit } from './audit-trail.ts'
import type { Sql, SqlDatabase } from './database.ts'
import { readRows } from './ledger-copy-reader.ts'
import { writeRows } from './ledger-copy-writer.ts'
import { readName, writeName } from './ledger-guard.ts'

/** Copies rows by table. How far it got is written in the transaction that writes the rows. */
export function createSqlLedgerCopy(database: SqlDatabase): LedgerCopy {
  return {
    signOfLife: () => database.read(async (sql) => (await readName(sql, 'beats')) ?? ''),
    read: (kind, cursor, limit) =>
      database.read((sql) => readRows(sql, database.engine, kind, cursor, limit)),
    // Whoever opens a ledger claims it first.
    isEmpty: () => database.read(async (sql) => (await readName(sql, 'mode')) === undefined),
    filling: () => database.read(readFilling),
    begin: (filling) =>
      database.transaction(async (sql) => {
        const known = await readFilling(sql)
        if (known?.copy === filling.copy) {
          const taken = { ...known, run: filling.run }
          await writeFilling(sql, taken)
          return taken
        }
        if (known !== undefined)
          throw new DomainError(
            'ledger.copy_refused',
            `is half filled from ${known.from} by another copying: name an empty store`,
          )
        if ((await readName(sql, 'mode')) !== undefined)
          throw new DomainError('ledger.copy_refused', 'holds a ledger: name an empty store')
        await writeFilling(sql, filling)
        return filling
      }),
    write: (kind, rows, filling) =>
      database.transaction(async (sql) => {
        requireRun(await readFilling(sql), filling)
        if (rows.length > 0) await writeRows(sql, database.engine, kind, rows)
        await writeFilling(sql, filling)
      }),
    finish: (filling, actor, at) =>
      database.transaction(async (sql) => {
        const known = await readFilling(sql)
        if (known === undefined) return
        requireRun(known, filling)
        await sql.run(`DELETE FROM ledger WHERE name = 'filling'`)
        await appendAudit(sql, {
          at,
          actor,
          action: 'ledger.copy',
          subject: 'ledger',
          before: undefined,
          after: { from: filling.from, copy: filling.copy },
        })
      }),
  }
}

export async function readFilling(sql: Sql): Promise<Filling | undefined> {
  const json = await readName(sql, 'filling')
  return json === undefined ? undefined : (JSON.parse(json) as Filling)
}

async function writeFilling(sql: Sql, filling: Filling): Promise<void> {
  await writeName(sql, 'filling', JSON.stringify(filling))
}
