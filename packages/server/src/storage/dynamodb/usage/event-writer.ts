import { randomInt } from 'node:crypto'
import { DomainError } from '../../../domain/error.ts'
import { hourOf } from '../../../domain/usage/hour.ts'
import { UNTAGGED } from '../../../domain/usage/tags.ts'
import type { RecordedEvent, RoutedEvent } from '../../../domain/usage/usage-event.ts'
import type { UsageStore } from '../../../domain/usage/usage-store.ts'
import { keyText } from '../../ingest/key-text.ts'
import { STALE, TOO_OLD } from '../../ingest/outcomes.ts'
import type { IngestCall } from '../../ingest/plan-ingest.ts'
import { settledReader } from '../settled-reader.ts'
import { AdditionRefused, type Table } from '../table.ts'
import { bucketName } from './book-events.ts'
import { counterKeys } from './ingest-counters.ts'
import { createFacts, type IngestFacts } from './ingest-facts.ts'
import { type LedgerState, readLedgerState } from './ledger-state.ts'
import { ensureMeter, type Meter, meterAt } from './meters.ts'
import { writeEvents } from './write-events.ts'
import { createOpened, type WriteOrder } from './write-order.ts'

/** Events and calls that wait at most: memory is bounded, and who comes later is told at once. */
const WAITING_EVENTS_MAX = 100_000
const WAITING_CALLS_MAX = 10_000
/** Transactions in flight at once, each of another meter. */
const LANES_MAX = 24
/** Careful tries of one order, each refused by what changed since it was read. */
const TRIES_MAX = 20
const METERS_MAX = 200_000
/** Ids that this process wrote last: who sends one again is answered without a write that would fail. */
const RECENT_MAX = 200_000

interface Call {
  readonly events: readonly RoutedEvent[]
  readonly now: number
  readonly epoch: number
  readonly outcomes: RecordedEvent[]
  left: number
  resolve(outcomes: readonly RecordedEvent[]): void
  reject(error: unknown): void
}

/** One event of a call on its way. */
interface Entry {
  readonly call: Call
  readonly index: number
  readonly routed: RoutedEvent
  readonly id: string
  readonly state: LedgerState
  readonly facts: IngestFacts
  /** Its id has just been written, or tried. */
  isRepeat: boolean
}

/** What waits for one meter: its transactions follow each other, and each takes what came meanwhile. */
interface Lane {
  readonly meter: Meter
  readonly entries: Entry[]
  isRunning: boolean
}

/**
 * Takes usage in: events of all requests that wait for the same meter are written in one transaction, those of different
 * meters at the same time. An event and what it adds to its bucket are one transaction; a request may be several, and
 * one that fails half-way is sent again: what was written is a duplicate then.
 */
