import { DomainError } from '../../domain/error.ts'
import { type CopyPage, type LedgerCopy, requireRun } from '../../domain/moving/ledger-copy.ts'
import { type CopyRow, LEDGER_KINDS, type LedgerKind } from '../../domain/moving/ledger-kinds.ts'
import { appendAudit } from './audit-trail.ts'
import { createBatch } from './copy/batch.ts'
import { KIND_READERS, type Source } from './copy/kind-readers.ts'
import { writePage } from './copy/kind-writers.ts'
import { scanAll, scanPage } from './copy/scan.ts'
import { countAnew } from './copy/totals-of-copy.ts'
import { int, optionalText } from './fields.ts'
import { FILLING, fillingItem, readFilling, toFilling } from './filling.ts'
import { ledgerKey } from './keys.ts'
import type { Requests } from './requests.ts'
import type { Item, Key, Table } from './table.ts'
import { owedOf, settleOwed } from './usage/hand-over.ts'
import { meterOf } from './usage/meters.ts'
import { createMoves } from './usage/moves.ts'

/** Copies rows from or to a table, reading it by scans: nobody else uses it meanwhile. */
export function createDynamoLedgerCopy(table: Table, requests: Requests): LedgerCopy {
  const ordered = new Map<string, readonly Key[]>()
  let source: Promise<Source> | undefined
  let isSettled = false
  const readSource = () => {
    source ??= sourceOf(table, requests, isSettled)
    return source
  }
  return {
    signOfLife: async () => optionalText((await table.get(ledgerKey('alive_at')))?.value) ?? '',
    async read(kind, cursor, limit) {
      if (cursor === undefined) {
        // From its beginning: what was remembered of it may be over.
        ordered.delete(kind.name)
        source = undefined
        if (kind === LEDGER_KINDS[0]) isSettled = false
      }
      const from = await readSource()
      isSettled = true
      return kind.isOrdered === true
        ? readOrdered(table, requests, from, kind, ordered, Number(cursor ?? 0), limit)
        : readScanned(table, requests, from, kind, cursor)
    },
    isEmpty: async () => (await table.get(ledgerKey('mode'))) === undefined,
    filling: () => readFilling(table),
    begin: (filling) =>
      table.transaction(async (tx) => {
        const known = await readFilling(tx)
        if (known?.copy === filling.copy) {
          const taken = { ...known, run: filling.run }
          const item = await tx.get(FILLING)
          tx.put(fillingItem(taken, int(item?.rows ?? 0)))
          return taken
        }
        if (known !== undefined)
          throw new DomainError(
            'ledger.copy_refused',
            `is half filled from ${known.from} by another copying: name an empty store`,
          )
        if ((await tx.get(ledgerKey('mode'))) !== undefined)
          throw new DomainError('ledger.copy_refused', 'holds a ledger: name an empty store')
        tx.put(fillingItem(filling, 0))
        return filling
      }),
    async write(kind, rows, filling) {
      const known = await table.get(FILLING)
      requireRun(toFilling(known), filling)
      const before = int(known?.rows ?? 0)
      const [horizon, mode] = await table.getMany([ledgerKey('horizon'), ledgerKey('mode')])
      const batch = createBatch(table, requests, filling)
      await writePage(kind.name, rows, {
        batch,
        before,
        horizon: int(horizon?.value ?? 0),
        expires: mode?.value === 'live' || mode?.value === 'shadow',
      })
      await table.transaction(async (tx) => {
        requireRun(await readFilling(tx), filling)
        tx.put(fillingItem(filling, before + rows.length))
      })
    },
    async finish(filling, actor, at) {
      const known = await readFilling(table)
      if (known === undefined) return
      requireRun(known, filling)
      await countAnew(table, requests, createBatch(table, requests, filling))
      await table.transaction(async (tx) => {
        requireRun(await readFilling(tx), filling)
        tx.delete(FILLING)
        await appendAudit(tx, {
          at,
          actor,
          action: 'ledger.copy',
          subject: 'ledger',
          before: undefined,
          after: { from: filling.from, copy: filling.copy },
        })
      })
    },
  }
}

async function sourceOf(table: Table, requests: Requests, isSettled: boolean): Promise<Source> {
  await table.recover()
  if (!isSettled) await settleAll(table, requests)
  let meters: Promise<Map<string, { subscription: string; dimension: string }>> | undefined
  const readMeters = async () => {
    const found = new Map<string, { subscription: string; dimension: string }>()
    for await (const meta of scanAll(requests, table.name, { pkPrefix: 'METER#', sk: 'META' })) {
      const { subscription, dimension } = meterOf(meta)
      found.set(meta.pk, { subscription, dimension })
    }
    return found
  }
  return {
    table,
    horizon: int((await table.get(ledgerKey('horizon')))?.value ?? 0),
    moves: createMoves(table),
    async meter(pk) {
      meters ??= readMeters()
      return (await meters).get(pk)!
    },
  }
}

/**
 * What meters owe each other is in no row, so it is settled before any is read.
 *
 * @throws {DomainError} `ledger.busy` where that cannot be done: then nothing is copied
 */
async function settleAll(table: Table, requests: Requests): Promise<void> {
  for (let isOwed = true; isOwed; ) {
    isOwed = false
    for await (const meta of scanAll(requests, table.name, { pkPrefix: 'METER#', sk: 'META' })) {
      if (owedOf(meta).length === 0) continue
      isOwed = true
      await settleOwed(table, meterOf(meta))
    }
  }
}

async function rowsOf(kind: LedgerKind, items: readonly Item[], source: Source): Promise<CopyRow[]> {
  const rows: CopyRow[] = []
  for (const item of items) rows.push(...(await KIND_READERS[kind.name].rows(item, source)))
  return rows
}

async function readScanned(
  table: Table,
  requests: Requests,
  source: Source,
  kind: LedgerKind,
  cursor: string | undefined,
): Promise<CopyPage> {
  const { items, next } = await scanPage(requests, table.name, KIND_READERS[kind.name].where, cursor)
  return { rows: await rowsOf(kind, items, source), next }
}

/** Its order is found by one scan; the cursor is a place in it. */
async function readOrdered(
  table: Table,
  requests: Requests,
  source: Source,
  kind: LedgerKind,
  ordered: Map<string, readonly Key[]>,
  from: number,
  limit: number,
): Promise<CopyPage> {
  const { where, order } = KIND_READERS[kind.name]
  let keys = ordered.get(kind.name)
  if (keys === undefined) {
    const found: { place: string; key: Key }[] = []
    for await (const item of scanAll(requests, table.name, where)) {
      const { pk, sk } = item
      found.push({ place: order!(item), key: { pk, sk } })
    }
    keys = found.sort((a, b) => (a.place < b.place ? -1 : 1)).map(({ key }) => key)
    ordered.set(kind.name, keys)
  }
  const items = await table.getMany(keys.slice(from, from + limit))
  return {
    rows: await rowsOf(
      kind,
      items.filter((item) => item !== undefined),
      source,
    ),
    next: from + limit < keys.length ? String(from + limit) : undefined,
  }
}
