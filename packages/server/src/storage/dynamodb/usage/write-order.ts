import type { Hour } from '../../../domain/usage/hour.ts'
import type { IngestCall } from '../../ingest/plan-ingest.ts'
import type { Table } from '../table.ts'
import type { Bucket } from './buckets.ts'
import type { IngestFacts } from './ingest-facts.ts'
import type { Meter } from './meters.ts'

/** Events of one meter that are written in one transaction. */
export interface WriteOrder {
  readonly meter: Meter
  /** Of one epoch, which was the ledger's when it was looked at for them. */
  readonly calls: readonly IngestCall[]
  readonly epoch: number
  /** Events timed before it are forgotten, ms. */
  readonly horizon: number
  /** May DynamoDB delete what is too old to be sent again? */
  readonly expires: boolean
  readonly facts: IngestFacts
}

export interface WriteContext {
  /** Takes what `opened` may know once the step is committed. */
  readonly notes: string[]
  readonly table: Table
  /** The shard of every bucket that this process adds to. */
  readonly shard: number
  readonly opened: Opened
}

/** Buckets that this process opened, and tag sets that it began: a hint, and nothing is lost by a wrong one. */
export interface Opened {
  has(name: string): boolean
  add(name: string): void
  delete(name: string): void
}

const OPENED_MAX = 200_000

export function createOpened(): Opened {
  const names = new Set<string>()
  return {
    has: (name) => names.has(name),
    add(name) {
      if (names.size >= OPENED_MAX) names.clear()
      names.add(name)
    },
    delete: (name) => names.delete(name),
  }
}

/** Buckets of the meter as far as they were looked at. */
export interface Hours {
  read(hour: Hour): Promise<Bucket | undefined>
  isRead(hour: Hour): boolean
  at(hour: Hour): Bucket | undefined
  isClosed(hour: Hour): boolean
}

export function createHours(load: (hour: Hour) => Promise<Bucket | undefined>): Hours {
  const buckets = new Map<Hour, Bucket | undefined>()
  return {
    async read(hour) {
      if (!buckets.has(hour)) buckets.set(hour, await load(hour))
      return buckets.get(hour)
    },
    isRead: (hour) => buckets.has(hour),
    at: (hour) => buckets.get(hour),
    isClosed(hour) {
      const status = buckets.get(hour)?.status
      return status === 'closed' || status === 'held'
    },
  }
}