export function createEventWriter(table: Table): UsageStore['record'] {
  const shard = randomInt(table.shards)
  const opened = createOpened()
  const meters = new Set<string>()
  const recent = new Set<string>()
  const lanes = new Map<string, Lane>()
  const ready: Lane[] = []
  let running = 0
  /** By the id of an event that is being written: those of the same id that came later. */
  const deciding = new Map<string, Entry[]>()
  let arrived: Call[] = []
  let isLooking = false
  let waitingEvents = 0
  let waitingCalls = 0
  let facts: { epoch: number; of: IngestFacts } | undefined

  /** One look at the ledger for all calls that have come; whoever comes meanwhile waits for the next. */
  const look = async () => {
    while (arrived.length > 0) {
      const calls = arrived
      arrived = []
      try {
        const state = await readLedgerState(table)
        for (const call of calls) admit(call, state)
      } catch (error) {
        for (const call of calls) for (const index of call.events.keys()) conclude(call, index, { error })
      }
      start()
    }
    isLooking = false
  }

  function admit(call: Call, state: LedgerState): void {
    if (facts?.epoch !== state.epoch) facts = { epoch: state.epoch, of: createFacts(settledReader(table)) }
    for (const [index, routed] of call.events.entries()) {
      if (call.epoch !== state.epoch) conclude(call, index, STALE)
      else if (routed.event.time < state.horizon) conclude(call, index, TOO_OLD)
      else
        queue({
          call,
          index,
          routed,
          id: keyText(routed.key),
          state,
          facts: facts.of,
          isRepeat: false,
        })
    }
  }

  function queue(entry: Entry): void {
    const others = deciding.get(entry.id)
    if (others !== undefined) {
      others.push(entry)
      return
    }
    deciding.set(entry.id, [])
    const meter = meterAt(entry.routed)
    let lane = lanes.get(meter.pk)
    if (lane === undefined) {
      lane = { meter, entries: [], isRunning: false }
      lanes.set(meter.pk, lane)
    }
    if (lane.entries.length === 0 && !lane.isRunning) ready.push(lane)
    lane.entries.push(entry)
  }

  function start(): void {
    while (running < LANES_MAX) {
      const lane = ready.shift()
      if (lane === undefined) return
      running++
      lane.isRunning = true
      void runOnce(lane)
    }
  }

  /** One transaction; then the others have their turn. */
  async function runOnce(lane: Lane): Promise<void> {
    const entries = takeOrder(lane)
    await writeAll(lane.meter, entries)
    for (const { id } of entries) {
      const [next, ...others] = deciding.get(id) ?? []
      deciding.delete(id)
      if (next === undefined) continue
      next.isRepeat = true
      queue(next)
      deciding.set(id, others)
    }
    lane.isRunning = false
    running--
    if (lane.entries.length > 0) ready.push(lane)
    else lanes.delete(lane.meter.pk)
    start()
  }

  /** The next events of one epoch, as many as fit a transaction. */
  function takeOrder(lane: Lane): Entry[] {
    const { entries, meter } = lane
    const budget = createBudget(table.transactionItemsMax, (hour) => opened.has(bucketName(meter.pk, hour)))
    const { state } = entries[0]!
    let count = 0
    while (count < entries.length && entries[count]!.state.epoch === state.epoch) {
      if (!budget.takes(entries[count]!.routed) && count > 0) break
      count++
    }
    return entries.splice(0, count)
  }

  async function writeAll(meter: Meter, entries: readonly Entry[]): Promise<void> {
    try {
      const outcomes = await writeOrder(meter, entries)
      for (const [n, { call, index }] of entries.entries()) conclude(call, index, outcomes[n]!)
    } catch (error) {
      const calls = [...new Set(entries.map(({ call }) => call))]
      if (isBusy(error) || calls.length === 1) {
        for (const { call, index } of entries) conclude(call, index, { error })
        return
      }
      // One request that fails must not fail the others.
      for (const call of calls)
        await writeAll(
          meter,
          entries.filter((entry) => entry.call === call),
        )
    }
  }

  async function writeOrder(meter: Meter, entries: readonly Entry[]): Promise<readonly RecordedEvent[]> {
    const { state, facts: of, routed } = entries[0]!
    const order: WriteOrder = {
      meter,
      calls: entries.map(
        ({ call, routed }): IngestCall => ({ events: [routed], now: call.now, epoch: state.epoch }),
      ),
      epoch: state.epoch,
      horizon: state.horizon,
      expires: state.expires,
      facts: of,
    }
    if (!meters.has(meter.pk)) {
      await table.transaction((tx) => ensureMeter(tx, meter, routed))
      if (meters.size >= METERS_MAX) meters.clear()
      meters.add(meter.pk)
    }
    let isCareful = entries.some((entry) => entry.isRepeat || recent.has(entry.id) || needsCare(entry.routed))
    for (let tries = 0; ; tries++) {
      let notes: string[] = []
      try {
        const outcomes = await table.transaction((tx) => {
          notes = []
          const context = { table, shard, opened, notes }
          const written = writeEvents(tx, context, order, isCareful)
          // Run again, it found something else than new events and open hours.
          isCareful = true
          return written
        })
        for (const name of notes) opened.add(name)
        if (recent.size >= RECENT_MAX) recent.clear()
        for (const { id } of entries) recent.add(id)
        return outcomes.flat()
      } catch (error) {
        if (!(error instanceof AdditionRefused)) throw error
        if (tries === TRIES_MAX)
          throw new DomainError('ledger.busy', `hours of ${meter.dimension} keep changing; try again`, {
            cause: error,
          })
        for (const { routed } of entries)
          for (const hour of new Set([hourOf(routed.event.time), ...routed.hours.slice(0, 2)]))
            opened.delete(bucketName(meter.pk, hour))
        isCareful = true
      }
    }
  }

  /** Of a call that fails the other events go on: to who asks again they are duplicates. */
  function conclude(call: Call, index: number, outcome: RecordedEvent | { readonly error: unknown }): void {
    waitingEvents--
    call.left--
    if ('error' in outcome) call.reject(outcome.error)
    else call.outcomes[index] = outcome
    if (call.left > 0) return
    waitingCalls--
    // After a failure this is without effect.
    call.resolve(call.outcomes)
  }

  return (events, now, epoch) =>
    new Promise((resolve, reject) => {
      if (events.length === 0) return resolve([])
      // One call alone is taken whatever its size.
      const isFull = waitingCalls >= WAITING_CALLS_MAX || waitingEvents + events.length > WAITING_EVENTS_MAX
      if (waitingCalls > 0 && isFull) {
        return reject(
          new DomainError('ledger.busy', 'more usage waits than the ledger can take in; try again'),
        )
      }
      arrived.push({
        events,
        now,
        epoch,
        outcomes: new Array(events.length),
        left: events.length,
        resolve,
        reject,
      })
      waitingEvents += events.length
      waitingCalls++
      if (!isLooking) {
        isLooking = true
        // After the poll phase: every request that arrived in this turn joins the look.
        setImmediate(() => void look())
      }
    })
}

