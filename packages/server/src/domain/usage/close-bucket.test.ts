import { describe, expect, it } from 'vitest'
import type { Dimension, Included, Product } from '../products/product.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import { AWS_RULES } from './aws-rules.ts'
import { decideClosing, decideHeld, includedPeriod } from './close-bucket.ts'
import { hourOf } from './hour.ts'
import { tagSetKey } from './tags.ts'
import type { ClosingState } from './usage-store.ts'

const utc = (text: string) => Date.parse(`${text}Z`)
const NOW = utc('2026-11-21T11:20')

const aState = (values: Partial<ClosingState> = {}, quantity = 10n): ClosingState => ({
  bucket: {
    subscription: 'sub_1',
    dimension: 'requests',
    hour: hourOf(utc('2026-11-21T10:00')),
    product: 'demo',
    status: 'open',
    quantity,
    unbillable: 0n,
    events: 1,
    hold: undefined,
  },
  subscription: {
    status: 'active',
    licenseArn: 'arn:aws:license-manager::294406891311:license:l-1',
    customerAwsAccountId: '123456789012',
    accessStart: utc('2026-11-01T00:00'),
  } as Subscription,
  tags: new Map(),
  carry: 0n,
  carryTags: new Map(),
  fixed: undefined,
  history: [],
  includedUsed: () => 0n,
  keyTaken: false,
  earlierOpen: false,
  laterOpen: false,
  doubtful: false,
  freeHour: undefined,
  ...values,
})

const rules = (values: Partial<Dimension> = {}, included?: Included, now = NOW) => ({
  product: { id: 'demo', metering: 'license', region: 'us-east-1' } as Product,
  dimension: { key: 'requests', scale: 0, unitSize: 1n, remainder: 'forgive', ...values } as Dimension,
  included,
  now,
})

describe('a hold', () => {
  it('is above so many units, not at them', () => {
    expect(decideClosing(aState({}, 6n), rules({ holdAbove: { units: 5n } }))?.status).toBe('held')
    expect(decideClosing(aState({}, 5n), rules({ holdAbove: { units: 5n } }))?.status).toBe('closed')
  })

  it('is above so many times the median, from the 24th hour on', () => {
    // The median of 24 hours is the mean of the two in the middle: 12.
    const history = Array.from({ length: 24 }, (_, index) => BigInt(index + 1))
    const twice = rules({ holdAbove: { times: 2 } })
    expect(decideClosing(aState({ history }, 25n), twice)?.status).toBe('held')
    expect(decideClosing(aState({ history }, 24n), twice)?.status).toBe('closed')
    expect(decideClosing(aState({ history: history.slice(1) }, 1_000n), twice)?.status).toBe('closed')
    // One hour that is far off does not move a median.
    const spike = [...history.slice(1), 1_000_000n]
    expect(decideClosing(aState({ history: spike }, 27n), twice)?.status).toBe('held')
  })

  it('is not asked for a second time', () => {
    const held = aState({ bucket: { ...aState().bucket, status: 'held' } })
    expect(decideClosing(held, rules())).toBeUndefined()
    expect(decideHeld(aState(), rules(), 5n, 'person')).toBeUndefined()
  })
})

describe('included units', () => {
  const since = (text: string) => ({ accessStart: utc(text) }) as Subscription
  const period = (reset: Included['reset'], start: string, time: string) =>
    includedPeriod({ dimension: 'requests', units: 1n, per: undefined, reset }, since(start), utc(time))

  it('start anew with the calendar month, or never within a term', () => {
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
  ])('of an agreement since %s: %s is in the period from %s', (start, time, from) => {
    expect(period('anniversary', start, time)).toBe(from)
  })

  it('are used before anything is billed; what was carried is beyond them', () => {
    const included: Included = { dimension: 'requests', units: 10n, per: undefined, reset: 'term' }
    const closing = decideClosing(aState({ carry: 3n, includedUsed: () => 4n }, 9n), rules({}, included))
    expect(closing).toMatchObject({ included: { period: 'term', amount: 6n }, record: { quantity: 6 } })
  })
})

describe('an hour that is frozen', () => {
  it('is left open while AWS cannot be told who it was, and carried on when its time runs out', () => {
    const unknown = { subscription: { ...aState().subscription, licenseArn: undefined } }
    expect(decideClosing(aState(unknown), rules())).toBeUndefined()
    const late = decideClosing(aState(unknown), rules({}, undefined, utc('2026-11-22T08:30')))
    expect(late).toMatchObject({ status: 'closed', transfers: [{ from: 'open', to: 'carry', amount: 10n }] })
    expect(late?.record).toBeUndefined()
  })

  it('goes to the next hour as a whole when AWS has another record of it, or no time is left', () => {
    for (const closing of [
      decideClosing(aState({ keyTaken: true }), rules()),
      decideClosing(aState(), rules({}, undefined, utc('2026-11-22T09:59'))),
    ]) {
      expect(closing?.record).toBeUndefined()
      expect(closing?.transfers).toEqual([{ from: 'open', to: 'carry', amount: 10n }])
      expect(closing?.openFrom).toBeGreaterThan(aState().bucket.hour)
    }
  })

  it('keeps the identity and region that another dimension of the hour was sealed with', () => {
    const fixed = {
      identity: { kind: 'legacy', productCode: 'p', customerIdentifier: 'c' },
      region: 'eu-west-1',
    } as const
    expect(decideClosing(aState({ fixed }), rules())?.record).toMatchObject(fixed)
  })

  it('bills each tag set its part, the untagged rest too, and carries what is left of each', () => {
    const [a, b] = [tagSetKey([['team', 'a']]), tagSetKey([['team', 'b']])]
    const tags = new Map([
      [a, 1500n],
      [b, 900n],
    ])
    const closing = decideClosing(aState({ tags }, 3000n), rules({ unitSize: 1000n }))
    expect(closing?.record?.allocations).toEqual([
      { quantity: 1, tags: [] },
      { quantity: 1, tags: [['team', 'a']] },
      { quantity: 1, tags: [['team', 'b']] },
    ])
    expect(closing?.carryTags).toEqual(
      new Map([
        [a, 500n],
        [b, -100n],
      ]),
    )
  })

  it('never sends more than AWS takes, nor a zero that nobody asked for', () => {
    expect(decideClosing(aState({}, 10n ** 12n), rules())?.record?.quantity).toBe(
      Number(AWS_RULES.quantityMax),
    )
    expect(decideClosing(aState({}, 0n), rules())?.record).toBeUndefined()
    expect(decideClosing(aState({}, 0n), rules({ reportZero: true }))?.record?.quantity).toBe(0)
    expect(
      decideClosing(aState({ carry: 1n }, 0n), rules({ reportZero: true, unitSize: 2n }))?.record,
    ).toBeUndefined()
  })
})
