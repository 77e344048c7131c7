import { describe, expect, it } from 'vitest'
import type { Product } from '../../domain/products/product.ts'
import type { Gate } from '../../domain/quotas/quota.ts'
import { windowAt } from '../../domain/quotas/window.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { eventKey } from '../../domain/usage/ingest-usage.ts'
import { aDimension, aProduct, utc } from './fixtures.ts'
import { startLedger } from './ledger-harness.ts'
import type { OpenStores } from './open-stores.ts'

const MINUTE = 60_000
const PRODUCT = aProduct({
  dimensions: [aDimension({ key: 'minutes', meteredBy: 'gate' }), aDimension({ key: 'requests' })],
})
/** Each hour without usage is told to AWS, of both. */
const SILENT = aProduct({
  dimensions: [
    aDimension({ key: 'minutes', meteredBy: 'gate', reportZero: true }),
    aDimension({ key: 'requests', reportZero: true }),
  ],
})
const FRACTIONS = aProduct({
  dimensions: [aDimension({ key: 'minutes', meteredBy: 'gate', scale: 1, remainder: 'roundUp' })],
})

/** What every store promises of what is reserved when a subscription ends. */
export function reservedGoodbyesContract(name: string, open: OpenStores): void {
  /** A buyer who has used 3 minutes and 2 requests, holds 5 minutes more, and leaves at 10:35. */
  async function aLeaver(heldMs: number) {
    const ledger = await startLedger(open, PRODUCT, utc('2026-11-21T10:30'))
    const { clock, subscribe, report, end, quotas } = ledger
    const buyer = await subscribe()
    const now = clock.now()
    const limits = [{ window: 'day', ...windowAt('day', now, 0), max: 100, blocks: true }] as const
    const gate: Gate = { holder: buyer.id, limits }
    const use = (of: Subscription, id: string, quantity: number, reservation?: string) =>
      report(of, id, quantity, { time: now, source: 'gate', gate: { ...gate, reservation } })
    await use(buyer, 'use', 3)
    await report(buyer, 'a', 2, { dimension: 'requests' })
    const key = eventKey(PRODUCT.id, 'minutes', buyer.id, 'job')
    await quotas.reserve(
      { key, dimension: 'minutes', quantity: 5, gate },
      { id: 'rsv_job', product: PRODUCT.id, createdAt: now, expiresAt: now + heldMs },
    )
    clock.set(utc('2026-11-21T10:35'))
    await end(buyer, clock.now())
    const settle = () => use(buyer, 'rsv_job', 4, 'rsv_job')
    const billed = async () => {
      const records = await ledger.records()
      return records.map(({ dimension, quantity }) => `${quantity} ${dimension}`).sort()
    }
    return { ...ledger, settle, billed }
  }

  /** A buyer with access since 09:40, who holds 5 base units from 09:55 on. */
  async function aHolder(product: Product, heldMs: number) {
    const ledger = await startLedger(open, product, utc('2026-11-21T09:50'))
    const { clock, subscribe, report, quotas } = ledger
    const accessStart = utc('2026-11-21T09:40')
    const buyer = await subscribe({ accessStart, createdAt: accessStart })
    const time = utc('2026-11-21T09:55')
    const limits = [{ window: 'day', ...windowAt('day', time, 0), max: 1000, blocks: true }] as const
    const gate: Gate = { holder: buyer.id, limits }
    const use = (id: string, quantity: number, reservation?: string) =>
      report(buyer, id, quantity, { time: clock.now(), source: 'gate', gate: { ...gate, reservation } })
    const reserve = () =>
      quotas.reserve(
        { key: eventKey(product.id, 'minutes', buyer.id, 'job'), dimension: 'minutes', quantity: 5, gate },
        { id: 'rsv_job', product: product.id, createdAt: time, expiresAt: time + heldMs },
      )
    const settle = (quantity: number) =>
      report(buyer, 'rsv_job', quantity, { time, source: 'gate', gate: { ...gate, reservation: 'rsv_job' } })
    /** By hour and dimension. */
    const told = async () => {
      const records = await ledger.records()
      return records.map(({ hour, dimension, quantity }) => `${hour % 24}h ${quantity} ${dimension}`).sort()
    }
    return { ...ledger, buyer, use, reserve, settle, told }
  }

  describe(`${name}: what is reserved when a subscription ends`, () => {
    it('is billed with the last hour, which waits for it and holds up no other', async () => {
      const { clock, close, settle, billed, submit, audit } = await aLeaver(60 * MINUTE)
      clock.set(utc('2026-11-21T10:46'))
      await close()
      expect(await billed()).toEqual(['2 requests'])
      clock.set(utc('2026-11-21T11:10'))
      await close()
      expect(await settle()).toMatchObject({ status: 'accepted' })
      await close()
      expect(await billed()).toEqual(['2 requests', '7 minutes'])
      await submit()
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('is waited for until it is over', async () => {
      const { clock, close, billed } = await aLeaver(20 * MINUTE)
      clock.set(utc('2026-11-21T10:49'))
      await close()
      expect(await billed()).toEqual(['2 requests'])
      clock.set(utc('2026-11-21T10:50'))
      await close()
      expect(await billed()).toEqual(['2 requests', '3 minutes'])
    })

    it('is waited for no longer than there is time to send it; then it is kept, and nobody is billed for it', async () => {
      const { clock, close, settle, billed, quotas, usage, audit } = await aLeaver(24 * 60 * MINUTE)
      clock.set(utc('2026-11-21T11:14'))
      await close()
      expect(await billed()).toEqual(['2 requests'])
      clock.set(utc('2026-11-21T11:15'))
      await close()
      expect(await billed()).toEqual(['2 requests', '3 minutes'])
      expect(await settle()).toMatchObject({ status: 'refused', code: 'subscription_ended' })
      // Again, it is as it is.
      expect(await settle()).toMatchObject({ status: 'refused', code: 'subscription_ended' })
      expect(await quotas.findReservation('rsv_job')).toMatchObject({ state: 'settled', used: 4 })
      const { unbillable } = await usage.status(undefined)
      expect(unbillable).toMatchObject([{ dimension: 'minutes', base: 4n }])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('is billed with a last hour that nothing else was used in: no zero is sealed there while it is held', async () => {
      const { clock, buyer, reserve, end, close, silence, settle, told, audit } = await aHolder(
        SILENT,
        120 * MINUTE,
      )
      await reserve()
      clock.set(utc('2026-11-21T10:35'))
      await end(buyer, clock.now())
      clock.set(utc('2026-11-21T10:46'))
      await close()
      await silence()
      expect(await told()).toEqual(['10h 0 requests'])
      clock.set(utc('2026-11-21T11:00'))
      expect(await settle(4)).toMatchObject({ status: 'late' })
      await close()
      await silence()
      expect(await told()).toEqual(['10h 0 requests', '10h 4 minutes'])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('holds no zero back once it is over', async () => {
      const { clock, buyer, reserve, end, silence, told } = await aHolder(SILENT, 55 * MINUTE)
      await reserve()
      clock.set(utc('2026-11-21T10:35'))
      await end(buyer, clock.now())
      clock.set(utc('2026-11-21T10:49'))
      await silence()
      expect(await told()).toEqual(['10h 0 requests'])
      clock.set(utc('2026-11-21T10:50'))
      await silence()
      expect(await told()).toEqual(['10h 0 minutes', '10h 0 requests'])
    })

    it('shares the one remainder with what was used before: a goodbye rounds up once', async () => {
      const { clock, buyer, use, reserve, end, close, settle, told, audit } = await aHolder(
        FRACTIONS,
        120 * MINUTE,
      )
      expect(await use('use', 0.4)).toMatchObject({ status: 'accepted' })
      await reserve()
      clock.set(utc('2026-11-21T10:05'))
      await end(buyer, clock.now())
      clock.set(utc('2026-11-21T10:06'))
      await close()
      clock.set(utc('2026-11-21T10:20'))
      expect(await settle(0.5)).toMatchObject({ status: 'late' })
      await close()
      expect(await told()).toEqual(['10h 1 minutes'])
      expect(await audit()).toMatchObject({ balanced: true })
    })
  })
}
