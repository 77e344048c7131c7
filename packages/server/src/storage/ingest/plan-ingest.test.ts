import { describe, expect, it } from 'vitest'
import { hourOf } from '../../domain/usage/hour.ts'
import { eventKey } from '../../domain/usage/ingest-usage.ts'
import type { RoutedEvent, UsageEvent } from '../../domain/usage/usage-event.ts'
import { utc } from '../contract/fixtures.ts'
import { keyText } from './key-text.ts'
import { ACCEPTED, LATE, OVERFLOW, UNBILLABLE } from './outcomes.ts'
import { foldByBucket, foldLateAcross, placeNext } from './place-event.ts'
import {
  eventsToLoad,
  type IngestCall,
  type LoadedLedger,
  metersToCompare,
  planIngest,
  type SeenEvent,
} from './plan-ingest.ts'

const NOW = utc('2026-11-21T10:30')
const HOUR = hourOf(NOW)

type Values = Partial<Omit<RoutedEvent, 'event'>> & { readonly event?: Partial<UsageEvent> }

function anEvent(id: string, { event, ...values }: Values = {}): RoutedEvent {
  return {
    key: eventKey('demo', 'requests', '', id),
    event: { id, source: '', time: NOW, quantity: 1, value: undefined, tags: '', ...event },
    subscription: 'sub_1',
    product: 'demo',
    dimension: 'requests',
    scale: 0,
    aggregation: 'sum',
    hours: [HOUR, HOUR + 1],
    unbillable: 'subscription_ended',
    period: '',
    hasHeir: false,
    isInherited: false,
    ...values,
  }
}

function seen(routed: RoutedEvent, values: Partial<SeenEvent<string>> = {}): [string, SeenEvent<string>] {
  const { time, quantity, value, tags } = routed.event
  const event = { meter: routed.subscription, time, quantity, value, tags, state: ACCEPTED, receivedAt: NOW }
  return [keyText(routed.key), { ...event, ...values }]
}

/** A ledger that has nothing but what is said. */
function aLedger(
  values: Partial<LoadedLedger<string>> & {
    events?: readonly [string, SeenEvent<string>][]
    closed?: readonly number[]
  } = {},
): LoadedLedger<string> {
  const events = new Map(values.events)
  return {
    epoch: 7,
    horizon: 0,
    meterOf: ({ subscription }) => subscription,
    findEvent: (id) => events.get(id),
    isSameBuyer: () => false,
    isClosed: (_, hour) => values.closed?.includes(hour) ?? false,
    kinOf: (meter) => [meter],
    peak: () => undefined,
    hasValue: () => false,
    total: () => undefined,
    ...values,
  }
}

function aCall(...events: RoutedEvent[]): IngestCall {
  return { events, now: NOW, epoch: 7 }
}

function plan(events: readonly RoutedEvent[], ledger = aLedger()) {
  const made = planIngest([aCall(...events)], ledger)
  return {
    ...made,
    statuses: () => made.outcomes().flatMap((call) => call.map(({ status }) => status)),
    deltas: made.placed.map(({ delta }) => delta),
  }
}