/** Nobody's, or maybe its successor's: which hours are open has to be known; at a gate, whether its id is new. */
function needsCare(routed: RoutedEvent): boolean {
  return routed.hours.length === 0 || routed.hasHeir || routed.gate !== undefined
}

/** Counts what a transaction would write; where it counts too little, the step goes through the journal. */
function createBudget(itemsMax: number, isOpened: (hour: number) => boolean) {
  const names = new Set<string>()
  let items = 0
  return {
    takes(routed: RoutedEvent): boolean {
      const { event, aggregation } = routed
      const own = hourOf(event.time)
      const counted = routed.hours[0] ?? own
      const isOpen = routed.hours.length > 0 && isOpened(counted)
      // Its meter, two shards, and a total of what nobody is billed for.
      const fresh: [string, number][] = [[`hour ${counted}`, isOpen ? 1 : 4]]
      if (counted !== own) fresh.push([`stray ${own}`, 1], ['late', 2])
      for (const { window, start } of routed.gate?.limits ?? []) fresh.push([`limit ${window} ${start}`, 1])
      // It, and that it is held.
      if (routed.gate?.reservation !== undefined) fresh.push([routed.gate.reservation, 2])
      if (event.tags !== UNTAGGED) fresh.push([`tags ${event.tags}`, 1])
      if (aggregation !== 'sum' && aggregation !== 'count')
        for (const { pk, sk } of counterKeys(routed, [''])) fresh.push([`${pk} ${sk}`, 1])
      const cost = 1 + fresh.reduce((sum, [name, each]) => sum + (names.has(name) ? 0 : each), 0)
      if (items + cost > itemsMax) return false
      items += cost
      for (const [name] of fresh) names.add(name)
      return true
    },
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'ledger.busy'
}
