import { type JournaledEvent, memoryJournal, type UsageJournal } from '../buffer/usage-journal.ts'
import type { Client } from '../client/create-client.ts'
import { backoffMs } from '../client/retry.ts'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import { type Clock, systemClock } from '../clock.ts'
import { untilAborted } from '../until-aborted.ts'
import { quantityText } from './quantity.ts'
import type { KeptSettlement, OnUnsettled, Settlement } from './settlement.ts'
import { trySettlement } from './try-settlement.ts'
import { createTurns } from './turns.ts'

export interface SettlementsOptions {
  readonly client: Pick<Client, 'settleReservation'>
  /**
   * Told what will not be billed, before it is forgotten. Nobody else keeps it. Where this throws, it is asked for and told
   * again.
   */
  readonly onUnsettled: OnUnsettled
  /** Told of each try that failed; it is tried again for a week. */
  readonly onError?: ((error: unknown, about: Settlement) => void) | undefined
  /** Keeps what is not settled yet beyond this process: a file of its own, not the usage buffer's. Default: nothing does. */
  readonly journal?: UsageJournal<KeptSettlement> | undefined
  /** That wait to be settled; more are refused. Default: 50,000. */
  readonly pendingMax?: number | undefined
  readonly clock?: Clock | undefined
  /** From 0 up to 1, for the chance in waiting. Default: `Math.random`. */
  readonly random?: (() => number) | undefined
}

export interface Settlements {
  /**
   * Resolves when it is kept, on file where there is one; it is tried at once, and then until it is answered.
   *
   * @param options.tryForMs - waits for its first try as well, so long at most; not where Tollkeeper is known not to answer
   * @throws {SettlementsError} `settlements.full`, `settlements.closed`; {RangeError} for a quantity that is none
   */
  add(settlement: Settlement, options?: { readonly tryForMs?: number | undefined }): Promise<void>
  /**
   * Tries all now. Resolves when what was added before is answered; rejects with the first try that fails, and all stay. Where
   * they were closed before that: with `settlements.closed`.
   */
  flush(): Promise<void>
  /**
   * Takes nothing more, and tries what is there until it is answered, or `timeoutMs` (default: 10,000) are over. Without a
   * journal `onUnsettled` is handed the rest.
   *
   * @returns what was not answered; with a journal the next process goes on with it
   */
  close(options?: { readonly timeoutMs?: number | undefined }): Promise<readonly Settlement[]>
  /** That are not answered yet. */
  readonly pending: number
}

export class SettlementsError extends Error {
  readonly code: 'settlements.full' | 'settlements.closed'

  constructor(code: SettlementsError['code'], message: string) {
    super(message)
    this.name = 'SettlementsError'
    this.code = code
  }
}

interface Entry {
  readonly key: number
  readonly settlement: KeptSettlement
  tries: number
  /** Told how its next try ends. */
  readonly watchers: ((result: { readonly error?: unknown }) => void)[]
}

/** Of one settlement. All of them wait together as well, while nothing is answered. */
const ENTRY_BACKOFF_MS_MAX = 300_000
/** However long a server asks to wait, a minute later it is asked again. */
const RETRY_AFTER_MS_MAX = 60_000
/** While it closes there is little time: what was a pause of minutes is none. */
const CLOSING_PAUSE_MS_MAX = 1_000
/** For the listener to take what is left at the end. */
const HAND_OVER_MS = 2_000

/**
 * Settles reservations: each is tried until it is answered, for a week.
 *
 * @throws whatever the journal's `open` does: another process has its file, or it is damaged
 */
export async function createSettlements(options: SettlementsOptions): Promise<Settlements> {
  const { journal } = options
  const entries = (await journal?.open()) ?? []
  if (entries.every(({ event }) => 'reservation' in event)) return startSettlements(options, entries)
  await journal?.close()
  throw new Error('this journal holds usage: give settlements a file of their own')
}

