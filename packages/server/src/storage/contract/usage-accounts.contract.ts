import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACCOUNTS } from '../../domain/usage/account.ts'
import { hourOf } from '../../domain/usage/hour.ts'
import { addBalances } from '../../domain/usage/usage-accounts.ts'
import type { MeterAudit } from '../../domain/usage/usage-store.ts'
import { aDimension, aProduct, utc } from './fixtures.ts'
import { startLedger } from './ledger-harness.ts'
import type { OpenStores } from './open-stores.ts'

const HOUR = 3_600_000
const START = utc('2026-11-21T10:30')
const ALL = { from: hourOf(START) - 48, to: hourOf(START) + 480 }

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ report: fc.nat({ max: 5_000 }), late: fc.nat({ max: 30 }) }) },
  { weight: 2, arbitrary: fc.record({ hours: fc.integer({ min: 1, max: 9 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      answer: fc.constantFrom('Success', 'DuplicateRecord', 'CustomerNotSubscribed', 'unprocessed', 'lost'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ end: fc.constant(true) }) },
)

/** @param runs - of random steps */
export function usageAccountsContract(name: string, open: OpenStores, runs: number): void {
  describe(`${name}: the accounts of a subscription`, () => {
    it('comes to what the audit comes to, however it is cut, whatever AWS answers', async () => {
      // Each run has buyers of its own.
      const stores = await open()
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
          const product = aProduct({
            dimensions: [
              aDimension({ unitSize: 10n, scale: 2 }),
              aDimension({ key: 'peak', aggregation: 'max', per: 'day' }),
            ],
          })
          const ledger = await startLedger(async () => stores, product, START)
          const { subscribe, report, clock, close, submit, aws, usage, usageAccounts } = ledger
          const [buyer, bystander] = [await subscribe(), await subscribe()]
          for (const [number, given] of steps.entries()) {
            if ('report' in given) {
              const time = clock.now() - given.late * HOUR
              await report(buyer, `sum ${number}`, given.report / 100, { time })
              await report(buyer, `peak ${number}`, given.report, { dimension: 'peak', time })
              await report(bystander, `other ${number}`, 77)
            } else if ('hours' in given) clock.set(clock.now() + given.hours * HOUR)
            else if ('answer' in given) {
              await close()
              aws.next.push(given.answer as 'Success')
              await submit()
            } else await ledger.end(buyer, clock.now())
          }
          await close()
          await submit()

          const audited = new Map<string, MeterAudit>()
          await usage.audit((meters) => {
            for (const meter of meters)
              if (meter.subscription === buyer.id) audited.set(meter.dimension, meter)
          })
          const sumOf = async (range: { from: number; to: number }, hoursPerPeriod: number | undefined) => {
            const read = await usageAccounts.read(buyer.id, { ...range, hoursPerPeriod })
            return new Map(read.map(({ dimension, periods }) => [dimension, periods]))
          }
          for (const hoursPerPeriod of [undefined, 24, 1]) {
            const whole = await sumOf(ALL, hoursPerPeriod)
            for (const [dimension, { balances }] of audited) {
              const periods = whole.get(dimension) ?? []
              expect(addBalances(periods)).toEqual(balances)
              expect(periods.map(({ from }) => from)).toEqual(
                periods.map(({ from }) => from).toSorted((a, b) => a - b),
              )
              for (const period of periods)
                expect(ACCOUNTS.reduce((sum, account) => sum + period.balances[account], 0n)).toBe(0n)
            }
          }
          // Two ranges that meet are as good as one, wherever something happened that they meet.
          const hours = [...(await sumOf(ALL, 1)).values()].flat().map(({ from }) => from)
          for (const middle of new Set(hours.flatMap((hour) => [hour, hour + 1]))) {
            const first = await sumOf({ ...ALL, to: middle }, 24)
            const second = await sumOf({ ...ALL, from: middle }, 24)
            for (const [dimension, { balances }] of audited) {
              const halves = [...(first.get(dimension) ?? []), ...(second.get(dimension) ?? [])]
              expect(addBalances(halves)).toEqual(balances)
            }
          }
        }),
        { numRuns: runs },
      )
    }, 60_000)
  })
}
