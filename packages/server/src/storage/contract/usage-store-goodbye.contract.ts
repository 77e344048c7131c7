import { describe, expect, it } from 'vitest'
import type { Product } from '../../domain/products/product.ts'
import { closeDueBuckets } from '../../domain/usage/close-due-buckets.ts'
import type { MeteringService } from '../../domain/usage/metering-service.ts'
import { submitDueRecords } from '../../domain/usage/submit-due-records.ts'
import type { UsageStore } from '../../domain/usage/usage-store.ts'
import type { ContractRuns } from './contract-runs.ts'
import { aDimension, aProduct, aRoutedEvent, LONG_MS, MOST_OF_ALL, utc } from './fixtures.ts'
import { type Stores, startLedger } from './ledger-harness.ts'

/** What every store promises about last hours, and about hours that cannot be closed. */
export function goodbyeContract(
  name: string,
  open: () => Promise<Stores>,
  { pages, pace }: ContractRuns,
): void {
  const start = (product?: Product, now?: number) => startLedger(open, product, now)

  describe(`${name}: goodbyes`, () => {
    it(
      'closes a last hour though more earlier ones of a lost dimension than it reads at once cannot be closed',
      async () => {
        const product = aProduct({ dimensions: [aDimension(), aDimension({ key: 'old' })] })
        const { subscribe, subscribeMany, report, reportAll, clock, configure, endAll, end, close, records } =
          await start(product)
        const leavers = await subscribeMany(pages)
        const last = await subscribe()
        await reportAll(leavers, 1, { dimension: 'old' })
        configure(aProduct())
        await endAll(leavers, clock.now())
        clock.set(utc('2026-11-21T12:30'))
        await report(last, 'a', 500)
        await end(last, clock.now())
        clock.set(utc('2026-11-21T12:41'))
        await close()
        expect(await records()).toMatchObject([{ subscription: last.id, quantity: 500 }])
      },
      LONG_MS,
    )

    it('opens a last hour only for a meter that has something left', async () => {
      const product = aProduct({ dimensions: [aDimension({ unitSize: 10n }), aDimension({ key: 'other' })] })
      const { subscribe, report, clock, end, close, usage, audit } = await start(product)
      const buyer = await subscribe()
      await report(buyer, 'a', 25)
      await report(buyer, 'b', 3, { dimension: 'other' })
      clock.set(utc('2026-11-21T12:30'))
      await close()
      await end(buyer, clock.now())
      const open = await usage.listBuckets({ status: 'open', limit: 10 })
      expect(open.items).toMatchObject([{ dimension: 'requests', hour: clock.now() / 3_600_000 - 0.5 }])
      clock.set(utc('2026-11-21T12:41'))
      expect(await close()).toMatchObject({
        losses: [{ dimension: 'requests', refused: 0n, forgiven: 5n }],
      })
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('bills a last amount in an earlier hour that nobody metered, where its own is taken', async () => {
      const product = aProduct({ metering: 'legacy' })
      const { subscribe, report, clock, end, close, submit, records, audit } = await start(product)
      const customer = { licenseArn: undefined, customerIdentifier: 'customer-1' }
      const first = await subscribe(customer)
      await report(first, 'a', 3)
      await end(first, clock.now())
      clock.set(utc('2026-11-21T10:41'))
      await close()
      const second = await subscribe({ ...customer, accessStart: utc('2026-11-21T09:10') })
      await report(second, 'b', 7)
      await end(second, clock.now())
      clock.set(utc('2026-11-21T10:52'))
      await close()
      clock.set(utc('2026-11-21T10:53'))
      await close()
      await submit()
      expect((await records()).map(({ quantity, timestamp, state }) => [quantity, timestamp, state])).toEqual(
        [
          [7, utc('2026-11-21T09:10'), 'accepted'],
          [3, utc('2026-11-21T10:00'), 'accepted'],
        ],
      )
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('says what a last amount that finds no hour at all is, with its units', async () => {
      const product = aProduct({ metering: 'legacy' })
      const { subscribe, report, clock, end, close, usage, audit } = await start(product)
      const customer = { licenseArn: undefined, customerIdentifier: 'customer-1' }
      const first = await subscribe(customer)
      await report(first, 'a', 3)
      await end(first, clock.now())
      clock.set(utc('2026-11-21T10:41'))
      await close()
      const second = await subscribe({ ...customer, accessStart: utc('2026-11-21T10:40') })
      await report(second, 'b', 7)
      await end(second, clock.now())
      clock.set(utc('2026-11-21T10:52'))
      expect(await close()).toMatchObject({ losses: [{ dimension: 'requests', refused: 7n }] })
      expect(await usage.listAlarms(10)).toMatchObject([
        { kind: 'refused', message: expect.stringContaining('7 requests') },
      ])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it(
      'tries the last usage of a renewed agreement up to its last minute, and then says what its successor lacks',
      async () => {
        const { subscribe, report, clock, end, close, submit, records, aws, usage, audit } = await start()
        const [old, heir] = [await subscribe(), await subscribe()]
        await report(old, 'a', 700)
        await end(old, clock.now(), heir)
        while (clock.now() < utc('2026-11-21T11:32')) {
          const isLast = clock.now() >= utc('2026-11-21T11:28')
          clock.set(clock.now() + (isLast ? 10_000 : pace * 10_000))
          await close()
          aws.next.push({ refuse: 'ThrottlingException' })
          await submit()
          aws.next.length = 0
        }
        const [record] = await records()
        expect(record).toMatchObject({ state: 'refused', note: expect.stringContaining(heir.id) })
        expect((await usage.listTransfers(record!)).at(-1)).toMatchObject({ to: 'refused', amount: 700n })
        expect(record!.nextAttemptAt).toBeGreaterThan(utc('2026-11-21T11:29:30'))
        expect(await usage.listAlarms(1)).toMatchObject([
          { kind: 'refused', subject: record!.id, message: expect.stringMatching(/700 requests.*sub_/) },
        ])
        expect(await audit()).toMatchObject({ balanced: true })
      },
      LONG_MS,
    )
  })

  describe(`${name}: long runs`, () => {
    it('begins no call after its time, says that more is due, and goes on in the next run', async () => {
      const { subscribeMany, reportAll, clock, close, usage, aws, records } = await start()
      await reportAll(await subscribeMany(60), 1)
      clock.set(utc('2026-11-21T11:20'))
      await close()
      const slow: MeteringService = {
        ...aws,
        batchMeterUsage: async (region, records) => {
          await clock.sleep(6_000)
          return aws.batchMeterUsage(region, records)
        },
      }
      const deps = { usage, metering: slow, clock, timeoutMs: 10_000 }
      expect(await submitDueRecords({ ...deps, runMs: 10_000 })).toMatchObject({ calls: 2, more: true })
      expect(await submitDueRecords({ ...deps, runMs: 10_000 })).toMatchObject({ calls: 1, more: false })
      expect((await records()).every(({ state }) => state === 'accepted')).toBe(true)
    })

    it('leaves most of a run to others when a whole dimension must be sent record by record', async () => {
      const { subscribeMany, reportAll, clock, close, submit, aws, records } = await start()
      await reportAll(await subscribeMany(60), 1)
      clock.set(utc('2026-11-21T11:20'))
      await close()
      aws.poison = () => 'InvalidUsageDimensionException'
      await submit()
      expect(aws.calls.length).toBeLessThan(40)
      for (let run = 0; run < 4; run++) {
        clock.set(clock.now() + 60_000)
        await submit()
      }
      expect((await records()).every(({ attempts }) => attempts > 0)).toBe(true)
    })
  })

  describe(`${name}: hours that cannot be closed`, () => {
    it('closes all others when one bucket fails, and raises an alarm for the one', async () => {
      const { subscribe, report, clock, catalog, usage, subscriptions } = await start()
      const [bad, good] = [await subscribe(), await subscribe()]
      await report(bad, 'a', 3)
      await report(good, 'b', 4)
      clock.set(utc('2026-11-21T11:20'))
      const failing: UsageStore = {
        ...usage,
        close: (keys, now, decide, needs) =>
          usage.close(
            keys,
            now,
            (state) => {
              if (state.subscription.id === bad.id) throw new RangeError('integer overflow')
              return decide(state)
            },
            needs,
          ),
      }
      const report_ = await closeDueBuckets({ usage: failing, subscriptions, catalog }, clock.now())
      expect(report_).toMatchObject({ closed: 1, failed: 1 })
      expect(await usage.listAlarms(10)).toMatchObject([
        { kind: 'close_failed', subject: expect.stringContaining(bad.id) },
      ])
    })

    it(
      'carries no more than 64 bits hold, and goes on with other buyers',
      async () => {
        const { subscribe, report, clock, close, records, audit, usage } = await start()
        const [huge, good] = [await subscribe(), await subscribe()]
        for (const hour of ['11', '12', '13', '14', '15']) {
          clock.set(utc(`2026-11-21T${hour}:10`))
          const most = Array.from({ length: 222 }, (_, index) =>
            aRoutedEvent(huge.id, { id: `${hour}-${index}`, time: clock.now(), quantity: MOST_OF_ALL }),
          )
          await usage.record(most, clock.now(), await usage.epoch())
          await report(good, `good-${hour}`, 4)
        }
        clock.set(utc('2026-11-21T16:20'))
        expect(await close()).toMatchObject({ failed: 0 })
        expect((await records()).filter(({ subscription }) => subscription === good.id)).toHaveLength(5)
        expect((await usage.listAlarms(10))[0]).toMatchObject({ kind: 'refused' })
        expect(await audit()).toMatchObject({ balanced: true })
      },
      LONG_MS,
    )

    it('says once a run which dimension, product or license is missing', async () => {
      const { subscribe, report, clock, close, configure, usage, records } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 5000)
      clock.set(utc('2026-11-21T11:20'))
      configure(aProduct({ metering: 'legacy' }))
      await close()
      expect(await usage.listAlarms(10)).toMatchObject([
        { kind: 'unconfigured', subject: buyer.id, message: expect.stringContaining('5000 requests') },
      ])
      configure(aProduct({ dimensions: [aDimension({ key: 'another' })] }))
      await close()
      expect((await usage.listAlarms(10))[0]).toMatchObject({
        kind: 'unconfigured',
        subject: 'demo/requests',
      })
      clock.set(utc('2026-11-21T13:20'))
      configure(aProduct({ id: 'another' }))
      await close()
      expect((await usage.listAlarms(10))[0]).toMatchObject({ kind: 'unconfigured', subject: 'demo' })
      expect(await records()).toEqual([])
    })
  })
}
