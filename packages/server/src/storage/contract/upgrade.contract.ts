import { describe, expect, it } from 'vitest'
import { DomainError } from '../../domain/error.ts'
import { aDimension, aProduct, utc } from './fixtures.ts'
import { type Stores as LedgerStores, startLedger } from './ledger-harness.ts'

/** A database that two versions of the program work with. */
export interface UpgradedDatabase {
  /** Opens it as this version does. @throws {DomainError} `ledger.too_new` */
  open(): Promise<LedgerStores & { readonly migrated: readonly string[]; checkLevel(): Promise<void> }>
  /** The next version opens it: it has more tables, and more columns in each. @returns what ran */
  openAsNext(): Promise<readonly string[]>
  /** A version that took something away opens it. */
  openWithRaisedFloor(): Promise<readonly string[]>
  /** All that is in it, to compare. */
  contents(): Promise<unknown>
}

/** @param create - on a database without tables */
export function upgradeContract(name: string, create: () => Promise<UpgradedDatabase>): void {
  describe(`${name}: a rolling upgrade`, () => {
    it('makes the tables once, however many nodes start at once', async () => {
      const { open } = await create()
      const opened = await Promise.all([open(), open(), open()])
      const ran = opened.flatMap(({ migrated }) => migrated)
      expect(ran.length).toBeGreaterThan(0)
      expect(new Set(ran).size).toBe(ran.length)
      expect((await open()).migrated).toEqual([])
    })

    it('goes on, and starts again, where the next version has added to the tables', async () => {
      const { open, openAsNext } = await create()
      const product = aProduct({
        dimensions: [
          aDimension({ holdAbove: { units: 500n } }),
          aDimension({ key: 'users', aggregation: 'unique' }),
          aDimension({ key: 'peak', aggregation: 'max' }),
          aDimension({ key: 'total', aggregation: 'total' }),
        ],
      })
      const running = await startLedger(open, product)
      const buyer = await running.subscribe()
      await running.report(buyer, 'before', 3)
      expect(await openAsNext()).toHaveLength(1)
      expect(await openAsNext()).toEqual([])

      await running.checkLevel()
      const restarted = await startLedger(open, product, running.clock.now())
      expect(restarted.migrated).toEqual([])
      for (const ledger of [running, restarted]) {
        const id = ledger === running ? 'running' : 'restarted'
        const leaver = await ledger.subscribe()
        for (const who of [buyer, leaver]) {
          await ledger.report(who, `${id}/${who.id}`, 3, { tags: { team: 'a' } })
          await ledger.report(who, `${id}/u/${who.id}`, 0, {
            dimension: 'users',
            quantity: undefined,
            value: id,
          })
          await ledger.report(who, `${id}/p/${who.id}`, 7, { dimension: 'peak' })
          await ledger.report(who, `${id}/t/${who.id}`, 9, { dimension: 'total' })
        }
        await ledger.report(leaver, `${id}/held`, 900)
        await ledger.end(leaver, ledger.clock.now() + 1)
        ledger.clock.set(ledger.clock.now() + 3_600_000)
        await ledger.report(buyer, `${id}/late`, 2, { time: utc('2026-11-21T10:10') })
        await ledger.close()
        ledger.aws.next.push('lost', 'unprocessed')
        await ledger.submit()
        ledger.clock.set(ledger.clock.now() + 40_000)
        await ledger.submit()
      }
      for (const ledger of [running, restarted]) {
        ledger.clock.set(restarted.clock.now() + 30 * 3_600_000)
        await ledger.close()
        await ledger.submit()
        await ledger.usage.purge(ledger.clock.now())
      }
      expect((await restarted.records()).length).toBeGreaterThan(0)
      expect(await restarted.audit()).toMatchObject({ balanced: true })
    })

    it('is refused, and writes nothing, where a later version has taken something away', async () => {
      const { open, openWithRaisedFloor, contents } = await create()
      const running = await open()
      await openWithRaisedFloor()
      const before = await contents()
      const refusal = await open().catch((error) => error)
      expect(refusal).toBeInstanceOf(DomainError)
      expect(refusal).toMatchObject({ code: 'ledger.too_new' })
      expect(refusal.message).toMatch(
        /level (\d+) by a later version.*below level \1 .*this one is of level \d+/,
      )
      expect(await contents()).toEqual(before)
      await expect(running.checkLevel()).rejects.toMatchObject({ code: 'ledger.too_new' })
    })
  })
}