describe('which events count', () => {
  it('counts an id once in a transaction, and tells a conflict with another call of it', () => {
    const calls = [
      aCall(anEvent('a'), anEvent('b')),
      aCall(anEvent('a')),
      aCall(anEvent('b', { event: { quantity: 2 } })),
      aCall(anEvent('a', { event: { time: NOW + 1 } })),
    ]
    const { outcomes, placed } = planIngest(calls, aLedger())
    expect(outcomes()).toMatchObject([
      [{ status: 'accepted' }, { status: 'accepted' }],
      [{ status: 'duplicate' }],
      [{ status: 'conflict', reason: expect.stringContaining('another buyer, quantity') }],
      [{ status: 'conflict', reason: expect.stringContaining('another time') }],
    ])
    expect(placed.map(({ routed }) => routed.event.id)).toEqual(['a', 'b'])
  })

  it('compares with what the ledger has, down to value and tags', () => {
    const event = anEvent('a', { event: { value: new Uint8Array([1]), tags: '[["team","a"]]' } })
    const against = (values: Partial<SeenEvent<string>>) =>
      plan([event], aLedger({ events: [seen(event, values)] })).statuses()[0]
    expect(against({})).toBe('duplicate')
    expect(against({ value: new Uint8Array([1]) })).toBe('duplicate')
    expect(against({ value: new Uint8Array([2]) })).toBe('conflict')
    expect(against({ value: undefined })).toBe('conflict')
    expect(against({ tags: '' })).toBe('conflict')
    expect(against({ quantity: 2 })).toBe('conflict')
    expect(against({ time: NOW - 1 })).toBe('conflict')
    expect(against({ meter: 'sub_2' })).toBe('conflict')
    expect(against({ state: UNBILLABLE })).toBe('unbillable')
  })

  it('knows the same report under another subscription of the same buyer', () => {
    const event = anEvent('a')
    const ledger = aLedger({
      events: [seen(event, { meter: 'sub_0' })],
      isSameBuyer: (first, second) => first === 'sub_0' && second === 'sub_1',
    })
    expect(metersToCompare([event], ledger)).toEqual([['sub_0', 'sub_1']])
    expect(plan([event], ledger).statuses()).toEqual(['duplicate'])
  })

  it('names the pairs of meters that one id of a transaction was reported for', () => {
    const events = ['sub_1', 'sub_1', 'sub_2'].map((subscription) => anEvent('a', { subscription }))
    expect(metersToCompare(events, aLedger())).toEqual([['sub_1', 'sub_2']])
  })

  it('turns back a call of older subscriptions whole, and what is older than the purge', () => {
    const old = anEvent('old', { event: { time: 99 } })
    const calls = [{ ...aCall(anEvent('a'), anEvent('b')), epoch: 6 }, aCall(old, anEvent('c'))]
    const ledger = aLedger({ horizon: 100 })
    const { outcomes, placed } = planIngest(calls, ledger)
    expect(outcomes().map((call) => call.map(({ status }) => status))).toEqual([
      ['stale', 'stale'],
      ['too_old', 'accepted'],
    ])
    expect(placed).toHaveLength(1)
    expect(eventsToLoad(calls, ledger).map(({ event }) => event.id)).toEqual(['c'])
  })

  it('tells a call whose commit was in doubt what was recorded, and its own repeats that they are', () => {
    const [kept, late, new_] = [anEvent('kept'), anEvent('late'), anEvent('new')]
    const other = anEvent('other')
    const events = [seen(kept), seen(late, { state: LATE }), seen(other, { receivedAt: NOW - 1 })]
    const call = { ...aCall(kept, late, kept, other, new_), isRetried: true }
    expect(planIngest([call], aLedger({ events })).outcomes()).toMatchObject([
      [
        { status: 'accepted' },
        { status: 'late' },
        { status: 'duplicate' },
        { status: 'duplicate' },
        { status: 'accepted' },
      ],
    ])
  })
})

describe('where they count', () => {
  it('takes the first hour that is not known to be closed', () => {
    const { placed, statuses } = plan(
      [anEvent('a'), anEvent('b', { hours: [HOUR] })],
      aLedger({ closed: [HOUR] }),
    )
    expect(statuses()).toEqual(['late', 'unbillable'])
    expect(placed.map(({ counted, state }) => [counted, state])).toEqual([
      [HOUR + 1, LATE],
      [HOUR, UNBILLABLE],
    ])
  })

  it('gives an event to its heir where all of its hours are closed', () => {
    const event = anEvent('a', { hasHeir: true })
    expect(plan([event], aLedger({ closed: [HOUR] })).statuses()).toEqual(['late'])
    expect(plan([event], aLedger({ closed: [HOUR, HOUR + 1] })).statuses()).toEqual(['superseded'])
    expect(plan([anEvent('b', { hasHeir: true, hours: [] })]).statuses()).toEqual(['superseded'])
  })

  it('calls inherited usage late, though it counts in its own hour', () => {
    const { outcomes } = plan([anEvent('a', { isInherited: true })])
    expect(outcomes()[0]![0]).toMatchObject({ status: 'late', reason: expect.stringContaining('renewed') })
  })

  it('adds up by bucket, with tags, and beside it what nobody is billed for', () => {
    const tags = '[["team","a"]]'
    const { placed } = plan([
      anEvent('a', { event: { quantity: 3, tags } }),
      anEvent('b', { event: { quantity: 4 } }),
      anEvent('c', { event: { quantity: 5, tags } }),
      anEvent('d', { event: { quantity: 6, tags }, hours: [] }),
      anEvent('e', { hours: [HOUR + 1] }),
      anEvent('f', { subscription: 'sub_2' }),
    ])
    expect(
      foldByBucket(placed).map(({ events, tags, ...addition }) => ({
        ...addition,
        events: events.length,
        tags: [...tags],
      })),
    ).toEqual([
      { meter: 'sub_1', hour: HOUR, isUnbillable: false, quantity: 12n, events: 3, tags: [[tags, 8n]] },
      { meter: 'sub_1', hour: HOUR, isUnbillable: true, quantity: 6n, events: 1, tags: [] },
      { meter: 'sub_1', hour: HOUR + 1, isUnbillable: false, quantity: 1n, events: 1, tags: [] },
      { meter: 'sub_2', hour: HOUR, isUnbillable: false, quantity: 1n, events: 1, tags: [] },
    ])
  })

  it('adds up exactly what no number holds', () => {
    const quantity = 999_999_999_999_999
    const { placed } = plan(
      Array.from({ length: 4_000 }, (_, index) => anEvent(`${index}`, { event: { quantity } })),
    )
    expect(foldByBucket(placed)).toMatchObject([{ quantity: 3_999_999_999_999_996_000n }])
  })

  it('sends the events of a bucket that closed on, and tells their repeats where they went', () => {
    const nobodys = anEvent('a', { hours: [HOUR] })
    const late = anEvent('b', { hours: [HOUR, HOUR + 1] })
    const { placed, statuses } = plan([nobodys, late, nobodys, late])
    for (const { events } of foldByBucket(placed)) events.forEach(placeNext)
    expect(statuses()).toEqual(['unbillable', 'late', 'unbillable', 'duplicate'])
    for (const event of placed) if (event.state === UNBILLABLE) event.state = OVERFLOW
    expect(statuses()).toEqual(['overflow', 'late', 'overflow', 'duplicate'])
    expect(foldByBucket(placed)).toMatchObject([{ hour: HOUR + 1, quantity: 1n }])
  })

  it('shows late usage that crosses a month or an agreement', () => {
    const november = anEvent('a', {
      event: { time: utc('2026-11-30T22:10'), quantity: 4 },
      hours: [hourOf(utc('2026-12-01T07:00'))],
    })
    const december = anEvent('b', { hours: [HOUR + 1], event: { quantity: 5 } })
    const { placed } = plan([november, december])
    expect(foldLateAcross(placed, () => 0)).toMatchObject([
      { subject: 'sub_1/requests/2026-11', months: 1, agreements: 0, amount: 4n, raised: 1 },
    ])
    const [both] = foldLateAcross(placed, () => NOW + 1)
    expect(both).toMatchObject({ months: 1, agreements: 1, amount: 9n, raised: 2 })
    expect(both!.message(12n)).toBe(
      '12 requests used in 2026-11 came late and is billed under a later agreement',
    )
  })
})

