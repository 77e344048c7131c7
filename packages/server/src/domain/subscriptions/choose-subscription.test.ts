import { describe, expect, it } from 'vitest'
import { aSubscription, utc } from '../../storage/contract/fixtures.ts'
import { chooseSubscription } from './choose-subscription.ts'
import type { Subscription } from './subscription.ts'

const NOW = utc('2026-11-21T12:00')

function choose(matches: readonly Subscription[], time: number, now = NOW) {
  return chooseSubscription(matches, time, now, ({ successor }) => matches.find(({ id }) => id === successor))
}

function ended(end: number, values: Partial<Subscription> = {}): Subscription {
  return aSubscription({ status: 'cancelled', accessEnd: end, finalWindowEnd: end + 3_600_000, ...values })
}

describe('the subscription of a use', () => {
  it('is never guessed at among several that live', () => {
    expect(choose([aSubscription(), aSubscription()], NOW).kind).toBe('ambiguous')
  })

  it('is still not guessed at when one of two side by side has ended since', () => {
    const one = ended(utc('2026-11-21T10:00'))
    const other = aSubscription()
    expect(choose([other, one], utc('2026-11-21T09:55')).kind).toBe('ambiguous')
    expect(choose([ended(utc('2026-11-21T11:00')), one], utc('2026-11-21T09:55')).kind).toBe('ambiguous')
    expect(choose([other, one], utc('2026-11-21T10:05'))).toMatchObject({
      kind: 'chosen',
      subscription: other,
    })
  })

  it('is the renewed agreement where old and new overlap', () => {
    const renewed = aSubscription({ accessStart: utc('2026-11-21T09:00') })
    const old = ended(utc('2026-11-21T10:00'), { status: 'superseded', successor: renewed.id })
    expect(choose([renewed, old], utc('2026-11-21T09:30'))).toMatchObject({
      kind: 'chosen',
      subscription: renewed,
    })
  })

  it('is the old agreement while AWS takes its final usage, and the successor afterwards', () => {
    const renewed = aSubscription({ accessStart: utc('2026-11-21T10:00') })
    const old = ended(utc('2026-11-21T10:00'), { status: 'superseded', successor: renewed.id })
    const use = utc('2026-11-21T09:59')
    expect(choose([renewed, old], use, utc('2026-11-21T10:10'))).toMatchObject({ subscription: old })
    expect(choose([renewed, old], use, utc('2026-11-21T11:10'))).toMatchObject({
      subscription: renewed,
      time: renewed.accessStart,
    })
  })
})
