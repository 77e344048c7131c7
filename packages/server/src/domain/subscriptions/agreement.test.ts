import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Agreement, latestSpell, learn, newAgreement } from './agreement.ts'
import { aCustomer, anAgreement } from './marketplace.fixture.ts'
import type { MarketplaceEvent } from './marketplace-event.ts'

const T = Date.UTC(2026, 10, 21, 10)
const minute = fc.integer({ min: 0, max: 20 }).map((minutes) => T + minutes * 60_000)

const anyEvent: fc.Arbitrary<MarketplaceEvent> = fc
  .tuple(fc.constantFrom('created', 'granted', 'ended', 'withdrawn'), minute)
  .map(([what, at]) => {
    const agreement = anAgreement({ acceptedAt: T })
    return what === 'ended' ? agreement.ended(at, 'CANCELLED') : agreement[what as 'granted'](at)
  })

function know(events: readonly MarketplaceEvent[]): Agreement {
  return events.reduce((agreement, event) => learn(agreement, event, 'demo'), newAgreement('agmt-1'))
}

it('knows the same in whatever order, and however often, notifications come', () => {
  fc.assert(
    fc.property(
      fc.array(anyEvent, { maxLength: 8 }).chain((events) =>
        fc.tuple(
          fc.constant(events),
          fc.shuffledSubarray([...events, ...events], {
            minLength: 2 * events.length,
            maxLength: 2 * events.length,
          }),
        ),
      ),
      ([events, shuffled]) => {
        expect(know(shuffled)).toEqual(know(events))
      },
    ),
  )
})

it('an ended agreement never comes back', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 8 }), minute, (events, at) => {
      const spell = latestSpell(know([...events, anAgreement().ended(at)]))
      if (events.some(({ kind, occurredAt }) => kind === 'access_granted' && occurredAt < at))
        expect(spell?.to).toBeDefined()
    }),
  )
})

it('takes the first word of an end, and AWS’s last one for its hour', () => {
  const { granted, ended, withdrawn } = anAgreement()
  expect(latestSpell(know([withdrawn(T + 3_600_000), granted(T), ended(T + 3_569_000)]))).toEqual({
    from: T,
    to: T + 3_569_000,
    lastWordAt: T + 3_600_000,
    refused: false,
  })
})

it('a legacy customer comes and goes', () => {
  const { success, pending, closed, fail } = aCustomer()
  const at = (minutes: number) => T + minutes * 60_000
  const spell = (...events: MarketplaceEvent[]) => latestSpell(know(events))
  expect(spell(success(at(0)))).toMatchObject({ from: at(0), to: undefined })
  expect(spell(success(at(0)), pending(at(5)), closed(at(65)))).toMatchObject({
    to: at(5),
    lastWordAt: at(5),
  })
  expect(spell(success(at(0)), pending(at(5)), success(at(20)))).toMatchObject({
    from: at(20),
    to: undefined,
  })
  expect(spell(success(at(0)), success(at(20)))).toMatchObject({ from: at(0), to: undefined })
  expect(spell(fail(at(1)))).toMatchObject({ from: undefined, refused: true })
  expect(spell(fail(at(1)), success(at(9)))).toMatchObject({ from: at(9), to: undefined, refused: false })
})

it('a failed payment undoes what was only concluded from the agreement, and nothing that AWS had granted', () => {
  const { success, fail } = aCustomer()
  const concluded: MarketplaceEvent = { ...success(T), id: 'agreements:1', channel: 'agreements' }
  const failed = fail(T + 600_000)
  expect(latestSpell(know([concluded, failed]))).toMatchObject({ from: undefined, refused: true })
  expect(latestSpell(know([failed, concluded]))).toMatchObject({ from: undefined, refused: true })
  const open = { from: T, to: undefined, refused: false }
  expect(latestSpell(know([success(T), concluded, failed]))).toMatchObject(open)
  expect(latestSpell(know([concluded, success(T + 60_000), failed]))).toMatchObject(open)
  expect(latestSpell(know([concluded, failed, success(T + 900_000)]))).toMatchObject({ from: T + 900_000 })
})

it('ended before it was licensed is refused', () => {
  expect(latestSpell(know([anAgreement().created(T), anAgreement().ended(T + 20_000)]))).toMatchObject({
    refused: true,
  })
})
