import { describe, expect, it } from 'vitest'
import { digestLedger } from '../../domain/moving/compare-ledgers.ts'
import { type CopySide, copyLedger } from '../../domain/moving/copy-ledger.ts'
import type { LedgerCopy } from '../../domain/moving/ledger-copy.ts'
import type { Stores } from '../../domain/stores.ts'
import { fanOutAll } from '../../domain/telling/deliver-due.ts'
import { hourOf } from '../../domain/usage/hour.ts'
import { aClock, utc } from './fixtures.ts'
import { startLedger } from './ledger-harness.ts'
import { aWholeProduct, fillLedger } from './whole-ledger.ts'

/** A store that can be opened again and again: each time with nothing of what a process remembers. */
export type OpenStores = () => Promise<Stores>

const NOW = utc('2026-12-01T05:00')
const HOUR = 3_600_000

function sideOf(stores: Stores, name: string): CopySide {
  return { copy: stores.copy, usage: stores.usage, name }
}

export async function copyBetween(
  from: Stores,
  to: Stores,
  more: { clock?: ReturnType<typeof aClock>; copy?: LedgerCopy } = {},
) {
  const clock = more.clock ?? aClock(NOW)
  return copyLedger({
    from: { ...sideOf(from, 'the source'), openGuard: () => from.guardLedger(clock.now()) },
    to: { ...sideOf(to, 'the target'), ...(more.copy && { copy: more.copy }) },
    actor: 'test',
    clock,
    isBusyAfterMs: 1,
  })
}

/** Opened as a ledger to work with. */
export async function guarded(stores: Stores, now = NOW) {
  await stores.claimLedger({ mode: 'simulated', accountId: undefined })
  return stores.guardLedger(now)
}

async function openBoth(create: {
  readonly from: () => Promise<OpenStores>
  readonly to: () => Promise<OpenStores>
}) {
  const [from, to] = [await create.from(), await create.to()]
  return { from: await from(), to: await to() }
}

/**
 * What moving a ledger from one store to another promises.
 *
 * @param create - empty stores to copy from, and to
 */