/** As `createSettlements`, where nothing was left by an earlier process. */
export function startSettlements(
  options: SettlementsOptions,
  left: readonly JournaledEvent<KeptSettlement>[] = [],
): Settlements {
  const { client, onUnsettled, onError, clock = systemClock, random = Math.random } = options
  const { journal = memoryJournal<KeptSettlement>(), pendingMax = 50_000 } = options
  const entries = new Map<number, Entry>()
  const adding = new Set<Promise<unknown>>()
  const stopping = new AbortController()
  const { signal } = stopping
  const turns = createTurns<Entry>({ clock, signal, take: attempt })
  let lastKey = 0
  let failuresInRow = 0
  /** Those that were begun before one of them failed: they fail together, and that counts once. */
  let wave = 0
  let isClosing = false
  let closing: Promise<readonly Settlement[]> | undefined
  let onEmpty = () => {}

  for (const { key, event } of left) {
    lastKey = Math.max(lastKey, key)
    enqueue({ key, settlement: event, tries: 0, watchers: [] })
  }

  function enqueue(entry: Entry): void {
    entries.set(entry.key, entry)
    turns.now(entry)
  }

  /** @returns ms until its next try; undefined: there is none */
  async function attempt(entry: Entry): Promise<number | undefined> {
    const { key, settlement } = entry
    const ofWave = wave
    let isAnswered = false
    try {
      const tried = trySettlement(settlement, { client, now: clock.now(), signal })
      const unsettled = await untilAborted(tried, signal)
      isAnswered = true
      failuresInRow = 0
      // Told before it is forgotten: a crash in between tells it twice, never not at all.
      if (unsettled !== undefined) await untilAborted((async () => onUnsettled([unsettled]))(), signal)
      // Where the journal cannot note it, the next process settles it again, which changes nothing.
      await journal.settle([key]).catch((error: unknown) => tell(error, settlement))
      entries.delete(key)
      if (entries.size === 0) onEmpty()
      for (const watch of entry.watchers.splice(0)) watch({})
      return undefined
    } catch (error) {
      const ms = signal.aborted ? undefined : postpone(entry, error, isAnswered ? undefined : ofWave)
      if (ms !== undefined) tell(error, settlement)
      for (const watch of entry.watchers.splice(0)) watch({ error })
      return ms
    }
  }

  /** One cannot block the rest: it waits for itself; and all wait, and go one by one, while none is answered. */
  function postpone(entry: Entry, error: unknown, unansweredWave: number | undefined): number {
    entry.tries += 1
    const most = isClosing ? CLOSING_PAUSE_MS_MAX : Number.POSITIVE_INFINITY
    const ms = Math.min(most, backoffMs(entry.tries, random(), ENTRY_BACKOFF_MS_MAX))
    if (unansweredWave === undefined) return ms
    if (unansweredWave === wave) {
      wave += 1
      failuresInRow += 1
    }
    const { retryAfterMs = 0 } = error instanceof TollkeeperError ? error : {}
    const asked = Math.min(retryAfterMs, RETRY_AFTER_MS_MAX)
    turns.pause(Math.min(most, Math.max(asked, backoffMs(Math.max(1, failuresInRow), random()))))
    return ms
  }

  /** Whatever the listener does, settling goes on. */
  function tell(error: unknown, { reservation, quantity }: Settlement): void {
    try {
      onError?.(error, { reservation, quantity })
    } catch {}
  }

  async function keep(settlement: KeptSettlement): Promise<Entry> {
    lastKey += 1
    const key = lastKey
    await journal.append({ key, event: settlement })
    const entry: Entry = { key, settlement, tries: 0, watchers: [] }
    enqueue(entry)
    return entry
  }

  async function closeNow(timeoutMs: number): Promise<readonly Settlement[]> {
    isClosing = true
    failuresInRow = 0
    await Promise.allSettled(adding)
    const inTime = new AbortController()
    const timeout = clock.sleep(timeoutMs, inTime.signal).catch(() => {})
    turns.hurry()
    if (entries.size > 0) await Promise.race([new Promise<void>((resolve) => (onEmpty = resolve)), timeout])
    inTime.abort()
    stopping.abort(closed())
    await turns.ended()
    for (const { watchers } of entries.values())
      for (const watch of watchers.splice(0)) watch({ error: closed() })
    await journal.close()
    const rest = [...entries.values()].map(({ settlement }) => publicOf(settlement))
    if (rest.length > 0 && options.journal === undefined) await handOver(rest)
    return rest
  }

  async function handOver(rest: readonly Settlement[]): Promise<void> {
    const inTime = new AbortController()
    try {
      const told = (async () =>
        onUnsettled(rest.map((each) => ({ ...each, reason: 'settlements.closed' }))))()
      await Promise.race([told, clock.sleep(HAND_OVER_MS, inTime.signal).catch(() => {})])
    } catch (error) {
      for (const each of rest) tell(error, each)
    } finally {
      inTime.abort()
    }
  }

  return {
    async add({ reservation, quantity }, { tryForMs = 0 } = {}) {
      if (typeof reservation !== 'string' || reservation === '') throw new TypeError('reservation: its id')
      quantityText(quantity)
      if (closing !== undefined) throw closed()
      if (entries.size + adding.size >= pendingMax)
        throw new SettlementsError('settlements.full', `${entries.size} wait to be settled: there is no room`)
      const kept = keep({ reservation, quantity, at: clock.now() })
      adding.add(kept)
      const entry = await kept.finally(() => adding.delete(kept))
      if (tryForMs <= 0 || turns.isPaused() || !entries.has(entry.key)) return
      const inTime = new AbortController()
      const tried = new Promise<void>((resolve) => entry.watchers.push(() => resolve()))
      await Promise.race([tried, clock.sleep(tryForMs, inTime.signal).catch(() => {})])
      inTime.abort()
    },

    async flush() {
      await Promise.allSettled(adding)
      if (signal.aborted && entries.size > 0) throw closed()
      const answers = [...entries.values()].map(
        (entry) =>
          new Promise<void>((resolve, reject) =>
            entry.watchers.push((result) => ('error' in result ? reject(result.error) : resolve())),
          ),
      )
      turns.hurry()
      await Promise.all(answers)
    },

    close({ timeoutMs = 10_000 } = {}) {
      closing ??= closeNow(timeoutMs)
      return closing
    },

    get pending() {
      return entries.size
    },
  }
}

function closed(): SettlementsError {
  return new SettlementsError('settlements.closed', 'settlements are closed')
}

function publicOf({ reservation, quantity }: Settlement): Settlement {
  return { reservation, quantity }
}
