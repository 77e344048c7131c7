import { type Hour, hourOf } from '../../domain/usage/hour.ts'
import {
  type DoubtfulHours,
  type LedgerGuard,
  type LedgerWait,
  mayReplace,
  mergeDoubt,
  requireHeld,
  waitsForRelease,
} from '../../domain/usage/ledger-guard.ts'
import { raiseAlarm } from './alarms.ts'
import { appendAudit } from './audit-trail.ts'
import type { Sql, SqlDatabase } from './database.ts'
import { optionalInt, text } from './rows.ts'
import { jumpEpoch } from './subscription-store.ts'

/** What an engine knows about where a ledger is: a copy is somewhere else, or set back. */
export interface Place {
  /** Reads where the ledger is now; outside of a transaction, since it may fail. */
  look(): Promise<Sighting>
}

export interface Sighting {
  /**
   * What the ledger's own word, and whatever the engine knows beside it, say of how it came here. `failover`: a standby took
   * over and may lack the last that was written, for as long as nobody noticed.
   */
  judge(sql: Sql): Promise<{ readonly kind: 'restored' | 'failover'; readonly reason: string } | undefined>
  /** Writes down that the ledger is here. */
  note(sql: Sql): Promise<void>
  /** Beats that were counted beside the ledger, whatever the ledger says itself. */
  readonly beatsBeside: number
  /** The ledger has counted a beat, and that is on disk. */
  keepBeat(beat: Beat): void
}

export interface Beat {
  readonly ledger: string
  /** Grows with each beat. */
  readonly beats: number
}

/** A standby that took over while somebody was alive lacks no more than this. */
const FAILOVER_MAX_MS = 5 * 60_000

/** Sees whether this ledger was restored or copied, now and with every beat. */
export async function createSqlLedgerGuard(
  database: SqlDatabase,
  place: Place,
  now: number,
): Promise<LedgerGuard> {
  let waiting: LedgerWait | undefined
  /** What waits stays as it is; what is elsewhere than it was begins to wait. */
  const check = async (sql: Sql, sighting: Sighting, at: number): Promise<LedgerWait | undefined> => {
    const known = await readWait(sql)
    if (known !== undefined) return known
    const found = await sighting.judge(sql)
    if (found === undefined) {
      await sighting.note(sql)
      return undefined
    }
    // What was resolved before, also on a copy that is lost, is not counted after this.
    await jumpEpoch(sql, at)
    const aliveAt = Number((await readName(sql, 'alive_at')) ?? at)
    if (found.kind === 'failover' && at - aliveAt <= FAILOVER_MAX_MS) {
      await doubtAfterFailover(sql, found.reason, aliveAt, at)
      await sighting.note(sql)
      return undefined
    }
    const wait: LedgerWait = {
      reason: found.reason,
      from: Math.min(hourOf(aliveAt), hourOf(at)),
      to: hourOf(at),
    }
    await writeName(sql, 'waiting', JSON.stringify(wait))
    return wait
  }

  const first = await place.look()
  waiting = await database.transaction((sql) => check(sql, first, now))

  return {
    waiting: () => waiting,
    async refresh() {
      waiting = await database.read(readWait)
    },
    async beat(at) {
      const sighting = await place.look()
      const { wait, beat } = await database.transaction(async (sql) => {
        const wait = await check(sql, sighting, at)
        return { wait, beat: wait === undefined ? await countBeat(sql, at) : undefined }
      })
      waiting = wait
      if (beat !== undefined) sighting.keepBeat(beat)
    },
    async hold({ reason, copy }, actor, at) {
      const step = async (sql: Sql): Promise<LedgerWait> => {
        const known = await readWait(sql)
        if (known !== undefined && !mayReplace(known, copy)) return known
        requireHeld(known, copy)
        const aliveAt = Number((await readName(sql, 'alive_at')) ?? at)
        const from = known?.from ?? Math.min(hourOf(aliveAt), hourOf(at))
        const wait: LedgerWait = { reason, from, to: hourOf(at), ...(copy && { copy }) }
        await writeName(sql, 'waiting', JSON.stringify(wait))
        if (known === undefined) {
          // What was resolved before is not counted after this.
          await jumpEpoch(sql, at)
          const audited = { action: 'ledger.hold', subject: 'ledger', before: undefined, after: wait }
          await appendAudit(sql, { at, actor, ...audited })
        }
        return wait
      }
      waiting = await database.transaction(step, { excludesIngest: true })
      return waiting
    },
    async release(actor, at) {
      const sighting = await place.look()
      const released = await database.transaction(
        async (sql) => {
          const wait = await readWait(sql)
          if (wait === undefined) return undefined
          const doubt = await beginDoubt(sql, wait.from, Math.max(wait.to, hourOf(at)), at)
          await sql.run(`DELETE FROM ledger WHERE name = 'waiting'`)
          await jumpEpoch(sql, at)
          await sighting.note(sql)
          await appendAudit(sql, {
            at,
            actor,
            action: 'ledger.release',
            subject: 'ledger',
            before: wait,
            after: { doubt },
          })
          return { wait, beat: await countBeat(sql, at, sighting.beatsBeside) }
        },
        { excludesIngest: true },
      )
      waiting = undefined
      if (released === undefined) return undefined
      sighting.keepBeat(released.beat)
      return released.wait
    },
  }
}

