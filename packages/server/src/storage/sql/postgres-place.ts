import type { Row } from './database.ts'
import type { Place } from './ledger-guard.ts'
import { readName, writeName } from './ledger-guard.ts'
import type { PostgresDatabase } from './postgres.ts'

/** What tells a PostgreSQL ledger from its copies; a part that this server does not tell is left out. */
interface Marks {
  /** Of the server: every copy of its files has it, a new server does not. */
  readonly system?: string
  readonly database?: string
  /** Of a table: `pg_restore` makes it anew, also in the same database. */
  readonly table?: string
  /** Grows when a standby takes over, and when a server is set back to an earlier time. */
  readonly timeline?: string
}

/**
 * Limit: a snapshot of the server's whole volume, and rows that were put back into tables that were there, cannot be told
 * from a ledger that stood still: a person says so by `tollkeeper db restored`.
 *
 * @param onWarning - told once what this server does not tell
 */
export function createPostgresPlace(
  database: PostgresDatabase,
  onWarning: (message: string) => void = (message) => process.emitWarning(message),
): Place {
  let hasWarned = false
  return {
    async look() {
      const marks = await readMarks(database)
      if (!hasWarned && (marks.system === undefined || marks.timeline === undefined)) {
        hasWarned = true
        onWarning(
          `PostgreSQL does not tell this user ${marks.system === undefined ? 'which server it is (pg_control_system)' : 'its timeline'}: a ledger that was restored may go unseen; run \`tollkeeper db restored\` after a restore`,
        )
      }
      return {
        async judge(sql) {
          const text = await readName(sql, 'place')
          if (text === undefined) return undefined
          const known = JSON.parse(text) as Marks
          if (differs(known, marks, 'system') || differs(known, marks, 'database'))
            return { kind: 'restored', reason: 'the ledger was copied or restored from elsewhere' }
          if (differs(known, marks, 'table'))
            return { kind: 'restored', reason: 'the ledger was restored from a backup' }
          if (differs(known, marks, 'timeline'))
            return {
              kind: 'failover',
              reason: 'the database server was set back to an earlier time, or a standby took over',
            }
          return undefined
        },
        note: async (sql) => {
          const text = JSON.stringify(marks)
          if ((await readName(sql, 'place')) !== text) await writeName(sql, 'place', text)
        },
        beatsBeside: 0,
        keepBeat: () => {},
      }
    },
  }
}

function differs(known: Marks, now: Marks, mark: keyof Marks): boolean {
  return known[mark] !== undefined && now[mark] !== undefined && known[mark] !== now[mark]
}

const QUERIES: Readonly<Record<keyof Marks, string>> = {
  system: 'SELECT CAST(system_identifier AS text) AS mark FROM pg_control_system()',
  database: 'SELECT CAST(oid AS text) AS mark FROM pg_database WHERE datname = current_database()',
  table: `SELECT CAST(CAST('ledger' AS regclass) AS oid) AS mark`,
  // The control file tells it late: what is written now has it in its name.
  timeline: 'SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS mark',
}

async function readMarks(database: PostgresDatabase): Promise<Marks> {
  const marks: Partial<Record<keyof Marks, string>> = {}
  for (const [name, query] of Object.entries(QUERIES) as [keyof Marks, string][]) {
    const row: Row | undefined = await database.get(query).catch((error: unknown) => {
      if (isNotTold(error)) return undefined
      throw error
    })
    if (row?.mark !== undefined && row.mark !== null) marks[name] = String(row.mark)
  }
  return marks
}

/** Not permitted, or not there, as on some managed servers. */
function isNotTold(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = (cause as { code?: unknown }).code
  return code === '42501' || code === '42883' || code === '0A000' || code === '55000'
}
