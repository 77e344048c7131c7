/**
 * Tells for most new events, without a look into the database, that their id was never seen: a Bloom filter for
 * each day of event times. An event is stored by (hour of its time, hash of its id), which keeps the table's
 * growth cheap; a retry that was stamped anew lies in another hour, and only this filter makes it cheap to find.
 *
 * It may say "perhaps" for an id it never saw, never "no" for one it did.
 */
export interface RecentIds {
  /** Days in which the id may have been seen: they must be looked into. */
  candidates(key: Uint8Array): readonly number[]
  add(day: number, key: Uint8Array): void
  /** Days whose ids are not all known yet are always candidates. */
  setKnown(day: number, known: boolean): void
  drop(day: number): void
  days(): readonly number[]
}

/** Bits for an id: about one in 250 answers is a needless look. */
const BITS_PER_ID = 12
const PROBES = 6
const FIRST_CAPACITY = 1 << 14
const NONE: readonly number[] = []

export function createRecentIds(): RecentIds {
  const days = new Map<number, Day>()
  const dayOf = (day: number): Day => {
    let found = days.get(day)
    if (found === undefined) {
      found = { known: true, filters: [] }
      days.set(day, found)
    }
    return found
  }
  return {
    candidates(key) {
      let found: number[] | undefined
      const [a, b] = hashes(key)
      for (const [number, day] of days) {
        if (day.known && !day.filters.some((filter) => mayHave(filter, a, b))) continue
        if (found === undefined) found = []
        found.push(number)
      }
      return found ?? NONE
    },
    add(number, key) {
      const day = dayOf(number)
      let filter = day.filters.at(-1)
      if (filter === undefined || filter.ids >= filter.capacity) {
        filter = createFilter(filter === undefined ? FIRST_CAPACITY : filter.capacity * 4)
        day.filters.push(filter)
      }
      const [a, b] = hashes(key)
      for (let probe = 0; probe < PROBES; probe++) {
        const bit = (a + Math.imul(probe, b)) & filter.mask
        filter.words[bit >>> 5]! |= 1 << (bit & 31)
      }
      filter.ids++
    },
    setKnown(number, known) {
      dayOf(number).known = known
    },
    drop: (number) => days.delete(number),
    days: () => [...days.keys()],
  }
}

interface Day {
  known: boolean
  /** Each four times as large as the one before: a busy day grows without a rebuild. */
  filters: Filter[]
}

interface Filter {
  readonly words: Uint32Array
  readonly mask: number
  readonly capacity: number
  ids: number
}

function createFilter(capacity: number): Filter {
  const bits = 2 ** Math.ceil(Math.log2(capacity * BITS_PER_ID))
  return { words: new Uint32Array(bits / 32), mask: bits - 1, capacity, ids: 0 }
}

/** The key is a hash already: two of its words serve for all probes. */
function hashes(key: Uint8Array): [number, number] {
  const a = key[0]! | (key[1]! << 8) | (key[2]! << 16) | (key[3]! << 24)
  const b = key[4]! | (key[5]! << 8) | (key[6]! << 16) | (key[7]! << 24)
  return [a, b | 1]
}

function mayHave(filter: Filter, a: number, b: number): boolean {
  for (let probe = 0; probe < PROBES; probe++) {
    const bit = (a + Math.imul(probe, b)) & filter.mask
    if ((filter.words[bit >>> 5]! & (1 << (bit & 31))) === 0) return false
  }
  return true
}
