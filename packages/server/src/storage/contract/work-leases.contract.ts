import { describe, expect, it } from 'vitest'
import { LEASE_MS_MAX, type WorkLeases } from '../../domain/work-leases.ts'
import { utc } from './fixtures.ts'

const NOW = utc('2026-11-21T10:00')
const MINUTE = 60_000

/** @param open - the leases of an empty store; more than one node may hold leases on it */
export function workLeasesContract(name: string, open: () => Promise<WorkLeases>): void {
  describe(`work leases on ${name}`, () => {
    it('gives a work to one node at a time, and to the next when it is given back', async () => {
      const leases = await open()
      expect(await leases.claim('close/demo', 'one', NOW, MINUTE)).toBe(true)
      expect(await leases.claim('close/demo', 'two', NOW, MINUTE)).toBe(false)
      expect(await leases.claim('close/other', 'two', NOW, MINUTE)).toBe(true)
      await leases.release('close/demo', 'two')
      expect(await leases.claim('close/demo', 'two', NOW, MINUTE)).toBe(false)
      await leases.release('close/demo', 'one')
      expect(await leases.claim('close/demo', 'two', NOW, MINUTE)).toBe(true)
      expect(await leases.claim('close/demo', 'one', NOW, MINUTE)).toBe(false)
    })

    it('lets others take over from a node that died, and not before its lease is over', async () => {
      const leases = await open()
      await leases.claim('close/demo', 'dead', NOW, MINUTE)
      expect(await leases.claim('close/demo', 'heir', NOW + MINUTE - 1, MINUTE)).toBe(false)
      expect(await leases.claim('close/demo', 'heir', NOW + MINUTE, MINUTE)).toBe(true)
      expect(await leases.claim('close/demo', 'dead', NOW + MINUTE, MINUTE)).toBe(false)
      await leases.release('close/demo', 'dead')
      expect(await leases.list()).toEqual([{ name: 'close/demo', holder: 'heir', until: NOW + 2 * MINUTE }])
    })

    it('lets a node that works on renew its lease', async () => {
      const leases = await open()
      await leases.claim('close/demo', 'one', NOW, MINUTE)
      expect(await leases.claim('close/demo', 'one', NOW + MINUTE / 2, MINUTE)).toBe(true)
      expect(await leases.claim('close/demo', 'two', NOW + MINUTE, MINUTE)).toBe(false)
      expect(await leases.claim('close/demo', 'two', NOW + MINUTE * 1.5, MINUTE)).toBe(true)
    })

    it('does not believe a lease from the future, after the clock went back', async () => {
      const leases = await open()
      await leases.claim('close/demo', 'one', NOW + LEASE_MS_MAX + MINUTE, MINUTE)
      expect(await leases.claim('close/demo', 'two', NOW, MINUTE)).toBe(true)
    })

    it('gives a work to exactly one of many who ask at once', async () => {
      const leases = await open()
      for (const round of [1, 2, 3]) {
        const claimed = await Promise.all(
          Array.from({ length: 8 }, (_, node) => leases.claim(`close/${round}`, `node ${node}`, NOW, MINUTE)),
        )
        expect(claimed.filter(Boolean)).toHaveLength(1)
      }
    })
  })
}
