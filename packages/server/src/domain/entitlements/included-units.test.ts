import { describe, expect, it } from 'vitest'
import { type Included, type IncludedReset, PLAIN_PLAN, type Plan } from '../plans/plan.ts'
import type { PlanVersion } from '../plans/plan-version.ts'
import { hourOf } from '../usage/hour.ts'
import type { ContractHistory } from './contract-history.ts'
import { includedAt, includedPeriod } from './included-units.ts'

const utc = (text: string) => Date.parse(`${text}Z`)

const aPlan = (id: string, included: Partial<Included> = {}, values: Partial<Plan> = {}): Plan => ({
  id,
  title: id,
  ...PLAIN_PLAN,
  included: [{ dimension: 'requests', units: 100n, per: undefined, reset: 'calendarMonth', ...included }],
  ...values,
})

const PER_SEAT = { units: 10n, per: 'seats' }
const history = (values: Partial<ContractHistory> = {}): ContractHistory => ({
  isRead: true,
  entitlements: [],
  plans: [],
  terms: [],
  ...values,
})
const seats = (...changes: readonly (readonly [units: number, from: string])[]): ContractHistory =>
  history({
    entitlements: changes.map(([units, from]) => ({
      dimension: 'seats',
      units,
      from: from === '' ? 0 : utc(from),
    })),
  })

const aVersion = (version: number, body: Plan, from: number): PlanVersion => ({
  product: 'demo',
  version,
  from,
  position: 0,
  body,
  actor: 'test',
  at: from,
  origin: 'api',
})

const included = (
  plans: readonly Plan[],
  known: ContractHistory,
  hour: string,
  plan: string | undefined = plans[0]?.id,
  planVersions: readonly PlanVersion[] = [],
) =>
  includedAt(
    { plans, planVersions, pricing: 'contract-with-consumption' },
    'requests',
    { plan, accessStart: utc('2026-10-15T09:30') },
    known,
    hourOf(utc(hour)),
  )

const unitsIn = (known: ContractHistory, hour: string, reset: IncludedReset = 'calendarMonth') =>
  included([aPlan('pro', { ...PER_SEAT, reset })], known, hour)?.units

