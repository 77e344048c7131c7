import type { CounterKey } from '../quotas/quota.ts'
import type { QuotaStore } from '../quotas/quota-store.ts'
import { windowAt } from '../quotas/window.ts'

/** Addresses that used up their hour, as far as this node knows. */
const FULL_MAX = 50_000

/** How many new visitors one address may bring in an hour, whatever user agents it sends, on all nodes together. */
export interface NewVisitors {
  /** Counts one more. @returns false where the hour has no room for it */
  admit(address: string, now: number): Promise<boolean>
  /** Counts nothing. */
  hasRoom(address: string, now: number): Promise<boolean>
}

/** @param max - 0: none */
export function createNewVisitors(quotas: Pick<QuotaStore, 'exchange' | 'read'>, max: number): NewVisitors {
  /** Until when, ms. */
  const full = new Map<string, number>()
  const isFull = (address: string, now: number) => max === 0 || now < (full.get(address) ?? 0)
  return {
    async admit(address, now) {
      if (isFull(address, now)) return false
      const { key, end } = hourOf(address, now)
      const { granted } = await quotas.exchange({ key, end, max, giveBack: 0, want: 1, least: 1 }, now)
      if (granted > 0) return true
      full.delete(address)
      if (full.size >= FULL_MAX) full.delete(full.keys().next().value!)
      full.set(address, end)
      return false
    },
    async hasRoom(address, now) {
      if (isFull(address, now)) return false
      const [counter] = await quotas.read([hourOf(address, now).key])
      return counter!.used < max
    },
  }
}

function hourOf(address: string, now: number): { readonly key: CounterKey; readonly end: number } {
  const { start, end } = windowAt('hour', now, 0)
  return { key: { holder: `adr_${address}`, dimension: 'visitors', window: 'hour', start }, end: end! }
}