describe('how much they count', () => {
  const period = '2026-11'
  const gauge = (id: string, quantity: number, values: Values = {}) =>
    anEvent(id, { aggregation: 'max', period, event: { quantity }, ...values })
  const visit = (id: string, value: number, values: Values = {}) =>
    anEvent(id, {
      aggregation: 'unique',
      period,
      scale: 2,
      event: { quantity: 0, value: new Uint8Array([value]) },
      ...values,
    })
  const total = (id: string, quantity: number, time: number, values: Values = {}) =>
    anEvent(id, { aggregation: 'total', event: { quantity, time }, ...values })

  it('counts what a peak grew by, over what is loaded and over the transaction', () => {
    const ledger = aLedger({ kinOf: () => ['sub_0', 'sub_1'], peak: (meter) => (meter === 'sub_0' ? 5 : 3) })
    const { deltas, peaks } = plan([gauge('a', 4), gauge('b', 7), gauge('c', 6), gauge('d', 9)], ledger)
    expect(deltas).toEqual([0, 2, 0, 2])
    expect(peaks).toEqual([{ meter: 'sub_1', period, peak: 9 }])
  })

  it('counts a value once for all relatives', () => {
    const ledger = aLedger({
      kinOf: () => ['sub_1', 'sub_2'],
      hasValue: (meter, _, [value]) => meter === 'sub_2' && value === 1,
    })
    const { deltas, values } = plan(
      [visit('a', 1), visit('b', 2), visit('c', 2, { subscription: 'sub_2' })],
      ledger,
    )
    expect(deltas).toEqual([0, 100, 0])
    expect(values).toEqual([{ meter: 'sub_1', period, value: new Uint8Array([2]) }])
  })

  it('lets what nobody is billed for hide nothing from a bill', () => {
    const nobodys = { hours: [] }
    const { deltas, peaks } = plan([
      gauge('a', 4, nobodys),
      gauge('b', 3, nobodys),
      gauge('c', 4),
      gauge('d', 4, nobodys),
    ])
    expect(deltas).toEqual([4, 0, 4, 0])
    expect(peaks.map(({ period }) => period)).toEqual([`${period}!`, period])
    expect(plan([visit('a', 1, nobodys), visit('b', 1), visit('c', 1)]).deltas).toEqual([100, 100, 0])
  })

  it('meters a running total by its growth; one that falls is a conflict', () => {
    const ledger = aLedger({ total: () => ({ total: 100, time: NOW }) })
    const { deltas, statuses, totals } = plan(
      [
        total('a', 130, NOW + 1),
        total('b', 90, NOW + 2),
        total('overtaken', 110, NOW - 1),
        total('c', 131, NOW + 3),
        total('d', 200, NOW - 2),
      ],
      ledger,
    )
    expect(statuses()).toEqual(['accepted', 'conflict', 'accepted', 'accepted', 'conflict'])
    expect(deltas).toEqual([30, 0, 1])
    expect(totals).toEqual([{ meter: 'sub_1', source: '', total: 131, time: NOW + 3 }])
  })
})
