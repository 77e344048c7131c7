import { randomUUID } from 'node:crypto'
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
import { appendAudit } from './audit-trail.ts'
import { jumpEpoch } from './epoch.ts'
import { optionalText, text } from './fields.ts'
import { ledgerKey } from './keys.ts'
import type { Reader, Table, Transaction } from './table.ts'

/** What the guard asks of the usage that a restored ledger has. */
export interface UnsentUsage {
  /** The oldest hour that is open or held; undefined: none. */
  oldestUnsealed(): Promise<Hour | undefined>
  /** Marks each record that is ready or sent as one that another copy may have sent: once for each `mark`. */
  doubtUnsent(mark: string): Promise<void>
}

/** A wait with its own id, by which records are marked once however often the release is tried. */
interface NotedWait extends LedgerWait {
  readonly id: string
}

/**
 * A table's id tells a copy: what was restored, from a backup or to a point in time, or imported, is another table with
 * another id, whatever its name.
 *
 * @param tableId - as AWS knows the table that was opened
 */
export async function createDynamoLedgerGuard(
  table: Table,
  tableId: string,
  usage: UnsentUsage,
  now: number,
): Promise<LedgerGuard> {
  let waiting = await table.transaction(async (tx) => {
    const known = await readWait(tx)
    const place = await read(tx, 'place')
    if (known !== undefined || place === tableId) return known
    if (place === undefined) {
      await write(tx, 'place', tableId)
      return undefined
    }
    const aliveAt = Number((await read(tx, 'alive_at')) ?? now)
    const wait: NotedWait = {
      id: randomUUID(),
      reason: 'the table was restored from a backup, or is a copy of another',
      from: Math.min(hourOf(aliveAt), hourOf(now)),
      to: hourOf(now),
    }
    await write(tx, 'waiting', JSON.stringify(wait))
    // What was resolved before, also on a table that is lost, is not counted after this.
    await jumpEpoch(tx, now)
    return wait
  })

  async function refresh(): Promise<void> {
    waiting = await readWait(table)
  }

  return {
    waiting: () => waiting && shown(waiting),
    refresh,
    async beat(at) {
      await refresh()
      if (waiting !== undefined) return
      await table.recover()
      await table.transaction((tx) => write(tx, 'alive_at', String(at)))
    },
    async hold({ reason, copy }, actor, at) {
      waiting = await table.transaction(async (tx) => {
        const known = await readWait(tx)
        if (known !== undefined && !mayReplace(known, copy)) return known
        requireHeld(known, copy)
        const aliveAt = Number((await read(tx, 'alive_at')) ?? at)
        const wait: NotedWait = {
          id: known?.id ?? randomUUID(),
          reason,
          from: known?.from ?? Math.min(hourOf(aliveAt), hourOf(at)),
          to: hourOf(at),
          ...(copy && { copy }),
        }
        await write(tx, 'waiting', JSON.stringify(wait))
        if (known === undefined) {
          // What was resolved before is not counted after this.
          await jumpEpoch(tx, at)
          const audited = { action: 'ledger.hold', subject: 'ledger', before: undefined, after: shown(wait) }
          await appendAudit(tx, { at, actor, ...audited })
        }
        return wait
      })
      return shown(waiting)
    },
    async release(actor, at) {
      const known = await readWait(table)
      if (known === undefined) return undefined
      // The other copy went on to close whatever was open or held here, however old.
      const from = Math.min(known.from, (await usage.oldestUnsealed()) ?? known.from)
      const fresh = { from, to: Math.max(known.to, hourOf(at)) }
      // What is sealed and unsent here may have been sent by the other copy, at any time since the backup. While the
      // ledger waits, nothing is sealed or sent: so this may be many steps.
      await usage.doubtUnsent(known.id)
      const released = await table.transaction(async (tx) => {
        const wait = await readWait(tx)
        if (wait === undefined) return undefined
        tx.delete(ledgerKey('waiting'))
        await jumpEpoch(tx, at)
        const before = await read(tx, 'doubt')
        const doubted = before === undefined ? undefined : (JSON.parse(before) as DoubtfulHours)
        const doubt = mergeDoubt(doubted, fresh, at)
        await write(tx, 'doubt', JSON.stringify(doubt))
        await write(tx, 'place', tableId)
        await appendAudit(tx, {
          at,
          actor,
          action: 'ledger.release',
          subject: 'ledger',
          before: shown(wait),
          after: { doubt },
        })
        return shown(wait)
      })
      waiting = undefined
      return released
    },
  }
}

function shown({ id: _, ...wait }: NotedWait): LedgerWait {
  return wait
}

async function read(reader: Pick<Reader, 'get'>, name: string): Promise<string | undefined> {
  return optionalText((await reader.get(ledgerKey(name)))?.value)
}

async function write(tx: Transaction, name: string, value: string): Promise<void> {
  await tx.get(ledgerKey(name))
  tx.put({ ...ledgerKey(name), value })
}

async function readWait(reader: Pick<Reader, 'get'>): Promise<NotedWait | undefined> {
  const item = await reader.get(ledgerKey('waiting'))
  return item === undefined ? undefined : (JSON.parse(text(item.value)) as NotedWait)
}

/**
 * Within a step whose changes would be lost in a ledger that goes on elsewhere.
 *
 * @throws {DomainError} `ledger.waiting_for_release`
 */
export async function refuseWhileWaiting(tx: Transaction): Promise<void> {
  const wait = await tx.peek(ledgerKey('waiting'))
  if (wait !== undefined) throw waitsForRelease(JSON.parse(text(wait.value)) as LedgerWait)
}
