/**
 * What should have been measured, from nothing but the events that were delivered and the answers that their sender
 * got. Shares no code with the ledger or the simulator, and knows nothing of hours, buckets or records.
 */
export interface DeliveredEvent {
  readonly product: string
  readonly dimension: string
  readonly aggregation: 'sum' | 'count' | 'max' | 'unique' | 'total'
  readonly per: 'hour' | 'day' | 'month'
  /** Base units of one, for counts and unique values. */
  readonly one: bigint
  /** The buyer's account. */
  readonly account: string
  /** Agreements that renew each other are one. */
  readonly lineage: number
  readonly source: string
  readonly id: string
  readonly time: number
  readonly base: bigint
  readonly value: string | undefined
  readonly tags: string
}

export type Answer = 'accepted' | 'late' | 'duplicate' | 'conflict' | 'unbillable' | 'refused'

export interface Expected {
  readonly billable: bigint
  /** Billable or not. Only sums and counts can be told apart from it: a total goes on growing while nobody can be billed. */
  readonly all: bigint
  readonly aggregation: DeliveredEvent['aggregation'] | undefined
  /** Billable base units by tag set. */
  readonly tags: ReadonlyMap<string, bigint>
}

interface Taken {
  readonly event: DeliveredEvent
  readonly billable: boolean
}

export interface ExpectedUsage {
  /** The sender could not tell whether it was taken: it will ask again. */
  doubt(event: DeliveredEvent): void
  /** @throws where the answer contradicts an earlier one */
  told(event: DeliveredEvent, answer: Answer): void
  /** The sender will never know. */
  giveUp(event: DeliveredEvent): void
  isKnown(product: string, account: string, dimension: string): boolean
  /** Keys of what nobody knows yet. */
  readonly doubts: number
  of(product: string, account: string, dimension: string): Expected
}

export function createExpectedUsage(): ExpectedUsage {
  const taken = new Map<string, Taken>()
  const doubted = new Map<string, DeliveredEvent>()
  const groups = new Map<string, Taken[]>()
  const unknown = new Set<string>()

  const keep = (event: DeliveredEvent, billable: boolean) => {
    const entry = { event, billable }
    taken.set(keyOf(event), entry)
    const group = groupOf(event.product, event.account, event.dimension)
    groups.set(group, [...(groups.get(group) ?? []), entry])
  }

  return {
    get doubts() {
      return doubted.size
    },
    doubt: (event) => {
      if (!taken.has(keyOf(event))) doubted.set(keyOf(event), event)
    },
    told(event, answer) {
      const key = keyOf(event)
      const before = taken.get(key)
      const unsure = doubted.get(key)
      const known = before?.event ?? unsure
      const same = known !== undefined && contentOf(known) === contentOf(event)
      if (unsure !== undefined && contentOf(unsure) === contentOf(event)) doubted.delete(key)
      switch (answer) {
        case 'accepted':
        case 'late':
          if (before !== undefined) throw new Error(`${event.id} was counted twice`)
          keep(event, true)
          break
        case 'unbillable':
          if (before?.billable) throw new Error(`${event.id} was billable and is told to be unbillable`)
          if (before === undefined) keep(event, false)
          break
        case 'duplicate':
          if (!same) throw new Error(`${event.id} is told to be a duplicate, and is none`)
          if (before === undefined) keep(event, true)
          break
        case 'conflict':
          if (before !== undefined && same)
            throw new Error(`${event.id} is told to be a conflict with itself`)
          if (known === undefined && event.aggregation !== 'total')
            throw new Error(`${event.id} is told to be a conflict, and is new`)
          break
        case 'refused':
          break
      }
    },
    giveUp(event) {
      if (doubted.delete(keyOf(event))) unknown.add(groupOf(event.product, event.account, event.dimension))
    },
    isKnown: (product, account, dimension) => !unknown.has(groupOf(product, account, dimension)),
    of: (product, account, dimension) => fold(groups.get(groupOf(product, account, dimension)) ?? []),
  }
}

function keyOf(event: DeliveredEvent): string {
  return JSON.stringify([event.product, event.dimension, event.source, event.id])
}

function contentOf(event: DeliveredEvent): string {
  return JSON.stringify([
    event.account,
    event.lineage,
    event.time,
    String(event.base),
    event.value ?? null,
    event.tags,
  ])
}

function groupOf(...names: string[]): string {
  return names.join('\n')
}

function fold(taken: readonly Taken[]): Expected {
  const billable = taken.filter((entry) => entry.billable).map(({ event }) => event)
  const tags = new Map<string, bigint>()
  for (const event of billable) {
    if (event.aggregation !== 'sum' && event.aggregation !== 'count') continue
    tags.set(
      event.tags,
      (tags.get(event.tags) ?? 0n) + (event.aggregation === 'sum' ? event.base : event.one),
    )
  }
  return {
    billable: amountOf(billable),
    all: amountOf(taken.map(({ event }) => event)),
    aggregation: taken[0]?.event.aggregation,
    tags,
  }
}

function amountOf(events: readonly DeliveredEvent[]): bigint {
  let sum = 0n
  const best = new Map<string, bigint>()
  for (const event of events) {
    switch (event.aggregation) {
      case 'sum':
        sum += event.base
        break
      case 'count':
        sum += event.one
        break
      case 'unique':
        best.set(JSON.stringify([event.lineage, periodOf(event), event.value]), event.one)
        break
      case 'max': {
        const key = JSON.stringify([event.lineage, periodOf(event)])
        if (event.base > (best.get(key) ?? 0n)) best.set(key, event.base)
        break
      }
      case 'total': {
        const key = JSON.stringify([event.lineage, event.source])
        if (event.base > (best.get(key) ?? 0n)) best.set(key, event.base)
        break
      }
    }
  }
  for (const amount of best.values()) sum += amount
  return sum
}

function periodOf(event: DeliveredEvent): string {
  const date = new Date(event.time)
  const month = `${date.getUTCFullYear()} ${date.getUTCMonth()}`
  if (event.per === 'month') return month
  return event.per === 'day'
    ? `${month} ${date.getUTCDate()}`
    : `${month} ${date.getUTCDate()} ${date.getUTCHours()}`
}