/** @param beside - beats known elsewhere, which it goes on from where they are more */
async function countBeat(sql: Sql, at: number, beside = 0): Promise<Beat> {
  const beats = Math.max(Number((await readName(sql, 'beats')) ?? 0), beside) + 1
  await writeName(sql, 'beats', String(beats))
  await writeName(sql, 'alive_at', String(at))
  return { ledger: (await readName(sql, 'id')) ?? '', beats }
}

/** From here on, AWS's `DuplicateRecord` for these hours is taken for our own. */
async function beginDoubt(sql: Sql, since: Hour, to: Hour, at: number): Promise<DoubtfulHours> {
  // The other copy went on to close whatever was open or held here, however old.
  const oldest = await sql.get(
    'SELECT MIN(hour) AS hour FROM (SELECT MIN(hour) AS hour FROM bucket WHERE status = 0 UNION ALL SELECT MIN(hour) FROM bucket WHERE status = 1) oldest',
  )
  const fresh = { from: Math.min(since, optionalInt(oldest?.hour) ?? since), to }
  const known = await readName(sql, 'doubt')
  const doubt = mergeDoubt(known === undefined ? undefined : (JSON.parse(known) as DoubtfulHours), fresh, at)
  await writeName(sql, 'doubt', JSON.stringify(doubt))
  // What is sealed and unsent here may have been sent by the other copy, at any time since the backup.
  await sql.run(
    `UPDATE usage_record SET unanswered = unanswered + 1, note = 'may have been sent by another copy of this ledger' WHERE state IN ('ready', 'sent')`,
  )
  return doubt
}

async function doubtAfterFailover(sql: Sql, reason: string, aliveAt: number, at: number): Promise<void> {
  const doubt = await beginDoubt(sql, Math.min(hourOf(aliveAt), hourOf(at)), hourOf(at), at)
  await appendAudit(sql, {
    at,
    actor: 'system',
    action: 'ledger.failover',
    subject: 'ledger',
    before: undefined,
    after: { reason, doubt },
  })
  await raiseAlarm(sql, {
    kind: 'failover',
    subject: 'ledger',
    message: `${reason}: hours since ${new Date(doubt.from * 3_600_000).toISOString()} are sent as in doubt, and usage that was acknowledged in the last moments before it may be missing unless replication is synchronous`,
    at,
  })
}

export async function readName(sql: Sql, name: string): Promise<string | undefined> {
  const row = await sql.get('SELECT value FROM ledger WHERE name = ?', name)
  return row === undefined ? undefined : text(row.value)
}

export async function writeName(sql: Sql, name: string, value: string): Promise<void> {
  await sql.run(
    'INSERT INTO ledger (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    name,
    value,
  )
}

async function readWait(sql: Sql): Promise<LedgerWait | undefined> {
  const json = await readName(sql, 'waiting')
  return json === undefined ? undefined : (JSON.parse(json) as LedgerWait)
}

/**
 * Within a step whose changes would be lost in a ledger that goes on elsewhere.
 *
 * @throws {DomainError} `ledger.waiting_for_release`
 */
export async function refuseWhileWaiting(sql: Sql): Promise<void> {
  const row = await sql.get(`SELECT value FROM ledger WHERE name = 'waiting'`)
  if (row !== undefined) throw waitsForRelease(JSON.parse(text(row.value)) as LedgerWait)
}
