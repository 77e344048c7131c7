import { describe, expect, it } from 'vitest'
import type { Product } from '../../domain/products/product.ts'
import { aDimension, aProduct, utc } from './fixtures.ts'
import { type Stores, startLedger } from './ledger-harness.ts'

/** What every store of the usage ledger promises. */
export function usageStoreContract(name: string, open: () => Promise<Stores>): void {
  const start = (product?: Product, now?: number) => startLedger(open, product, now)

  describe(`${name}: usage events`, () => {
    it('counts an event once, however often it is sent', async () => {
      const { subscribe, report, usage, audit } = await start()
      const buyer = await subscribe()
      expect(await report(buyer, 'a', 3)).toMatchObject({ status: 'accepted' })
      expect(await report(buyer, 'a', 3)).toMatchObject({ status: 'duplicate' })
      const buckets = await usage.listBuckets({ limit: 10 })
      expect(buckets.items).toMatchObject([{ quantity: 3n, events: 1, status: 'open' }])
      expect(await audit()).toMatchObject({ balanced: true, meters: 1 })
    })

    it('tells a conflict when an id comes back with another quantity or another time', async () => {
      const { subscribe, report, clock } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 3)
      expect(await report(buyer, 'a', 4)).toMatchObject({ status: 'conflict' })
      clock.set(utc('2026-11-21T13:30'))
      expect(await report(buyer, 'a', 3)).toMatchObject({
        status: 'conflict',
        reason: expect.stringContaining('another time'),
      })
    })

    it('counts an event whose hour is sealed in the current one, and says that it is late', async () => {
      const { subscribe, report, clock, close, usage, audit } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 3)
      clock.set(utc('2026-11-21T11:16'))
      await close()
      expect(await report(buyer, 'b', 4, { time: utc('2026-11-21T10:59') })).toMatchObject({ status: 'late' })
      const { items } = await usage.listBuckets({ limit: 10 })
      expect(items.map(({ hour, quantity }) => [hour * 3_600_000, quantity])).toEqual([
        [utc('2026-11-21T11:00'), 4n],
        [utc('2026-11-21T10:00'), 3n],
      ])
      expect(await audit()).toMatchObject({ balanced: true })
    })
  })

  describe(`${name}: records`, () => {
    it('does not close an hour while late events may still arrive', async () => {
      const { subscribe, report, clock, close, records } = await start()
      await report(await subscribe(), 'a', 3)
      clock.set(utc('2026-11-21T11:14'))
      expect(await close()).toMatchObject({ closed: 0 })
      clock.set(utc('2026-11-21T11:15'))
      expect(await close()).toMatchObject({ closed: 1 })
      expect(await records()).toMatchObject([
        { quantity: 3, state: 'ready', timestamp: utc('2026-11-21T10:00') },
      ])
    })

    it('sends a sealed record once and books what AWS accepted', async () => {
      const { subscribe, report, clock, close, submit, records, aws, audit } = await start()
      await report(await subscribe(), 'a', 3)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      expect(await submit()).toMatchObject({ calls: 1, accepted: 1 })
      expect(await submit()).toMatchObject({ calls: 0 })
      expect(aws.calls).toHaveLength(1)
      expect(await records()).toMatchObject([{ state: 'accepted', attempts: 1, unanswered: 0 }])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('carries less than a unit to the next hour and drops nothing', async () => {
      const product = aProduct({ dimensions: [aDimension({ unitSize: 1000n })] })
      const { subscribe, report, clock, close, records, audit } = await start(product)
      const buyer = await subscribe()
      await report(buyer, 'a', 1700)
      clock.set(utc('2026-11-21T11:20'))
      await close()
      await report(buyer, 'b', 400)
      clock.set(utc('2026-11-21T12:20'))
      await close()
      expect((await records()).map(({ quantity }) => quantity)).toEqual([1, 1])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('takes a DuplicateRecord after a lost answer for its own, and without one for a conflict', async () => {
      const { subscribe, report, clock, close, submit, records, aws, usage, audit } = await start()
      const [one, two] = [await subscribe(), await subscribe()]
      await report(one, 'a', 3)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      aws.next.push('lost')
      await submit()
      expect(await records()).toMatchObject([{ state: 'sent', unanswered: 1 }])
      clock.set(utc('2026-11-21T11:30'))
      aws.next.push('DuplicateRecord')
      await submit()
      expect(await records()).toMatchObject([{ state: 'assumed' }])
      await report(two, 'b', 3)
      clock.set(utc('2026-11-21T12:15'))
      await close()
      aws.next.push('DuplicateRecord')
      await submit()
      expect((await records())[0]).toMatchObject({ state: 'conflict' })
      expect((await usage.listAlarms(10))[0]).toMatchObject({ kind: 'conflict' })
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('carries an amount on only when every attempt was refused, and else leaves it in doubt', async () => {
      for (const [first, state] of [
        [{ refuse: 'ThrottlingException' }, 'carried'],
        ['lost', 'in_doubt'],
      ] as const) {
        const { subscribe, report, clock, close, submit, records, aws, audit } = await start()
        await report(await subscribe(), 'a', 3)
        clock.set(utc('2026-11-21T11:15'))
        await close()
        aws.next.push(first)
        await submit()
        clock.set(utc('2026-11-22T10:01'))
        await submit()
        expect((await records()).at(-1)).toMatchObject({ state })
        clock.set(utc('2026-11-22T11:30'))
        await close()
        await submit()
        expect((await records()).filter((record) => record.state === 'accepted')).toHaveLength(
          state === 'carried' ? 1 : 0,
        )
        expect(await audit()).toMatchObject({ balanced: true })
      }
    })

    it('finds the one bad record by halves, bills the others, and sends the bad one alone from then on', async () => {
      const { subscribe, report, clock, close, submit, records, aws, audit } = await start()
      const buyers = await Promise.all(Array.from({ length: 20 }, () => subscribe()))
      for (const buyer of buyers) await report(buyer, `a-${buyer.id}`, 1)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      const poison = buyers[7]!.licenseArn!
      aws.poison = (record) =>
        record.identity.kind === 'license' &&
        record.identity.licenseArn === poison &&
        'InvalidLicenseException'
      await submit()
      const all = await records()
      expect(all.filter(({ state }) => state === 'accepted')).toHaveLength(19)
      expect(all.filter(({ state }) => state === 'ready')).toHaveLength(1)
      aws.calls.length = 0
      await report(buyers[1]!, 'more', 1)
      clock.set(utc('2026-11-21T12:15'))
      await close()
      await submit()
      expect(aws.calls.map((records) => records.length).sort()).toEqual([1, 1])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('meters a goodbye: finished hours at once, the hour in progress after it settled, what comes later is unbillable', async () => {
      const { subscribe, report, clock, close, submit, records, end, audit, usage } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 1)
      clock.set(utc('2026-11-21T11:05'))
      await report(buyer, 'b', 2)
      clock.set(utc('2026-11-21T11:05:30'))
      await end(buyer, clock.now())
      await close()
      expect(await records()).toMatchObject([{ quantity: 1, deadline: utc('2026-11-21T12:05:30') }])
      expect(await report(buyer, 'c', 4, { time: utc('2026-11-21T11:05') })).toMatchObject({
        status: 'accepted',
      })
      clock.set(utc('2026-11-21T11:15:30'))
      await close()
      await submit()
      expect((await records()).map(({ quantity, state }) => [quantity, state])).toEqual([
        [6, 'accepted'],
        [1, 'accepted'],
      ])
      expect(await report(buyer, 'd', 8, { time: utc('2026-11-21T11:05:10') })).toMatchObject({
        status: 'refused',
        code: 'subscription_ended',
      })
      expect((await usage.status(undefined)).unbillable).toMatchObject([{ base: 8n }])
      expect(await audit()).toMatchObject({ balanced: true })
    })
  })
}
