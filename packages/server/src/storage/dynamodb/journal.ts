import { randomUUID } from 'node:crypto'
import { toWire, type Wire, wireKey } from './attributes.ts'
import {
  conditionOf,
  createExpression,
  GHOST,
  isRefused,
  itemOf,
  judge,
  LOCK,
  type Planned,
  toFound,
  updateOf,
  type Verdict,
} from './changes.ts'
import { inParallel } from './in-parallel.ts'
import {
  JOURNAL,
  type JournalEntry,
  type JournalHeader,
  readEntries,
  readHeader,
  toParts,
} from './journal-items.ts'
import type { Patience } from './patience.ts'
import { explain, failureOf, type Requests, sendRepeatably } from './requests.ts'
import { AdditionRefused, type Key } from './table.ts'

/** Requests of one journal that are under way at once. */
const PARALLEL_MAX = 16
/** After this a journal that was ended, but not cleared away, is forgotten, seconds. */
const KEEP_ENDED_SECONDS = 86_400
/** After this a part is forgotten that nobody cleared away: longer than a table can be set back to find it committed. */
const KEEP_PARTS_SECONDS = 90 * 86_400
const KNOWN_MAX = 1_000

/** What a lock that was met stands for. */
type LockState =
  /** Nothing has changed yet: the item is as it was. */
  | 'pending'
  /** Decided and done: read again. */
  | 'settled'

/**
 * Steps that no single transaction holds, by a redo log:
 *
 * 1. all that the step writes is noted as `prepared`
 * 2. each of its items is locked, if it is still as it was read; one that is missing gets a ghost in its place
 * 3. `prepared` becomes `committed` by one conditional write: from here on the step has happened
 * 4. each item is written, and its lock goes with that; the journal is cleared away
 *
 * Whoever meets a lock looks its journal up: what is committed he helps to finish, what has long been prepared he ends.
 *
 * Each request for a lock is sent once: were one to arrive late, after a second of its kind was answered, it could lock
 * an item anew that its journal has already written. So where its answer is lost, the journal is given up, and its locks
 * mean nothing ever after.
 */
export interface Journal {
  /** @returns why nothing was written, or `committed` */
  commit(plan: readonly Planned[], patience: Patience): Promise<Verdict>
  /** For a reader, who need not wait: what the lock that he met stands for. */
  look(key: Key, lock: string, patience: Patience): Promise<LockState>
  /** For a writer: comes back when the lock is gone. */
  settle(key: Key, lock: string, patience: Patience): Promise<void>
  /**
   * Finishes what those who died left behind, so that also what is found by an index alone is there.
   *
   * @returns how many journals were ended
   */
  recover(patience: Patience): Promise<number>
}

export interface JournalOptions {
  readonly requests: Requests
  readonly table: string
  /** So long may a journal be `prepared` before others end it, ms. Its owner needs moments. */
  readonly graceMs: number
  /** Told why a journal of our own is left to others, who finish it or clear it away. */
  readonly onLeft: (error: unknown) => void
}

