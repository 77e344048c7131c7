import { randomUUID } from 'node:crypto'
import {
  type BigIntStats,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename } from 'node:path'
import { hourOf } from '../../domain/usage/hour.ts'
import type { LedgerGuard } from '../../domain/usage/ledger-guard.ts'
import { type Beat, createSqlLedgerGuard, type Place, readName, writeName } from './ledger-guard.ts'
import type { SqliteDatabase } from './sqlite.ts'

/**
 * Two marks tell a copy: the file's own number on its disk with the time of its making, which a copy does not have, and a count
 * of beats in a small file beside the ledger, which is ahead of a ledger that was put back in place, and is not there where
 * the ledger alone was taken elsewhere.
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
  let isFirst = true
  return {
    async look() {
      const here = statSync(file, { bigint: true })
      const beside = readBeat(beatFile)
      // Later on, this process itself has been with the ledger all the time.
      const mayMiss = isFirst
      isFirst = false
      return {
        async judge(sql) {
          const place = await readName(sql, 'place')
          if (place !== undefined && isElsewhere(place, here))
            return { kind: 'restored', reason: 'the ledger was copied or moved from elsewhere' }
          // Looked for again: another process may have written it meanwhile.
          if (mayMiss && (await readName(sql, BEAT_SEEN)) === 'yes' && !existsSync(beatFile))
            return {
              kind: 'restored',
              reason: `the ledger came without its ${basename(beatFile)}: it may be a copy`,
            }
          const beats = Number((await readName(sql, 'beats')) ?? 0)
          if (beside !== undefined && beside.ledger === (await readName(sql, 'id')) && beside.beats > beats)
            return { kind: 'restored', reason: 'the ledger was restored from a backup' }
          return undefined
        },
        async note(sql) {
          await writeName(sql, 'place', placeOf(here))
          // One that never could be written is not missed.
          await writeName(sql, BEAT_SEEN, beside === undefined ? 'no' : 'yes')
        },
        beatsBeside: beside?.beats ?? 0,
        keepBeat: (beat) => writeBeat(beatFile, beat, onError),
      }
    },
  }
}

/** The ledger's own word that the small file was beside it. */
const BEAT_SEEN = 'beat_seen'

const NEVER_COPIED: LedgerGuard = {
  waiting: () => undefined,
  refresh: async () => {},
  beat: async () => {},
  hold: async (wait, _, now) => ({ ...wait, from: hourOf(now), to: hourOf(now) }),
  release: async () => undefined,
}

type FileMarks = Pick<BigIntStats, 'ino' | 'birthtimeNs' | 'ctimeNs'>

/**
 * A file's number on its disk, and when it was made (ns), where the system tells: both stay with the file, also when it is
 * renamed, and no copy has both. The number alone is not enough: a new disk gives its first files the same ones again.
 */
export function placeOf({ ino, birthtimeNs, ctimeNs }: FileMarks): string {
  // A system that does not know says 0, or the time of the last change.
  const isTold = birthtimeNs !== 0n && birthtimeNs !== ctimeNs
  return isTold ? `${numberOf(ino)} ${birthtimeNs}` : numberOf(ino)
}

/** @param place - as `placeOf` said it, in this version or one that knew numbers only */
export function isElsewhere(place: string, { ino, birthtimeNs }: FileMarks): boolean {
  const [number, birth] = place.split(' ')
  if (number !== numberOf(ino)) return true
  return birth !== undefined && birthtimeNs !== 0n && birth !== String(birthtimeNs)
}

/** As ledgers have it that were made before: also where the disk's own number is too large for an exact one. */
function numberOf(ino: bigint): string {
  return String(Number(ino))
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
