import { describe, expect, it } from 'vitest'
import type { Product } from '../../domain/products/product.ts'
import { HOUR_MS, hourOf } from '../../domain/usage/hour.ts'
import { statusAt } from '../../domain/usage/usage-at-risk.ts'
import { BUCKET_MAX } from '../ingest/outcomes.ts'
import type { ContractRuns } from './contract-runs.ts'
import { aDimension, aProduct, aRoutedEvent, LONG_MS, MOST_OF_ALL, utc } from './fixtures.ts'
import { type Stores, startLedger } from './ledger-harness.ts'

const DAY_MS = 24 * HOUR_MS

/** What every store promises about what a person is shown, and about what it keeps. */
export function upkeepContract(name: string, open: () => Promise<Stores>, { forgotten }: ContractRuns): void {
  const start = (product?: Product, now?: number) => startLedger(open, product, now)

  describe(`${name}: usage at risk`, () => {
    it('shows open hours that AWS soon takes no more, and counts their deadline as the oldest', async () => {
      const { subscribe, report, usage, catalog } = await start()
      await report(await subscribe(), 'a', 5)
      const status = (time: string) => usage.status(undefined, statusAt(catalog, utc(time)))
      expect(await status('2026-11-22T08:29')).toMatchObject({ overdue: [], oldest: undefined })
      expect(await status('2026-11-22T08:30')).toMatchObject({
        overdue: [
          {
            product: 'demo',
            buckets: 1,
            oldestHour: hourOf(utc('2026-11-21T10:00')),
            deadline: utc('2026-11-22T10:00'),
          },
        ],
        oldest: { product: 'demo', deadline: utc('2026-11-22T10:00') },
      })
    })

    it('shows an open last hour before its final window closes', async () => {
      const { subscribe, report, usage, catalog, clock, end } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 5)
      await end(buyer, clock.now())
      const status = (now: number) => usage.status('demo', statusAt(catalog, now))
      const window = clock.now() + HOUR_MS
      expect((await status(window - 21 * 60_000)).overdue).toEqual([])
      expect((await status(window - 20 * 60_000)).overdue).toMatchObject([{ buckets: 1, deadline: window }])
    })

    it('shows held hours with their deadline', async () => {
      const product = aProduct({ dimensions: [aDimension({ holdAbove: { units: 10n } })] })
      const { subscribe, report, usage, clock, close } = await start(product)
      await report(await subscribe(), 'a', 50)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      expect(await usage.status('demo')).toMatchObject({
        heldBuckets: 1,
        held: [{ product: 'demo', buckets: 1, deadline: utc('2026-11-22T10:00') }],
        oldest: { deadline: utc('2026-11-22T10:00') },
      })
      expect(await usage.status('other')).toMatchObject({ heldBuckets: 0, held: [], oldest: undefined })
    })

    it('shows what is carried where it is a unit or more, and remainders that were forgiven', async () => {
      const product = aProduct({ dimensions: [aDimension({ unitSize: 1000n })] })
      const { subscribe, report, usage, clock, catalog, close, end } = await start(product)
      const [small, large, leaver] = [await subscribe(), await subscribe(), await subscribe()]
      await report(small, 'a', 999)
      await report(large, 'b', 2_147_483_649_500)
      await report(leaver, 'c', 700)
      await end(leaver, utc('2026-11-21T10:31'))
      clock.set(utc('2026-11-21T11:15'))
      await close()
      const status = await usage.status(undefined, statusAt(catalog, clock.now()))
      expect(status.carried).toEqual([{ product: 'demo', dimension: 'requests', base: 2_500n }])
      expect(status.forgiven).toEqual([{ product: 'demo', dimension: 'requests', base: 700n }])
      expect(status.pending).toEqual([{ product: 'demo', dimension: 'requests', units: 2_147_483_647n }])
    })

    it('shows what an end left that no hour could bill', async () => {
      const { subscribe, report, usage, clock, close, end } = await start(undefined, utc('2026-11-21T10:30'))
      const buyer = await subscribe({ accessStart: utc('2026-11-21T10:00') })
      await report(buyer, 'a', 3_000_000_000)
      await end(buyer, utc('2026-11-21T10:31'))
      clock.set(utc('2026-11-21T10:41'))
      await close()
      expect((await usage.status('demo')).refusedUnrecorded).toEqual([
        { product: 'demo', dimension: 'requests', base: 3_000_000_000n - 2_147_483_647n },
      ])
    })
  })

  describe(`${name}: alarms`, () => {
    const anAlarm = { kind: 'poison', subject: 'demo/requests', message: 'refused', at: 1_000 } as const

    it('is one for each kind and subject, however often it is raised', async () => {
      const { usage } = await start()
      for (let at = 1; at <= 20; at++) await usage.raise({ ...anAlarm, message: `try ${at}`, at: at * 1_000 })
      await usage.raise({ ...anAlarm, kind: 'halted', at: 5_000 })
      expect(await usage.listAlarms(10)).toEqual([
        { ...anAlarm, message: 'try 20', at: 20_000, firstAt: 1_000, count: 20 },
        { ...anAlarm, kind: 'halted', at: 5_000, firstAt: 5_000, count: 1 },
      ])
      expect(await usage.listAlarms(1)).toHaveLength(1)
    })

    it('ends by hand, with the stop it told of, and with the isolation', async () => {
      const { usage } = await start()
      const kinds = async () => (await usage.listAlarms(10)).map(({ kind }) => kind).sort()
      await usage.raise({ ...anAlarm, kind: 'halted', subject: 'demo' })
      await usage.raise({ ...anAlarm, kind: 'refused', subject: 'rec_1' })
      await usage.raise(anAlarm)
      await usage.halt({ product: 'demo', reason: 'x', since: 0, probeAt: undefined })
      await usage.isolate('demo', 'identity', 'l-1', true)
      expect(await kinds()).toEqual(['halted', 'poison', 'refused'])
      await usage.resume('demo', 'ada', 1)
      expect(await kinds()).toEqual(['poison', 'refused'])
      await usage.isolate('demo', 'identity', 'l-1', false)
      expect(await kinds()).toEqual(['refused'])
      expect(await usage.clearAlarm('refused', 'rec_1')).toBe(true)
      expect(await usage.clearAlarm('refused', 'rec_1')).toBe(false)
      expect(await kinds()).toEqual([])
    })

    it('tells of late usage that crossed a month, with its amount, once a subscription, dimension and month', async () => {
      const product = aProduct({ dimensions: [aDimension({ scale: 1 })] })
      const { subscribe, report, usage, clock } = await start(product, utc('2026-11-30T22:30'))
      const buyer = await subscribe()
      clock.set(utc('2026-12-01T07:00'))
      await report(buyer, 'a', 1.5, { time: utc('2026-11-30T22:30') })
      await report(buyer, 'b', 2, { time: utc('2026-11-30T21:30') })
      await report(buyer, 'own month', 4, { time: utc('2026-12-01T06:59') })
      expect(await usage.listAlarms(10)).toMatchObject([
        {
          kind: 'late_across_edge',
          subject: `${buyer.id}/requests/2026-11`,
          message: expect.stringContaining('3.5 requests'),
          count: 2,
        },
      ])
      expect(await usage.status(undefined)).toMatchObject({ lateAcrossMonths: 2 })
    })
  })

  describe(`${name}: what is kept`, () => {
    it('lists attempts page by page', async () => {
      const { subscribe, report, usage, aws, clock, close, submit, records } = await start()
      await report(await subscribe(), 'a', 1)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      for (let attempt = 0; attempt < 5; attempt++) {
        aws.next.push('lost')
        await submit()
        clock.set(clock.now() + HOUR_MS)
      }
      const record = (await records())[0]!.id
      const all = await usage.listAttempts({ record, limit: 100 })
      expect(all.items).toHaveLength(5)
      expect(all.next).toBeUndefined()
      const first = await usage.listAttempts({ record, limit: 3 })
      const second = await usage.listAttempts({ record, limit: 3, cursor: first.next })
      expect([...first.items, ...second.items]).toEqual(all.items)
      expect(all.items[0]!.request).toBe(JSON.stringify([record]))
    })

    it(
      'counts tag sets past what AWS takes in an hour as untagged',
      async () => {
        const { subscribe, ingest, clock, close, records, audit } = await start()
        const buyer = await subscribe()
        for (let batch = 0; batch < 6; batch++) {
          await ingest(
            Array.from({ length: 500 }, (_, index) => ({
              reference: { subscriptionId: buyer.id },
              dimension: 'requests',
              id: `${batch}-${index}`,
              time: clock.now(),
              quantity: 1,
              tags: { user: `u${batch}-${index}` },
            })),
          )
        }
        clock.set(utc('2026-11-21T11:15'))
        await close()
        const [record] = await records()
        expect(record).toMatchObject({ quantity: 3_000 })
        expect(record!.allocations.length).toBeLessThanOrEqual(2_500)
        expect(record!.allocations.reduce((sum, { quantity }) => sum + quantity, 0)).toBe(3_000)
        expect(await audit()).toMatchObject({ balanced: true })
      },
      LONG_MS,
    )

    it('bills by tags again after they were forgotten', async () => {
      const { subscribe, report, usage, clock, close, records, audit } = await start()
      const buyer = await subscribe()
      const tags = { team: 'a' }
      await report(buyer, 'a', 1, { tags })
      clock.set(utc('2026-11-21T11:15'))
      await close()
      clock.set(clock.now() + 9 * DAY_MS)
      await usage.purge(clock.now() - 8 * DAY_MS)
      await report(buyer, 'b', 2, { tags })
      clock.set(clock.now() + 2 * HOUR_MS)
      await close()
      expect((await records()).map(({ allocations }) => allocations)).toEqual([
        [{ quantity: 2, tags: [['team', 'a']] }],
        [{ quantity: 1, tags: [['team', 'a']] }],
      ])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it(
      'takes others in while it forgets',
      async () => {
        const { subscribe, report, ingest, usage, clock, audit } = await start()
        const buyer = await subscribe()
        const many = (from: number, count: number) =>
          Array.from({ length: count }, (_, index) => ({
            reference: { subscriptionId: buyer.id },
            dimension: 'requests',
            id: `e${from + index}`,
            time: clock.now(),
            quantity: 1,
          }))
        for (let from = 0; from < forgotten; from += 1_000) await ingest(many(from, 1_000))
        const repeat = { time: clock.now() }
        clock.set(clock.now() + 9 * DAY_MS)
        let isPurged = false
        const purge = usage.purge(clock.now() - 8 * DAY_MS).then((purged) => {
          isPurged = true
          return purged
        })
        await new Promise((resolve) => setImmediate(resolve))
        await usage.epoch()
        // Half of it is forgotten: a repeat must not count again.
        expect(await report(buyer, 'e0', 1, repeat)).toMatchObject({ code: 'time_too_old' })
        expect(isPurged).toBe(false)
        expect(await purge).toBe(forgotten)
        expect(await audit()).toMatchObject({ balanced: true })
      },
      LONG_MS,
    )

    it('does not believe a clock that jumps ahead for a run, and a real downtime after a day', async () => {
      const { subscribe, report, usage, clock } = await start()
      const buyer = await subscribe()
      const purge = (now: number) => usage.purge(now - 8 * DAY_MS, now)
      await report(buyer, 'a', 1)
      const began = clock.now()
      for (let hour = 0; hour <= 30; hour++) expect(await purge(began + hour * HOUR_MS)).toBe(0)
      const now = began + 30 * HOUR_MS
      // Wrong for one run, or for some hours.
      for (let hour = 0; hour < 5; hour++)
        expect(await purge(utc('2036-01-01T00:00') + hour * HOUR_MS)).toBe(0)
      expect(await purge(now + HOUR_MS)).toBe(0)
      clock.set(now + HOUR_MS)
      expect(await usage.horizon()).toBe(0)
      expect(await report(buyer, 'b', 1)).toMatchObject({ status: 'accepted' })
      // Ten days later somebody starts it again, or sets a virtual clock ahead.
      const later = now + 10 * DAY_MS
      expect(await purge(later)).toBe(0)
      for (let hour = 6; hour < 24; hour += 6) expect(await purge(later + hour * HOUR_MS)).toBe(0)
      expect(await purge(later + DAY_MS)).toBe(2)
      expect(await usage.horizon()).toBeLessThanOrEqual(later + DAY_MS - 8 * DAY_MS)
    })

    it(
      'refuses alone what a sum that nobody is billed for has no room for',
      async () => {
        const { subscribe, usage, clock, audit } = await start()
        const buyer = await subscribe()
        const epoch = await usage.epoch()
        const now = clock.now()
        const anEvent = (id: string, quantity: number, hours: readonly number[] = []) =>
          aRoutedEvent(buyer.id, { id, time: now, quantity }, { hours })
        const most = MOST_OF_ALL
        const events = Array.from({ length: Number(BUCKET_MAX / BigInt(most)) }, (_, index) =>
          anEvent(`${index}`, most),
        )
        expect(new Set((await usage.record(events, now, epoch)).map(({ status }) => status))).toEqual(
          new Set(['unbillable']),
        )
        const outcomes = await usage.record(
          [
            anEvent('last', most),
            anEvent('small', 3),
            anEvent('last', most),
            anEvent('billed', 5, [hourOf(now)]),
          ],
          now,
          epoch,
        )
        expect(outcomes.map(({ status }) => status)).toEqual([
          'overflow',
          'unbillable',
          'overflow',
          'accepted',
        ])
        expect(await audit()).toMatchObject({ balanced: true })
      },
      LONG_MS,
    )
  })
}
