import { randomUUID } from 'node:crypto'
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hourOf } from '../../domain/usage/hour.ts'
import type { LedgerGuard, LedgerWait } from '../../domain/usage/ledger-guard.ts'
import { appendAudit } from './audit-trail.ts'
import type { Sql } from './database.ts'
import { optionalInt, text } from './rows.ts'
import type { SqliteDatabase } from './sqlite.ts'

interface Beat {
  readonly ledger: string
  /** Grows with each beat, in the ledger first and in the file beside it after that. */
  readonly beats: number
}

/**
 * Two marks tell a copy: the file's own number on its disk, which a copy does not have, and a count of beats in a small
 * file beside the ledger, which is ahead of a ledger that was put back in place.
 *
 * Limit: a snapshot of the whole volume or machine brings the small file and the file's number along. Set back like
 * this, a ledger cannot be told from one that merely stood still. The host's name is no help: a container gets another
 * one at each start.
 *
 * @param onError - told when the small file cannot be written: metering goes on, only a later restore may go unseen
 */
export async function createLedgerGuard(
  database: SqliteDatabase,
  now: number,
  onError: (error: unknown) => void = warn,
): Promise<LedgerGuard> {
  if (database.file === ':memory:') return NEVER_COPIED
  const beatFile = `${database.file}.beat`
  let waiting = await database.transaction(async (sql) => {
    const known = await readWait(sql)
    if (known !== undefined) return known
    const reason = await whyCopied(sql, database.file, beatFile)
    if (reason === undefined) {
      await write(sql, 'place', placeOf(database.file))
      return undefined
    }
    const aliveAt = Number((await read(sql, 'alive_at')) ?? now)
    const wait: LedgerWait = { reason, from: Math.min(hourOf(aliveAt), hourOf(now)), to: hourOf(now) }
    await write(sql, 'waiting', JSON.stringify(wait))
    return wait
  })

  return {
    waiting: () => waiting,
    async refresh() {
      waiting = await database.read(readWait)
    },
    async beat(at) {
      const beat = await database.transaction(async (sql) => {
        waiting = await readWait(sql)
        if (waiting !== undefined) return undefined
        const beats = Number((await read(sql, 'beats')) ?? 0) + 1
        await write(sql, 'beats', String(beats))
        await write(sql, 'alive_at', String(at))
        return { ledger: (await read(sql, 'id')) ?? '', beats }
      })
      if (beat !== undefined) writeBeat(beatFile, beat, onError)
    },
    async release(actor, at) {
      const beat = await database.transaction(async (sql) => {
        const wait = await readWait(sql)
        if (wait === undefined) return undefined
        // The other copy went on to close whatever was open or held here, however old.
        const oldest = await sql.get(
          'SELECT MIN(hour) AS hour FROM (SELECT MIN(hour) AS hour FROM bucket WHERE status = 0 UNION ALL SELECT MIN(hour) FROM bucket WHERE status = 1) oldest',
        )
        const from = Math.min(wait.from, optionalInt(oldest?.hour) ?? wait.from)
        const doubt = { from, to: Math.max(wait.to, hourOf(at)) }
        await sql.run(`DELETE FROM ledger WHERE name = 'waiting'`)
        await write(sql, 'doubt', JSON.stringify(doubt))
        await write(sql, 'place', placeOf(database.file))
        // What is sealed and unsent here may have been sent by the other copy, at any time since the backup.
        await sql.run(
          `UPDATE usage_record SET unanswered = unanswered + 1, note = 'may have been sent by another copy of this ledger' WHERE state IN ('ready', 'sent')`,
        )
        await appendAudit(sql, {
          at,
          actor,
          action: 'ledger.release',
          subject: 'ledger',
          before: wait,
          after: { doubt },
        })
        const beats = Math.max(Number((await read(sql, 'beats')) ?? 0), readBeat(beatFile)?.beats ?? 0) + 1
        await write(sql, 'beats', String(beats))
        return { wait, beat: { ledger: (await read(sql, 'id')) ?? '', beats } }
      })
      if (beat === undefined) return undefined
      writeBeat(beatFile, beat.beat, onError)
      waiting = undefined
      return beat.wait
    },
  }
}

const NEVER_COPIED: LedgerGuard = {
  waiting: () => undefined,
  refresh: async () => {},
  beat: async () => {},
  release: async () => undefined,
}

async function whyCopied(sql: Sql, file: string, beatFile: string): Promise<string | undefined> {
  const place = await read(sql, 'place')
  if (place !== undefined && place !== placeOf(file)) return 'the ledger was copied or moved from elsewhere'
  const beside = readBeat(beatFile)
  const beats = Number((await read(sql, 'beats')) ?? 0)
  if (beside !== undefined && beside.ledger === (await read(sql, 'id')) && beside.beats > beats) {
    return 'the ledger was restored from a backup'
  }
  return undefined
}

/** A file's number on its disk: stays with the file, also when it is renamed, and is another for each copy. */
function placeOf(file: string): string {
  return String(statSync(file).ino)
}

function readBeat(file: string): Beat | undefined {
  try {
    const beat = JSON.parse(readFileSync(file, 'utf8')) as Beat
    return typeof beat.beats === 'number' && typeof beat.ledger === 'string' ? beat : undefined
  } catch {
    // Not there, or torn: it can only warn, never vouch.
    return undefined
  }
}

function warn(error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error)
  process.emitWarning(`the file beside the ledger that would tell a restore cannot be written: ${reason}`)
}

/** Under a name of its own first: another process may write at the same time. */
function writeBeat(file: string, beat: Beat, onError: (error: unknown) => void): void {
  const own = `${file}.${randomUUID()}`
  try {
    writeFileSync(own, JSON.stringify(beat), { mode: 0o600 })
    renameSync(own, file)
  } catch (error) {
    rmSync(own, { force: true })
    onError(error)
  }
}

async function read(sql: Sql, name: string): Promise<string | undefined> {
  const row = await sql.get('SELECT value FROM ledger WHERE name = ?', name)
  return row === undefined ? undefined : text(row.value)
}

async function write(sql: Sql, name: string, value: string): Promise<void> {
  await sql.run(
    'INSERT INTO ledger VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    name,
    value,
  )
}

async function readWait(sql: Sql): Promise<LedgerWait | undefined> {
  const json = await read(sql, 'waiting')
  return json === undefined ? undefined : (JSON.parse(json) as LedgerWait)
}