export function ledgerCopyContract(
  name: string,
  create: { readonly from: () => Promise<OpenStores>; readonly to: () => Promise<OpenStores> },
): void {
  describe(`${name}: moving a ledger`, () => {
    const open = async () => openBoth(create)

    it('copies every kind to the last row, and goes on there', async () => {
      const { from, to } = await open()
      const { buyer } = await fillLedger(from)
      const before = await digestLedger(from.copy, from.usage)
      const empty = Object.entries(before.kinds).filter(([, { rows }]) => rows === 0)
      expect(empty).toEqual([])

      const report = await copyBetween(from, to)
      expect(report.differences).toEqual([])
      expect(report.to.records).toEqual(before.records)
      expect(report.to.balances).toEqual(before.balances)

      expect((await from.guardLedger(NOW)).waiting()).toMatchObject({
        reason: expect.stringContaining('was moved to the target'),
      })
      expect((await guarded(to)).waiting()).toBeUndefined()
      expect(await to.keys.list()).toEqual(await from.keys.list())
      const target = await startLedger(async () => to, aWholeProduct(), NOW)
      expect(
        await target.report(buyer, 'tagged-now', 2.22, {
          time: utc('2026-12-01T03:20'),
          tags: { team: 'c' },
        }),
      ).toMatchObject({ status: 'duplicate' })
      expect(await target.report(buyer, 'tagged-now', 2.23, { time: utc('2026-12-01T03:20') })).toMatchObject(
        {
          status: 'conflict',
        },
      )
      expect(
        await target.report(buyer, 'ada-again', 0, { dimension: 'users', quantity: undefined, value: 'ada' }),
      ).toMatchObject({ status: 'accepted' })
      expect(
        await target.report(buyer, 'late', 5, { time: utc('2026-11-30T10:00'), tags: { team: 'b' } }),
      ).toMatchObject({ status: 'late' })
      await to.usage.resume('demo', 'test', NOW)
      target.clock.set(NOW + 2 * HOUR)
      await target.close()
      await target.submit()
      const sent = target.aws.calls.flat().map(({ id }) => id)
      expect(sent.length).toBeGreaterThan(0)
      const known = new Map((await target.records()).map((record) => [record.id, record.state]))
      expect(sent.filter((id) => known.get(id) !== 'accepted')).toEqual([])
      // What AWS had been sent before is not sent again.
      const settled = (await from.usage.listRecords({ limit: 100 })).items
        .filter(({ state }) => state === 'accepted' || state === 'assumed')
        .map(({ id }) => id)
      expect(settled.length).toBeGreaterThan(0)
      expect(sent.filter((id) => settled.includes(id))).toEqual([])
      expect(await target.audit()).toMatchObject({ balanced: true, discrepancies: [] })
      await to.usage.purge(NOW + 40 * 24 * HOUR)
      expect(await target.audit()).toMatchObject({ balanced: true, discrepancies: [] })
    })

    it('goes on closing hours of what a contract includes', async () => {
      const { from, to } = await open()
      const { buyer } = await fillLedger(from)
      await copyBetween(from, to)
      await guarded(to)
      const target = await startLedger(async () => to, aWholeProduct(), NOW)
      const time = utc('2026-12-01T04:30')
      expect(await target.report(buyer, 'after', 9, { dimension: 'included', time })).toMatchObject({
        status: 'accepted',
      })
      target.clock.set(NOW + 2 * HOUR)
      expect(await target.close()).toMatchObject({ failed: 0 })
      // All that is included was used up before.
      expect(await target.records()).toContainEqual(
        expect.objectContaining({ dimension: 'included', hour: hourOf(time), quantity: 9 }),
      )
    })

    it('goes on telling each sink from where it was, whether configuration has it or not', async () => {
      const { from, to } = await open()
      const { clock } = await fillLedger(from)
      await copyBetween(from, to)
      const sinks = ['webhook:crm', 'email:buyer'].map((sink) => ({
        name: sink,
        product: undefined,
        types: [],
      }))
      const told = async ({ outbox }: Stores) => {
        await fanOutAll({ outbox, clock }, sinks)
        const { items } = await outbox.list({ limit: 1_000 })
        return items
          .map(({ sink, event, state, attempts }) => [sink, event, state, attempts].join(' '))
          .sort()
      }
      const there = await told(to)
      expect(there.filter((line) => line.startsWith('email:buyer'))).not.toEqual([])
      expect(there).toEqual(await told(from))
    })

    it('goes on where it was cut, whatever it was doing', async () => {
      const { from, to } = await open()
      await fillLedger(from)
      let writes = 0
      for (let cutAt = 0; ; cutAt += 7) {
        writes = 0
        const cut: LedgerCopy = {
          ...to.copy,
          write: async (kind, rows, filling) => {
            // Every other time what it wrote is there, but nobody was told.
            if (writes++ === cutAt) {
              if (cutAt % 2 === 0) await to.copy.write(kind, rows, filling)
              throw new Error('cut')
            }
            await to.copy.write(kind, rows, filling)
          },
        }
        const ended = await copyBetween(from, to, { copy: cut }).catch((error: Error) => error)
        if (!(ended instanceof Error)) {
          expect(ended).toMatchObject({ isResumed: true, differences: [] })
          break
        }
        expect(ended.message).toBe('cut')
        await expect(guarded(to)).rejects.toMatchObject({ code: 'ledger.half_copied' })
        expect((await from.guardLedger(NOW)).waiting()).toMatchObject({
          reason: expect.stringContaining('is being copied to the target'),
        })
      }
      expect((await guarded(to)).waiting()).toBeUndefined()
    })

    it('writes the same rows again without changing anything', async () => {
      const { from, to } = await open()
      await fillLedger(from)
      const twice: LedgerCopy = {
        ...to.copy,
        write: async (kind, rows, filling) => {
          await to.copy.write(kind, rows, filling)
          await to.copy.write(kind, rows, filling)
        },
      }
      expect(await copyBetween(from, to, { copy: twice })).toMatchObject({ differences: [] })
    })

    it('takes no usage into the source and sends nothing from it, also in a process that has seen nothing', async () => {
      const { from, to } = await open()
      const source = await fillLedger(from)
      await from.usage.resume('demo', 'test', NOW)
      source.clock.set(NOW + 2 * HOUR)
      await source.close()
      await copyBetween(from, to)
      await expect(source.report(source.buyer, 'meanwhile', 1)).rejects.toMatchObject({
        code: 'ledger.waiting_for_release',
      })
      source.aws.calls.length = 0
      await source.submit()
      expect(source.aws.calls).toEqual([])
    })
  })
}

