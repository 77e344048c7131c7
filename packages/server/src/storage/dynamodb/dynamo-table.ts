import { randomUUID } from 'node:crypto'
import { DomainError } from '../../domain/error.ts'
import { sizeOf, type Wire, wireKey } from './attributes.ts'
import {
  conditionOf,
  createExpression,
  isSame,
  itemOf,
  judge,
  type Planned,
  toFound,
  toTransactItem,
  VERSION,
  type Verdict,
} from './changes.ts'
import { createJournal } from './journal.ts'
import { createPatience, type Patience } from './patience.ts'
import { explain, failureOf, type Requests, sendRepeatably } from './requests.ts'
import type { Table, Transaction } from './table.ts'
import { createTableReader } from './table-reader.ts'
import { createStep, type Step } from './transaction.ts'
import { createTurns } from './turns.ts'

export interface TableSettings {
  readonly table: string
  readonly shards: number
  /** Items that one `TransactWriteItems` may hold: 100 at AWS. */
  readonly transactionItems: number
  /** So long a call waits for others, and for DynamoDB, before it says `ledger.busy`, ms. */
  readonly patienceMs?: number
  /** So long may another's journal be undecided before it is ended, ms. */
  readonly graceMs?: number
  /** Told why a large step of this process is left to others, who finish it or clear it away. */
  readonly onLeft?: (error: unknown) => void
}

const PATIENCE_MS = 15_000
/** Steps of one process that keep changing what the others read go one after the other from this try on. */
const TRIES_BEFORE_TURNS = 3
const GRACE_MS = 3_000
/** AWS: 4 MB for all items of a transaction (2026-07). */
export const TRANSACTION_BYTES_MAX = 3_500_000

/** @param close - of the client that `requests` go through */
export function createDynamoTable(
  requests: Requests,
  settings: TableSettings,
  close: () => void = () => {},
): Table {
  const { table, shards, transactionItems, patienceMs = PATIENCE_MS, graceMs = GRACE_MS } = settings
  const onLeft = settings.onLeft ?? warn
  const journal = createJournal({ requests, table, graceMs, onLeft })
  const patience = () => createPatience(patienceMs)
  const reader = createTableReader({ requests, table, journal, patience })
  const turns = createTurns()

  async function commit(plan: readonly Planned[], waiting: Patience): Promise<'committed' | 'changed'> {
    for (;;) {
      const verdict = await tryCommit(plan, waiting)
      if (verdict.kind === 'committed' || verdict.kind === 'changed') return verdict.kind
      if (verdict.kind === 'refused') throw verdict.error
      await journal.settle(verdict.key, verdict.lock, waiting)
    }
  }

  function tryCommit(plan: readonly Planned[], waiting: Patience): Promise<Verdict> {
    const [only] = plan
    if (plan.length === 1 && only?.change.kind === 'put') return putOne(only, waiting)
    if (plan.length > transactionItems || bytesOf(plan) > TRANSACTION_BYTES_MAX)
      return journal.commit(plan, waiting)
    return transact(plan, waiting)
  }

  /** Half the price of a transaction. The version that it leaves tells, after a lost answer, whether it was done. */
  async function putOne(planned: Planned, waiting: Patience): Promise<Verdict> {
    const token = randomUUID()
    if (planned.change.kind !== 'put') throw new Error('only a whole item is written alone')
    const expression = createExpression()
    const input = {
      TableName: table,
      Item: itemOf(planned.change.item, token),
      ConditionExpression: conditionOf(planned, expression),
      ...expression.parts(),
    }
    let lost = false
    for (;;) {
      try {
        await requests.send('PutItem', input)
        return { kind: 'committed' }
      } catch (error) {
        const failure = failureOf(error)
        if (failure.kind === 'defect' || failure.kind === 'cancelled') throw explain(error)
        if (failure.kind === 'refused') {
          const wire = await readWire(planned, waiting)
          if (wire?.[VERSION]?.S === token) return { kind: 'committed' }
          // It may have been done and then been overwritten: nobody can know, and it must not be done twice.
          if (lost && !isSame(planned.expected, toFound(wire).expected)) throw busyAfterLoss(error)
          return judge(planned, wire)
        }
        lost ||= failure.kind === 'lost'
        await waiting.pause(error)
      }
    }
  }

  /** A repeated request has the same token, by which DynamoDB knows it for ten minutes. */
  async function transact(plan: readonly Planned[], waiting: Patience): Promise<Verdict> {
    const token = randomUUID()
    const input = {
      TransactItems: plan.map((planned) => toTransactItem(table, planned, token)),
      ClientRequestToken: token,
    }
    for (;;) {
      try {
        await requests.send('TransactWriteItems', input)
        return { kind: 'committed' }
      } catch (error) {
        const failure = failureOf(error)
        if (failure.kind === 'cancelled') return judgeAll(plan, failure.reasons)
        if (failure.kind === 'defect' || failure.kind === 'refused') throw explain(error)
        await waiting.pause(error)
      }
    }
  }

  async function readWire({ key }: Planned, waiting: Patience): Promise<Wire | undefined> {
    const input = { TableName: table, Key: wireKey(key), ConsistentRead: true }
    return (await sendRepeatably(requests, 'GetItem', input, waiting)).Item
  }

  async function transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    let waiting = patience()
    let endTurn = () => {}
    let works: ReturnType<Step['works']> = []
    try {
      for (let tries = 1; ; tries++) {
        if (tries === TRIES_BEFORE_TURNS) {
          endTurn = await turns.take()
          waiting = patience()
        }
        const step = createStep(reader.versioned(waiting), shards)
        let result: T
        try {
          result = await run(step)
        } catch (error) {
          // What it stumbled over may be a state that there never was: read in part before, in part after another's step.
          if (await step.isCurrent()) throw error
          await waiting.pause(error)
          continue
        }
        const plan = step.plan()
        if (plan.length === 0 || (await commit(plan, waiting)) === 'committed') {
          works = step.works()
          return result
        }
        // Until it has its turn, what it waits for is not one step that is slow, but many that are quick.
        if (tries < TRIES_BEFORE_TURNS) waiting = patience()
        await waiting.pause('others changed what the step had read')
      }
    } finally {
      endTurn()
      // Not within the turn: they are steps of their own.
      for (const work of works) await work(self).catch(onLeft)
    }
  }

  const self: Table = {
    ...reader.plain,
    name: table,
    shards,
    transactionItemsMax: transactionItems,
    transaction,
    recover: () => journal.recover(patience()),
    close,
  }
  return self
}

function judgeAll(
  plan: readonly Planned[],
  reasons: readonly { readonly Code?: string | undefined; readonly Item?: Wire | undefined }[],
): Verdict {
  const verdicts = plan.flatMap((planned, index) =>
    reasons[index]?.Code === 'ConditionalCheckFailed' ? [judge(planned, reasons[index].Item)] : [],
  )
  // A lock hides what the item will be; what has changed is read again before a refusal is believed.
  const first = (kind: Verdict['kind']) => verdicts.find((verdict) => verdict.kind === kind)
  return first('locked') ?? first('changed') ?? verdicts[0]!
}

function bytesOf(plan: readonly Planned[]): number {
  return plan.reduce(
    (sum, { change }) => sum + (change.kind === 'put' ? sizeOf(itemOf(change.item, '')) : 1_000),
    0,
  )
}

function busyAfterLoss(cause: unknown): Error {
  return new DomainError(
    'ledger.busy',
    'the answer to a write was lost, and others have written since: ask again whether it was done',
    { cause },
  )
}

function warn(error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error)
  process.emitWarning(`a large step of the ledger is left for later: ${reason}`)
}
