import { describe, expect, it } from 'vitest'
import { GIVE_UP_MS, judgeDelivery, RETRY_DELAYS_MS, triesAllowed, WELL } from './judge-delivery.ts'
import type { ClaimedDelivery, SinkHealth, TryState, Verdict } from './outbox-store.ts'
import type { DeliveryOutcome } from './sink.ts'

const NOW = Date.parse('2026-11-21T10:00Z')
const MINUTE = 60_000

function claimed(values: Partial<ClaimedDelivery> = {}): ClaimedDelivery {
  return {
    event: {
      id: 'evt_1',
      type: 'subscription.activated',
      at: NOW,
      product: 'demo',
      buyer: 'buy_1',
      subscription: 'sub_1',
      data: {},
    },
    sink: 'webhook:crm',
    attempt: 1,
    failuresBefore: 0,
    ...values,
  }
}

function judge(
  outcome: DeliveryOutcome,
  state: Partial<TryState> = {},
  { now = NOW, random = 0, claim = claimed() } = {},
): Verdict {
  return judgeDelivery(claim, outcome, { failures: 0, queuedAt: NOW, sink: WELL, ...state }, now, random)
}

const FAILED = { kind: 'failed', reason: 'HTTP 500' } as const
const DOWN = { kind: 'unreachable', reason: 'connection refused' } as const

describe('one that fails by itself', () => {
  it('is tried again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, then given up with an alarm', () => {
    const waits: number[] = []
    let failures = 0
    let verdict = judge(FAILED, { failures })
    for (; verdict.state === 'waiting'; verdict = judge(FAILED, { failures })) {
      waits.push((verdict.nextAt - NOW) / 1000)
      failures = verdict.failures
    }
    expect(waits).toEqual([5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400])
    expect(verdict).toMatchObject({ state: 'dead', error: 'HTTP 500' })
    expect(verdict.raise).toEqual([
      expect.objectContaining({
        kind: 'delivery_dead',
        subject: 'webhook:crm',
        message: expect.stringContaining('subscription.activated (evt_1)'),
      }),
    ])
  })

  it('waits up to a tenth longer, never shorter', () => {
    expect(judge(FAILED, {}, { random: 0.999 }).nextAt - NOW).toBe(5500)
    expect(judge(FAILED, { failures: 8 }, { random: 0.5 }).nextAt - NOW).toBe(RETRY_DELAYS_MS[8]! * 1.05)
  })

  it('leaves its sink open to others', () => {
    const { sink } = judge(FAILED)
    expect(triesAllowed(sink, NOW, 8)).toBe(8)
  })
})

it('gives up at once what will never be taken', () => {
  const verdict = judge({ kind: 'refused', reason: 'HTTP 410: the endpoint is gone' })
  expect(verdict.state).toBe('dead')
  expect(verdict.raise[0]!.message).toContain('after 1 try: HTTP 410: the endpoint is gone')
})

describe('a sink that nobody answers for', () => {
  it('is paused as a whole, longer each time up to five minutes, and then gets one try at a time', () => {
    let sink: SinkHealth = WELL
    const pauses: number[] = []
    for (let round = 0; round < 9; round++) {
      const claim = claimed({ failuresBefore: sink.failures })
      sink = judge(DOWN, { sink }, { claim }).sink
      pauses.push((sink.pausedUntil! - NOW) / 1000)
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300])
    expect(triesAllowed(sink, NOW, 8)).toBe(0)
    expect(triesAllowed(sink, sink.pausedUntil!, 8)).toBe(1)
  })

  it('is counted once for all that were under way together', () => {
    const first = judge(DOWN)
    const second = judge(DOWN, { sink: first.sink })
    expect(second.sink.failures).toBe(first.sink.failures)
  })

  it('uses up no tries: what waits is given up when it waited as long as all tries take', () => {
    const young = judge(DOWN, { failures: 3 }, { now: NOW + GIVE_UP_MS - 1 })
    expect(young).toMatchObject({ state: 'waiting', failures: 3 })
    const old = judge(DOWN, {}, { now: NOW + GIVE_UP_MS })
    expect(old.state).toBe('dead')
    expect(old.raise.map(({ kind }) => kind)).toContain('delivery_dead')
  })

  it('raises an alarm of its own after a quarter of an hour, which the first success ends', () => {
    const { sink } = judge(DOWN)
    expect(judge(DOWN, { sink }, { now: NOW + 14 * MINUTE }).raise).toEqual([])
    const later = judge(DOWN, { sink }, { now: NOW + 15 * MINUTE })
    expect(later.raise).toEqual([
      expect.objectContaining({
        subject: 'webhook:crm/down',
        message: expect.stringContaining('nothing since 2026-11-21T10:00:00.000Z (connection refused)'),
      }),
    ])
    expect(judge({ kind: 'delivered' }, { sink: later.sink })).toMatchObject({
      sink: WELL,
      clear: ['webhook:crm/down'],
    })
  })

  it('is what one is that failed three rounds without a success', () => {
    let sink: SinkHealth = WELL
    for (let round = 0; round < 3; round++) {
      expect(triesAllowed(sink, NOW, 8)).toBe(8)
      sink = judge(FAILED, { sink }, { claim: claimed({ failuresBefore: sink.failures }) }).sink
    }
    expect(triesAllowed(sink, NOW, 8)).toBe(0)
  })
})

describe('a sink that asks for a pause', () => {
  it.each([
    [30_000, 30_000],
    [0, 1000],
    [-5, 1000],
    [7 * 86_400_000, 3_600_000],
  ])('of %i ms gets %i ms, all of it, at no cost in tries', (retryAfterMs, pauseMs) => {
    const verdict = judge({ kind: 'busy', reason: 'HTTP 429', retryAfterMs }, { failures: 2 })
    expect(verdict).toMatchObject({
      state: 'waiting',
      failures: 2,
      nextAt: NOW + pauseMs,
      sink: { failures: 0, pausedUntil: NOW + pauseMs },
    })
  })

  it('keeps its pause when another call succeeds meanwhile', () => {
    const { sink } = judge({ kind: 'busy', reason: 'HTTP 429', retryAfterMs: 30_000 })
    expect(judge({ kind: 'delivered' }, { sink }).sink.pausedUntil).toBe(NOW + 30_000)
  })
})

it('holds nothing against what we stopped ourselves', () => {
  expect(judge({ kind: 'cancelled' }, { failures: 1 })).toMatchObject({
    state: 'waiting',
    failures: 1,
    nextAt: NOW,
    sink: WELL,
    raise: [],
  })
})
