import { randomUUID } from 'node:crypto'
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hourOf } from '../../domain/usage/hour.ts'
import type { LedgerGuard } from '../../domain/usage/ledger-guard.ts'
import { type Beat, createSqlLedgerGuard, type Place, readName, writeName } from './ledger-guard.ts'
import type { SqliteDatabase } from './sqlite.ts'

/**
 * Two marks tell a copy: the file's own number on its disk, which a copy does not have, and a count of beats in a small
 * file beside the ledger, which is ahead of a ledger that was put back in place.
 *
 * Limit: a snapshot of the whole volume or machine brings the small file and the file's number along. Set back like
 * this, a ledger cannot be told from one that merely stood still: a person says so by `tollkeeper db restored`. The host's
 * name is no help: a container gets another one at each start.
 *
 * @param onError - told when the small file cannot be written: metering goes on, only a later restore may go unseen
 */
export async function createLedgerGuard(
  database: SqliteDatabase,
  now: number,
  onError: (error: unknown) => void = warn,
): Promise<LedgerGuard> {
  if (database.file === ':memory:') return NEVER_COPIED
  return createSqlLedgerGuard(database, createSqlitePlace(database.file, onError), now)
}

function createSqlitePlace(file: string, onError: (error: unknown) => void): Place {
  const beatFile = `${file}.beat`
  return {
    async look() {
      const here = placeOf(file)
      const beside = readBeat(beatFile)
      return {
        async judge(sql) {
          const place = await readName(sql, 'place')
          if (place !== undefined && place !== here)
            return { kind: 'restored', reason: 'the ledger was copied or moved from elsewhere' }
          const beats = Number((await readName(sql, 'beats')) ?? 0)
          if (beside !== undefined && beside.ledger === (await readName(sql, 'id')) && beside.beats > beats)
            return { kind: 'restored', reason: 'the ledger was restored from a backup' }
          return undefined
        },
        note: (sql) => writeName(sql, 'place', here),
        beatsBeside: beside?.beats ?? 0,
        keepBeat: (beat) => writeBeat(beatFile, beat, onError),
      }
    },
  }
}

const NEVER_COPIED: LedgerGuard = {
  waiting: () => undefined,
  refresh: async () => {},
  beat: async () => {},
  hold: async (wait, _, now) => ({ ...wait, from: hourOf(now), to: hourOf(now) }),
  release: async () => undefined,
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

/** What stands beside a file that is new is of an earlier ledger. */
export function forgetBeats(file: string): void {
  if (file !== ':memory:') rmSync(`${file}.beat`, { force: true })
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