export function createJournal({ requests, table, graceMs, onLeft }: JournalOptions): Journal {
  /** When each journal that is not ours was first seen prepared, by the machine's steady clock: no two agree on the time. */
  const preparedSince = new Map<string, number>()

  async function commit(plan: readonly Planned[], patience: Patience): Promise<Verdict> {
    for (;;) {
      const id = randomUUID()
      const parts = await prepare(id, plan, patience)
      const locked: Planned[] = []
      let verdict: Verdict | 'lost'
      try {
        verdict = await lockAll(id, plan, locked, patience)
        if (verdict !== 'lost' && verdict.kind === 'committed') verdict = await flip(id, patience)
      } catch (error) {
        if (await wasCommitted(id, parts, plan, locked, patience)) return { kind: 'committed' }
        throw error
      }
      if (verdict !== 'lost' && verdict.kind === 'committed') {
        await finishOwn(id, parts, plan, patience)
        return verdict
      }
      await giveUp(id, parts, locked, patience)
      if (verdict !== 'lost') return verdict
      await patience.pause('the answer to a lock was lost')
    }
  }

  /** @returns how many parts the journal has beside its header */
  async function prepare(id: string, plan: readonly Planned[], patience: Patience): Promise<number> {
    const { inline, parts } = toParts(plan)
    await inParallel(parts, PARALLEL_MAX, (entries, index) =>
      sendRepeatably(
        requests,
        'PutItem',
        {
          TableName: table,
          Item: { ...partKey(id, index), entries, expiresAt: { N: secondsFromNow(KEEP_PARTS_SECONDS) } },
        },
        patience,
      ),
    )
    const header = toWire({ status: 'prepared', parts: parts.length, at: new Date().toISOString() })
    const Item: Wire = { ...headerKey(id), ...header, ...(inline !== undefined && { entries: inline }) }
    // One that comes late must not undo what came after it.
    const condition = 'attribute_not_exists(pk)'
    await sendOrRefused('PutItem', { TableName: table, Item, ConditionExpression: condition }, patience)
    return parts.length
  }

  async function lockAll(
    id: string,
    plan: readonly Planned[],
    locked: Planned[],
    patience: Patience,
  ): Promise<Verdict | 'lost'> {
    const outcomes: (Verdict | 'lost')[] = []
    await inParallel(plan, PARALLEL_MAX, async (planned) => {
      if (outcomes.length > 0) return
      locked.push(planned)
      const outcome = await lock(id, planned, patience)
      if (outcome === 'lost' || outcome.kind !== 'committed') outcomes.push(outcome)
    })
    // One lost answer is enough to begin anew; what else stood in the way shows then.
    if (outcomes.includes('lost')) return 'lost'
    return outcomes[0] ?? { kind: 'committed' }
  }

  async function lock(id: string, planned: Planned, patience: Patience): Promise<Verdict | 'lost'> {
    for (;;) {
      // The version is part of the condition also where the step asked for none: see above.
      const found =
        planned.expected === undefined ? toFound(await readWire(planned.key, patience)) : undefined
      if (found?.lock !== undefined) return { kind: 'locked', key: planned.key, lock: found.lock }
      if (found !== undefined && isRefused(planned, found.item)) {
        return { kind: 'refused', error: new AdditionRefused(planned.key, found.item) }
      }
      const outcome = await sendLock(
        id,
        { ...planned, expected: planned.expected ?? found!.expected },
        patience,
      )
      if (outcome !== 'refused') return outcome === 'lost' ? 'lost' : { kind: 'committed' }
      const verdict = judge(planned, await readWire(planned.key, patience))
      // Grown meanwhile, which is nothing to an addition.
      if (verdict.kind === 'changed' && planned.expected === undefined)
        await patience.pause('a counter grows')
      else return verdict
    }
  }

  async function sendLock(
    id: string,
    planned: Planned,
    patience: Patience,
  ): Promise<'locked' | 'refused' | 'lost'> {
    const { key, expected } = planned
    for (;;) {
      const expression = createExpression()
      try {
        if (expected === 'missing') {
          await requests.send('PutItem', {
            TableName: table,
            Item: { ...wireKey(key), ...toWire({ [GHOST]: true, [LOCK]: id }) },
            ConditionExpression: conditionOf(planned, expression),
            ...expression.parts(),
          })
        } else {
          await requests.send('UpdateItem', {
            TableName: table,
            Key: wireKey(key),
            UpdateExpression: `SET ${expression.name(LOCK)} = ${expression.value({ S: id })}`,
            ConditionExpression: conditionOf(planned, expression),
            ...expression.parts(),
          })
        }
        return 'locked'
      } catch (error) {
        const { kind } = failureOf(error)
        if (kind === 'refused' || kind === 'lost') return kind
        if (kind !== 'throttled' && kind !== 'conflict') throw explain(error)
        await patience.pause(error)
      }
    }
  }

  /** The moment of the commit. */
  async function flip(id: string, patience: Patience): Promise<Verdict | 'lost'> {
    if (await turn(id, 'prepared', 'committed', patience)) return { kind: 'committed' }
    // Also where an answer was lost, and others have finished it since.
    const status = (await header(id, patience))?.status
    if (status === 'committed' || status === 'done') return { kind: 'committed' }
    return 'lost'
  }

  /** After an error: was that after the moment of the commit? Then the step has happened; else it never will. */
  async function wasCommitted(
    id: string,
    parts: number,
    plan: readonly Planned[],
    locked: readonly Planned[],
    patience: Patience,
  ): Promise<boolean> {
    if (await turn(id, 'prepared', 'aborted', patience)) {
      await giveUp(id, parts, locked, patience)
      return false
    }
    const status = (await header(id, patience))?.status
    if (status !== 'committed' && status !== 'done') return false
    await finishOwn(id, parts, plan, patience)
    return true
  }

  /** After the commit nothing can fail any more: what is not done here is done by whoever meets it, or by `recover()`. */
  async function finishOwn(
    id: string,
    parts: number,
    plan: readonly Planned[],
    patience: Patience,
  ): Promise<void> {
    try {
      await applyAll(id, plan, patience)
      await turn(id, 'committed', 'done', patience)
      await clear(id, parts, patience)
    } catch (error) {
      onLeft(error)
    }
  }

  async function applyAll(id: string, entries: readonly JournalEntry[], patience: Patience): Promise<void> {
    await inParallel(entries, PARALLEL_MAX, (entry) => apply(id, entry, patience))
  }

  /** Writes one item, if that was not done yet. */
  async function apply(id: string, { key, change }: JournalEntry, patience: Patience): Promise<void> {
    if (change.kind === 'check') return unlock(id, key, patience)
    const expression = createExpression()
    const UpdateExpression =
      change.kind === 'add' ? updateOf(change.addition, id, expression, [LOCK, GHOST]) : undefined
    const common = { TableName: table, ConditionExpression: isOurs(id, expression), ...expression.parts() }
    if (change.kind === 'put') {
      await sendOrRefused('PutItem', { ...common, Item: itemOf(change.item, id) }, patience)
    } else if (change.kind === 'delete') {
      await sendOrRefused('DeleteItem', { ...common, Key: wireKey(key) }, patience)
    } else {
      await sendOrRefused('UpdateItem', { ...common, Key: wireKey(key), UpdateExpression }, patience)
    }
  }

  /** Takes a lock away, and a ghost with it. */
  async function unlock(id: string, key: Key, patience: Patience): Promise<void> {
    const expression = createExpression()
    const ConditionExpression = `${isOurs(id, expression)} AND attribute_not_exists(${expression.name(GHOST)})`
    const done = await sendOrRefused(
      'UpdateItem',
      {
        TableName: table,
        Key: wireKey(key),
        UpdateExpression: `REMOVE ${expression.name(LOCK)}`,
        ConditionExpression,
        ...expression.parts(),
      },
      patience,
    )
    if (done) return
    const ghost = createExpression()
    const condition = `${isOurs(id, ghost)} AND attribute_exists(${ghost.name(GHOST)})`
    await sendOrRefused(
      'DeleteItem',
      { TableName: table, Key: wireKey(key), ConditionExpression: condition, ...ghost.parts() },
      patience,
    )
  }

  /** Ends a journal of our own that was certainly not committed. Where that fails, others do it. */
  async function giveUp(
    id: string,
    parts: number,
    locked: readonly Planned[],
    patience: Patience,
  ): Promise<void> {
    try {
      await turn(id, 'prepared', 'aborted', patience)
      await inParallel(locked, PARALLEL_MAX, ({ key }) => unlock(id, key, patience))
      await clear(id, parts, patience)
    } catch (error) {
      onLeft(error)
    }
  }

  async function look(key: Key, lock: string, patience: Patience): Promise<LockState> {
    const known = await header(lock, patience)
    if (known?.status === 'prepared') return 'pending'
    if (known?.status === 'committed') await help(known, patience)
    else await unlock(lock, key, patience)
    preparedSince.delete(lock)
    return 'settled'
  }

  async function settle(key: Key, lock: string, patience: Patience): Promise<void> {
    while ((await look(key, lock, patience)) === 'pending') {
      if (isOverdue(lock)) await end(lock, patience)
      else await patience.pause(`another step is at ${key.pk} / ${key.sk}`)
    }
  }

  function isOverdue(lock: string): boolean {
    if (preparedSince.size > KNOWN_MAX) preparedSince.clear()
    const since = preparedSince.get(lock) ?? performance.now()
    preparedSince.set(lock, since)
    return performance.now() - since >= graceMs
  }

  /** Ends another's journal that was not committed in time, unless it is by now. */
  async function end(id: string, patience: Patience): Promise<void> {
    const known = await header(id, patience)
    if (known === undefined || !(await turn(id, 'prepared', 'aborted', patience))) return
    const entries = await entriesOf(known, patience)
    await inParallel(entries ?? [], PARALLEL_MAX, ({ key }) => unlock(id, key, patience))
    await clearParts(id, known.parts, patience)
  }

  /** Finishes another's journal that is committed. */
  async function help(known: JournalHeader, patience: Patience): Promise<void> {
    const entries = await entriesOf(known, patience)
    if (entries === undefined) return
    await applyAll(known.id, entries, patience)
    await turn(known.id, 'committed', 'done', patience)
    await clearParts(known.id, known.parts, patience)
  }

  /** @returns undefined where the journal was finished and its parts cleared away since its header was read */
  async function entriesOf(known: JournalHeader, patience: Patience): Promise<JournalEntry[] | undefined> {
    if (known.inline !== undefined) return readEntries(known.inline)
    const parts = await inParallel(
      Array.from({ length: known.parts }, (_, index) => index),
      PARALLEL_MAX,
      (index) =>
        sendRepeatably(
          requests,
          'GetItem',
          { TableName: table, Key: partKey(known.id, index), ConsistentRead: true },
          patience,
        ),
    )
    if (parts.some(({ Item }) => Item?.entries === undefined)) return undefined
    return parts.flatMap(({ Item }) => readEntries(Item!.entries!))
  }

  async function recover(patience: Patience): Promise<number> {
    let ended = 0
    let startKey: Wire | undefined
    do {
      const page = await sendRepeatably(
        requests,
        'Query',
        {
          TableName: table,
          ConsistentRead: true,
          KeyConditionExpression: 'pk = :pk',
          ExpressionAttributeValues: { ':pk': { S: JOURNAL } },
          ...(startKey !== undefined && { ExclusiveStartKey: startKey }),
        },
        patience,
      )
      for (const known of (page.Items ?? []).map(readHeader)) {
        if (known.status === 'committed') await help(known, patience)
        else if (known.status === 'prepared' && isOverdue(known.id)) await end(known.id, patience)
        else continue
        ended++
      }
      startKey = page.LastEvaluatedKey
    } while (startKey !== undefined)
    return ended
  }

  /** @returns whether it was as expected, and is changed now; after a lost answer it may be so by this very call */
  async function turn(
    id: string,
    from: 'prepared' | 'committed',
    to: 'committed' | 'aborted' | 'done',
    patience: Patience,
  ): Promise<boolean> {
    const isEnd = to !== 'committed'
    return sendOrRefused(
      'UpdateItem',
      {
        TableName: table,
        Key: headerKey(id),
        UpdateExpression: `SET #status = :to${isEnd ? ', expiresAt = :expiresAt' : ''}`,
        ConditionExpression: '#status = :from',
        ExpressionAttributeNames: { '#status': 'status' },
        ExpressionAttributeValues: {
          ':from': { S: from },
          ':to': { S: to },
          ...(isEnd && { ':expiresAt': { N: secondsFromNow(KEEP_ENDED_SECONDS) } }),
        },
      },
      patience,
    )
  }

  /** Only what is ended, and whose locks are gone. */
  async function clear(id: string, parts: number, patience: Patience): Promise<void> {
    await clearParts(id, parts, patience)
    await sendRepeatably(requests, 'DeleteItem', { TableName: table, Key: headerKey(id) }, patience)
  }

  /** All that others than its owner may clear away: by the header he learns, however late, what became of it. */
  async function clearParts(id: string, parts: number, patience: Patience): Promise<void> {
    await inParallel(
      Array.from({ length: parts }, (_, index) => index),
      PARALLEL_MAX,
      (index) =>
        sendRepeatably(requests, 'DeleteItem', { TableName: table, Key: partKey(id, index) }, patience),
    )
  }

  async function header(id: string, patience: Patience): Promise<JournalHeader | undefined> {
    const { Item } = await sendRepeatably(
      requests,
      'GetItem',
      { TableName: table, Key: headerKey(id), ConsistentRead: true },
      patience,
    )
    return Item && readHeader(Item)
  }

  async function readWire(key: Key, patience: Patience): Promise<Wire | undefined> {
    const input = { TableName: table, Key: wireKey(key), ConsistentRead: true }
    return (await sendRepeatably(requests, 'GetItem', input, patience)).Item
  }

  /** Sends a conditional write until it is answered. @returns whether its condition held the last time */
  async function sendOrRefused<Name extends 'PutItem' | 'UpdateItem' | 'DeleteItem'>(
    name: Name,
    input: Parameters<typeof requests.send<Name>>[1],
    patience: Patience,
  ): Promise<boolean> {
    try {
      await sendRepeatably(requests, name, input, patience)
      return true
    } catch (error) {
      if (failureOf(error).kind === 'refused') return false
      throw explain(error)
    }
  }

  return { commit, look, settle, recover }
}

function isOurs(id: string, { name, value }: ReturnType<typeof createExpression>): string {
  return `${name(LOCK)} = ${value({ S: id })}`
}

function secondsFromNow(seconds: number): string {
  return String(Math.floor(Date.now() / 1000) + seconds)
}

function headerKey(id: string): Wire {
  return wireKey({ pk: JOURNAL, sk: id })
}

function partKey(id: string, index: number): Wire {
  return wireKey({ pk: `${JOURNAL}#${id}`, sk: String(index).padStart(4, '0') })
}
