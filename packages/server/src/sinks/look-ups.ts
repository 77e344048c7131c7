import { promises as dns, type LookupAddress } from 'node:dns'

/** All addresses of a name, as this machine knows it: `/etc/hosts` and all. */
export type LookUp = (hostname: string, signal: AbortSignal) => Promise<readonly LookupAddress[]>

/**
 * At once, of all calls to addresses that sellers gave. Each takes a thread of libuv's until the system's resolver gives up, which nobody
 * can cut short, and there are four: calls to AWS and to the database need one, too.
 */
const AT_ONCE_MAX = 2
const SLOW_MAX = 1_000

interface Entry {
  readonly hostname: string
  readonly answer: PromiseWithResolvers<readonly LookupAddress[]>
  isAsked: boolean
  waiting: number
}

/**
 * Bounds what names take: few look-ups at once, and one for each name. Whoever waits, waits no longer than its own signal; what nobody waits
 * for any more is not begun. Of names whose look-up was given up, one is asked at once: they hold up each other, and no other.
 */
export function createLookUps(resolve: (hostname: string) => Promise<readonly LookupAddress[]>): LookUp {
  /** In the order of their coming. */
  const entries = new Map<string, Entry>()
  /** Names that nobody had the patience for, last time. */
  const slow = new Set<string>()

  function isNext({ hostname, isAsked }: Entry, asked: readonly Entry[]): boolean {
    return !isAsked && !(slow.has(hostname) && asked.some((other) => slow.has(other.hostname)))
  }

  function begin(): void {
    for (const entry of entries.values()) {
      const asked = [...entries.values()].filter(({ isAsked }) => isAsked)
      if (asked.length >= AT_ONCE_MAX) return
      if (isNext(entry, asked)) void ask(entry)
    }
  }

  async function ask(entry: Entry): Promise<void> {
    const { hostname, answer } = entry
    entry.isAsked = true
    try {
      answer.resolve(await resolve(hostname))
    } catch (error) {
      answer.reject(error)
    }
    entries.delete(hostname)
    if (entry.waiting > 0) slow.delete(hostname)
    begin()
  }

  function leave(entry: Entry): void {
    entry.waiting--
    if (entry.waiting > 0 || entries.get(entry.hostname) !== entry) return
    if (!entry.isAsked) entries.delete(entry.hostname)
    else {
      if (slow.size >= SLOW_MAX) slow.clear()
      slow.add(entry.hostname)
    }
  }

  return async (hostname, signal) => {
    signal.throwIfAborted()
    let entry = entries.get(hostname)
    if (entry === undefined) {
      entry = { hostname, answer: Promise.withResolvers(), isAsked: false, waiting: 0 }
      entry.answer.promise.catch(() => {}) // nobody may be there any more to hear it
      entries.set(hostname, entry)
    }
    entry.waiting++
    begin()
    try {
      return await unlessAborted(entry.answer.promise, signal)
    } finally {
      leave(entry)
    }
  }
}

/** Of this process: by the system's resolver. */
export const lookUp: LookUp = createLookUps((hostname) => dns.lookup(hostname, { all: true }))

/** A signal that has been aborted before, too. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) {
      work.catch(() => {})
      return onAbort()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