describe('included units', () => {
  it('are a fixed number, or so many for each entitled unit', () => {
    expect(included([aPlan('pro')], history(), '2026-11-10T00:00')).toMatchObject({ units: 100n })
    expect(unitsIn(seats([5, '']), '2026-11-10T00:00')).toBe(50n)
  })

  it('are none where no plan includes any', () => {
    expect(included([aPlan('pro', { dimension: 'other' })], history(), '2026-11-10T00:00')).toBeUndefined()
    expect(included([], history(), '2026-11-10T00:00')).toBeUndefined()
  })

  it('rise with an upgrade from the hour that it came in, and not before', () => {
    const upgraded = seats([5, ''], [8, '2026-11-10T12:40'])
    expect(unitsIn(upgraded, '2026-11-10T11:00')).toBe(50n)
    expect(unitsIn(upgraded, '2026-11-10T12:00')).toBe(80n)
    expect(unitsIn(upgraded, '2026-11-30T23:00')).toBe(80n)
  })

  it('fall with a downgrade from the next period on', () => {
    const downgraded = seats([8, ''], [5, '2026-11-10T12:40'])
    expect(unitsIn(downgraded, '2026-11-10T12:00')).toBe(80n)
    expect(unitsIn(downgraded, '2026-11-30T23:00')).toBe(80n)
    expect(unitsIn(downgraded, '2026-12-01T00:00')).toBe(50n)
    expect(unitsIn(downgraded, '2026-11-14T23:00', 'anniversary')).toBe(80n)
    expect(unitsIn(downgraded, '2026-11-15T00:00', 'anniversary')).toBe(50n)
  })

  it('that were taken away are none from the next hour on', () => {
    const removed = seats([8, ''], [0, '2026-11-10T12:40'])
    expect(unitsIn(removed, '2026-11-10T12:00')).toBe(80n)
    expect(unitsIn(removed, '2026-11-10T13:00')).toBe(0n)
    const punctually = seats([8, ''], [0, '2026-11-10T13:00'])
    expect(unitsIn(punctually, '2026-11-10T12:00')).toBe(80n)
    expect(unitsIn(punctually, '2026-11-10T13:00')).toBe(0n)
  })

  it('that come back are those that came back', () => {
    const back = seats([8, ''], [0, '2026-11-10T12:40'], [3, '2026-11-12T07:10'])
    expect(unitsIn(back, '2026-11-11T00:00')).toBe(0n)
    expect(unitsIn(back, '2026-11-12T07:00')).toBe(30n)
  })

  it('are of the plan that held in that hour', () => {
    const plans = [aPlan('basic', { units: 10n }), aPlan('pro', { units: 70n })]
    const changed = (first: string, second: string) =>
      history({
        plans: [
          { plan: first, from: 0 },
          { plan: second, from: utc('2026-11-10T12:40') },
        ],
      })
    const at = (known: ContractHistory, hour: string) => included(plans, known, hour, 'pro')?.units
    expect(at(changed('basic', 'pro'), '2026-11-10T11:00')).toBe(10n)
    expect(at(changed('basic', 'pro'), '2026-11-10T12:00')).toBe(70n)
    expect(at(changed('pro', 'basic'), '2026-11-30T23:00')).toBe(70n)
    expect(at(changed('pro', 'basic'), '2026-12-01T00:00')).toBe(10n)
    // A plan that includes nothing of it: what the old one included ends with its hour.
    expect(at(changed('pro', 'none'), '2026-11-10T12:00')).toBe(70n)
    expect(at(changed('pro', 'none'), '2026-11-10T13:00')).toBeUndefined()
  })

  it('are counted once for a term, and anew for the next', () => {
    const term = (known: ContractHistory, hour: string) =>
      included([aPlan('pro', { ...PER_SEAT, reset: 'term' })], known, hour)
    const renewed = {
      ...seats([8, ''], [5, '2027-10-15T09:30']),
      terms: [utc('2027-10-15T09:30')],
    }
    expect(term(renewed, '2026-12-31T23:00')).toMatchObject({ period: 'term', units: 80n })
    expect(term(renewed, '2027-10-15T08:00')).toMatchObject({ period: 'term', units: 80n })
    expect(term(renewed, '2027-10-15T10:00')).toMatchObject({
      period: 'term 2027-10-15T09:30:00.000Z',
      units: 50n,
    })
  })

  it('follow a plan that is changed, from the hour on in which it is: what was is not rewritten', () => {
    const versions = [
      aVersion(1, aPlan('pro', { units: 100n }), 0),
      aVersion(2, aPlan('pro', { units: 300n }), utc('2026-11-10T12:20')),
    ]
    const at = (hour: string) => included([aPlan('pro', { units: 300n })], history(), hour, 'pro', versions)
    expect(at('2026-11-10T11:00')?.units).toBe(100n)
    expect(at('2026-11-10T12:00')?.units).toBe(300n)
    expect(at('2026-12-01T00:00')?.units).toBe(300n)
  })

  it('are kept for their period where a plan is changed to include less', () => {
    const versions = [
      aVersion(1, aPlan('pro', { units: 100n }), 0),
      aVersion(2, aPlan('pro', { units: 20n }), utc('2026-11-10T12:20')),
    ]
    const at = (hour: string) => included([aPlan('pro', { units: 20n })], history(), hour, 'pro', versions)
    expect(at('2026-11-30T23:00')?.units).toBe(100n)
    expect(at('2026-12-01T00:00')?.units).toBe(20n)
  })

  it('end with a plan that includes nothing any more, and count again of an hour before', () => {
    const versions = [
      aVersion(1, aPlan('pro'), 0),
      aVersion(2, { ...aPlan('pro'), included: [] }, utc('2026-11-10T12:20')),
    ]
    const plans = [{ ...aPlan('pro'), included: [] }]
    expect(included(plans, history(), '2026-11-10T12:00', 'pro', versions)?.units).toBe(100n)
    expect(included(plans, history(), '2026-11-10T13:00', 'pro', versions)).toBeUndefined()
    expect(included(plans, history(), '2026-11-10T10:00', 'pro', versions)?.units).toBe(100n)
  })

  it('wait for AWS’s first word, where they depend on it', () => {
    const unread = history({ isRead: false })
    const byPlan = [aPlan('pro', {}, { grantedBy: 'pro' })]
    const at = (plans: readonly Plan[], known: ContractHistory, plan?: string) =>
      includedAt(
        { plans, planVersions: [], pricing: 'contract-with-consumption' },
        'requests',
        { plan, accessStart: 0 },
        known,
        hourOf(utc('2026-11-10T12:00')),
      )
    expect(at([aPlan('pro', PER_SEAT)], unread, 'pro')).toMatchObject({ isUnread: true })
    expect(at([aPlan('pro')], unread, 'pro')).toMatchObject({ isUnread: false, units: 100n })
    expect(at(byPlan, unread)).toMatchObject({ isUnread: true, units: 0n })
    expect(at(byPlan, history())).toBeUndefined()
    expect(at([aPlan('pro')], unread)).toBeUndefined()
  })
})

describe('a period of included units', () => {
  const period = (reset: IncludedReset, start: string, time: string) =>
    includedPeriod({ reset }, { accessStart: utc(start) }, utc(time)).key

  it('starts anew with the calendar month, or never within a term', () => {
    expect(period('calendarMonth', '2026-01-31T10:00', '2026-12-31T23:59')).toBe('2026-12')
    expect(period('term', '2026-01-31T10:00', '2026-12-31T23:59')).toBe('term')
  })

  it.each([
    ['2026-01-31T10:00', '2026-02-27T23:59', '2026-01-31'],
    ['2026-01-31T10:00', '2026-02-28T00:00', '2026-02-28'],
    ['2026-01-31T10:00', '2026-03-30T23:59', '2026-02-28'],
    ['2026-01-31T10:00', '2026-03-31T00:00', '2026-03-31'],
    ['2026-01-31T10:00', '2026-05-01T00:00', '2026-04-30'],
    ['2028-01-30T10:00', '2028-02-29T12:00', '2028-02-29'],
    ['2026-11-15T10:30', '2026-11-15T10:30', '2026-11-15'],
    ['2026-11-15T10:30', '2027-01-14T23:59', '2026-12-15'],
  ])('of an agreement since %s: %s is in the one from %s', (start, time, from) => {
    expect(period('anniversary', start, time)).toBe(from)
  })
})
