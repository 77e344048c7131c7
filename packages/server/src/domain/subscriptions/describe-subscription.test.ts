import { describe, expect, it } from 'vitest'
import { aSubscription, utc } from '../../storage/contract/fixtures.ts'
import { describeSubscription, type SubscriptionFacts } from './describe-subscription.ts'
import type { Subscription } from './subscription.ts'

const NOW = utc('2026-11-21T12:00')
const NOTHING: SubscriptionFacts = {
  agreement: undefined,
  endReason: undefined,
  unsettled: { openHours: 0, heldHours: 0, unsentRecords: 0, inDoubtRecords: 0 },
  alarms: [],
  emptySince: undefined,
}

const words = (values: Partial<Subscription>, facts: Partial<SubscriptionFacts> = {}) =>
  describeSubscription(aSubscription({ id: 'sub_x', ...values }), { ...NOTHING, ...facts }, NOW)

describe('a subscription in words', () => {
  it('says what a registered buyer waits for', () => {
    expect(words({ status: 'pending', accessStart: NOW }).next).toMatch(
      /with AWS’s next word.*`tollkeeper subscription activate sub_x`/,
    )
    expect(words({ status: 'pending', accessStart: utc('2026-12-01T00:00') }).next).toBe(
      'Its agreement starts on 2026-12-01 00:00 UTC; access starts when AWS says so then.',
    )
  })

  it('says until when access goes on', () => {
    const active = { status: 'active', grantedAt: utc('2026-11-01T10:00') } as const
    expect(words(active)).toEqual({
      state: 'Active since 2026-11-01 10:00 UTC.',
      next: 'It goes on until the buyer cancels on AWS Marketplace.',
    })
    expect(words({ ...active, freeTrial: true, termEnd: utc('2026-12-01T10:00') })).toEqual({
      state: 'Active since 2026-11-01 10:00 UTC, on a free trial.',
      next: 'Its term ends on 2026-12-01 10:00 UTC; unless AWS renews it, access ends then.',
    })
    expect(words({ ...active, licenseArn: undefined }).next).toContain('has not named the new license')
    expect(words(active, { emptySince: utc('2026-11-21T11:50') })).toEqual({
      state:
        'Active since 2026-11-01 10:00 UTC. AWS has granted nothing of its contract since 2026-11-21 11:50 UTC.',
      next: 'If AWS says so again, or says that the agreement ended, access ends.',
    })
  })

  it('says why it ended, in AWS’s word, and what is left to bill', () => {
    const ended = { accessEnd: utc('2026-11-21T11:30'), finalWindowEnd: utc('2026-11-21T12:30') }
    const unsettled = { openHours: 2, heldHours: 1, unsentRecords: 1, inDoubtRecords: 0 }
    expect(words({ status: 'cancelling', ...ended }, { endReason: 'CANCELLED', unsettled })).toEqual({
      state: 'Ended on 2026-11-21 11:30 UTC (cancelled): the buyer has no access.',
      next: 'AWS takes its final usage until 2026-11-21 12:30 UTC: 2 open hours, 1 held hour, 1 record without AWS’s answer left.',
    })
    const past = { accessEnd: utc('2026-11-20T11:30'), finalWindowEnd: utc('2026-11-20T12:30') }
    const doubt = { ...NOTHING.unsettled, inDoubtRecords: 2 }
    expect(words({ status: 'expired', ...past }, { endReason: 'NEW_WORD', unsettled: doubt })).toEqual({
      state: 'Ended on 2026-11-20 11:30 UTC (NEW_WORD): the buyer has no access.',
      next: 'Its final usage is not settled: 2 records in doubt.',
    })
    expect(words({ status: 'cancelled', ...past }).next).toBe('Nothing: its final usage is settled.')
  })

  it('tells a renewal and a failure from an end', () => {
    const over = { accessEnd: utc('2026-11-20T11:30'), finalWindowEnd: utc('2026-11-20T12:30') }
    expect(words({ status: 'superseded', successor: 'sub_next', ...over }).state).toBe(
      'AWS renewed or replaced its agreement on 2026-11-20; sub_next goes on in its place, with the same tenant and access.',
    )
    expect(words({ status: 'failed', ...over }).state).toBe(
      'Never began: the payment failed, or the agreement ended before access began.',
    )
  })
})
