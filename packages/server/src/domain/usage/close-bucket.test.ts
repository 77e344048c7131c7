import { describe, expect, it } from 'vitest'
import { NO_HISTORY_YET } from '../entitlements/contract-history.ts'
import type { Allowance } from '../entitlements/included-units.ts'
import type { Dimension, Product } from '../products/product.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import { AWS_RULES } from './aws-rules.ts'
import { decideClosing, decideHeld } from './close-bucket.ts'
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
    channel: 'aws',
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
  contract: NO_HISTORY_YET,
  keyTaken: false,
  earlierOpen: false,
  laterOpen: false,
  doubtful: false,
  freeHour: undefined,
  ...values,
})

const rules = (values: Partial<Dimension> = {}, included?: Allowance, now = NOW) => ({
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
  const allowance = (units: bigint): Allowance => ({ period: 'term', units, isUnread: false })

  it('are used before anything is billed; what was carried is beyond them', () => {
    const closing = decideClosing(
      aState({ carry: 3n, includedUsed: () => 4n }, 9n),
      rules({}, allowance(10n)),
    )
    expect(closing).toMatchObject({ included: { period: 'term', amount: 6n }, record: { quantity: 6 } })
  })

  it('that shrank below what is used up take nothing back', () => {
    const closing = decideClosing(aState({ includedUsed: () => 8n }, 9n), rules({}, allowance(5n)))
    expect(closing).toMatchObject({ included: undefined, record: { quantity: 9 } })
  })
})

describe('what AWS is not told of', () => {
  const contract = { ...rules(), product: { ...rules().product, pricing: 'contract' as const } }
  const direct = { ...aState().subscription, channel: 'direct' as const, licenseArn: undefined }

  it('is included, with what was carried, and waits for nobody', () => {
    const tagged = { carry: 3n, carryTags: new Map([[tagSetKey([['team', 'a']]), 3n]]) }
    for (const closing of [
      decideClosing(aState(tagged), contract),
      decideClosing(aState({ ...tagged, subscription: direct }), rules()),
      decideClosing(aState({ ...tagged, subscription: { ...direct, channel: 'free' } }), rules()),
    ]) {
      expect(closing).toEqual({
        status: 'closed',
        transfers: [
          { from: 'open', to: 'included', amount: 10n },
          { from: 'carry', to: 'included', amount: 3n },
        ],
        included: { period: 'unmetered', amount: 13n },
        carryTags: new Map(),
      })
    }
  })

  it('is never held, and never a record of zero', () => {
    const suspicious = { holdAbove: { units: 1n }, reportZero: true }
    const pure = { ...rules(suspicious), product: contract.product }
    expect(decideClosing(aState(), pure)).toMatchObject({ status: 'closed' })
    expect(decideClosing(aState({}, 0n), pure)?.record).toBeUndefined()
  })

  it('is included where it was held while it was metered', () => {
    const held = aState({ bucket: { ...aState().bucket, status: 'held' } })
    expect(decideHeld(held, contract, 4n, 'person')?.transfers).toEqual([
      { from: 'held', to: 'waived', amount: 6n },
      { from: 'held', to: 'included', amount: 4n },
    ])
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