/** What a copying refuses, and how it stops: which of both goes on is never open to doubt. */
export function ledgerCopyRefusals(
  name: string,
  create: { readonly from: () => Promise<OpenStores>; readonly to: () => Promise<OpenStores> },
): void {
  describe(`${name}: refusing to move a ledger`, () => {
    const open = async () => openBoth(create)

    it('leaves both as they are when the source was marked as moved and the target not yet opened', async () => {
      const { from, to } = await open()
      await fillLedger(from)
      const cut: LedgerCopy = { ...to.copy, finish: () => Promise.reject(new Error('cut')) }
      await expect(copyBetween(from, to, { copy: cut })).rejects.toThrow('cut')
      await expect(guarded(to)).rejects.toMatchObject({ code: 'ledger.half_copied' })
      expect((await from.guardLedger(NOW)).waiting()).toBeDefined()
      expect(await copyBetween(from, to)).toMatchObject({ differences: [] })
      expect((await guarded(to)).waiting()).toBeUndefined()
    })

    it('does not begin with a ledger that is in use, one that waits, or one that was moved', async () => {
      const { from, to } = await open()
      await fillLedger(from)
      const guard = await from.guardLedger(NOW)
      const clock = aClock(NOW)
      clock.sleep = () => guard.beat(NOW)
      await expect(copyBetween(from, to, { clock })).rejects.toThrow('is in use')
      expect((await from.guardLedger(NOW)).waiting()).toBeUndefined()

      await guard.hold({ reason: 'a person said so' }, 'test', NOW)
      await expect(copyBetween(from, to)).rejects.toThrow('usage resolve ledger')
      await guard.release('test', NOW)
      await copyBetween(from, to)
      await expect(copyBetween(from, to)).rejects.toThrow('was moved to the target already')
      expect(await to.copy.filling()).toBeUndefined()
    })

    it('does not go on with a source that a person let go on, nor fill a ledger that is one', async () => {
      const { from, to } = await open()
      await fillLedger(from)
      const cut: LedgerCopy = { ...to.copy, write: () => Promise.reject(new Error('cut')) }
      await expect(copyBetween(from, to, { copy: cut })).rejects.toThrow('cut')
      await (await from.guardLedger(NOW)).release('test', NOW)
      await expect(copyBetween(from, to)).rejects.toThrow('is half filled from the source')

      const other = await (await create.to())()
      await other.claimLedger({ mode: 'simulated', accountId: undefined })
      await expect(copyBetween(from, other)).rejects.toThrow('holds a ledger')
      expect((await from.guardLedger(NOW)).waiting()).toBeUndefined()
      await expect(copyBetween(to, other)).rejects.toThrow('only half filled')
      await expect(copyBetween(await (await create.to())(), other)).rejects.toThrow('there is no ledger')
    })

    it('does not end what an earlier copying began to fill, once it has gone on elsewhere', async () => {
      const { from, to } = await open()
      await fillLedger(from)
      const cut: LedgerCopy = { ...to.copy, finish: () => Promise.reject(new Error('cut')) }
      await expect(copyBetween(from, to, { copy: cut })).rejects.toThrow('cut')
      await (await from.guardLedger(NOW)).release('test', NOW)
      const other = await (await create.to())()
      expect(await copyBetween(from, other)).toMatchObject({ differences: [] })
      await expect(copyBetween(from, to)).rejects.toThrow('half filled')
      await expect(guarded(to)).rejects.toMatchObject({ code: 'ledger.half_copied' })
    })

    it('does not end a copying that a person gave up while it was verified', async () => {
      const { from, to } = await open()
      await fillLedger(from)
      let isGivenUp = false
      const watched: LedgerCopy = {
        ...to.copy,
        read: async (kind, cursor, limit) => {
          // The source has been read for the last time.
          if (!isGivenUp) await (await from.guardLedger(NOW)).release('test', NOW)
          isGivenUp = true
          return to.copy.read(kind, cursor, limit)
        },
      }
      await expect(copyBetween(from, to, { copy: watched })).rejects.toMatchObject({
        code: 'ledger.copy_refused',
        message: expect.stringContaining('was let go on'),
      })
      expect((await from.guardLedger(NOW)).waiting()).toBeUndefined()
      await expect(guarded(to)).rejects.toMatchObject({ code: 'ledger.half_copied' })
    })

    it.each(['write', 'finish'] as const)(
      'takes nothing more from a run that stalled in its %s until another had ended the copying',
      async (stalls) => {
        const { from, to } = await open()
        const { buyer } = await fillLedger(from)
        let digest: Awaited<ReturnType<typeof digestLedger>> | undefined
        const goOnElsewhere = async () => {
          if (digest !== undefined) return
          expect(await copyBetween(from, to)).toMatchObject({ isResumed: true, differences: [] })
          await guarded(to)
          const target = await startLedger(async () => to, aWholeProduct(), NOW)
          await target.report(buyer, 'in the target', 7, { time: utc('2026-12-01T03:40') })
          digest = await digestLedger(to.copy, to.usage)
        }
        const stalled: LedgerCopy = {
          ...to.copy,
          write: async (kind, rows, filling) => {
            if (stalls === 'write' && kind.name === 'bucket' && rows.length > 0) await goOnElsewhere()
            await to.copy.write(kind, rows, filling)
          },
          finish: async (...given) => {
            if (stalls === 'finish') await goOnElsewhere()
            await to.copy.finish(...given)
          },
        }
        const ended = await copyBetween(from, to, { copy: stalled }).catch((error: Error) => error)
        if (stalls === 'write') expect(ended).toMatchObject({ code: 'ledger.copy_refused' })
        expect(digest).toBeDefined()
        expect(await digestLedger(to.copy, to.usage)).toEqual(digest)
        expect((await guarded(to)).waiting()).toBeUndefined()
      },
    )

    it('takes from the later of two runs only', async () => {
      const { from, to } = await open()
      await fillLedger(from)
      const cut: LedgerCopy = {
        ...to.copy,
        write: async (kind, rows, filling) => {
          if (kind.name === 'meter') throw new Error('cut')
          await to.copy.write(kind, rows, filling)
        },
      }
      const overtaken: LedgerCopy = {
        ...to.copy,
        write: async (kind, rows, filling) => {
          if (kind.name === 'buyer') await expect(copyBetween(from, to, { copy: cut })).rejects.toThrow('cut')
          await to.copy.write(kind, rows, filling)
        },
      }
      await expect(copyBetween(from, to, { copy: overtaken })).rejects.toMatchObject({
        code: 'ledger.copy_refused',
        message: expect.stringContaining('another run'),
      })
      await expect(guarded(to)).rejects.toMatchObject({ code: 'ledger.half_copied' })
      expect(await copyBetween(from, to)).toMatchObject({ isResumed: true, differences: [] })
      expect((await guarded(to)).waiting()).toBeUndefined()
    })

    it('says what differs, and lets neither go on', async () => {
      const { from, to } = await open()
      await fillLedger(from)
      const meddled: LedgerCopy = {
        ...to.copy,
        write: async (kind, rows, filling) => {
          await to.copy.write(kind, rows, filling)
          // Something still writes to the source, after these were read.
          if (kind.name === 'mail')
            await from.usage.raise({ kind: 'halted', subject: 'demo', message: 'meanwhile', at: NOW })
        },
      }
      const { differences } = await copyBetween(from, to, { copy: meddled })
      expect(differences).toContainEqual(expect.stringMatching(/^alarm: \d+ rows in the source/))
      await expect(guarded(to)).rejects.toMatchObject({ code: 'ledger.half_copied' })
      expect((await from.guardLedger(NOW)).waiting()).toMatchObject({
        reason: expect.stringContaining('is being copied'),
      })
    })
  })
}
