import type { CounterKey } from '../quotas/quota.ts'
import type { QuotaStore } from '../quotas/quota-store.ts'
import { windowAt } from '../quotas/window.ts'
import type { VisitorIdentity } from './identify-visitor.ts'

/** Addresses, and networks, that used up their hour, as far as this node knows: of each so many. */
const FULL_MAX = 50_000
/** A network may bring as many as so many of its addresses: who has a /48 of IPv6 has 65,536 addresses. */
const ADDRESSES_PER_NETWORK = 10

type Origin = Pick<VisitorIdentity, 'addresses' | 'network'>

/**
 * How many new visitors one address may bring in an hour, whatever user agents it sends, and how many the addresses of its
 * network together; on all nodes together.
 */
export interface NewVisitors {
  /** Counts one more. @returns false where the hour has no room for it */
  admit(origin: Origin, now: number): Promise<boolean>
  /** Counts nothing. */
  hasRoom(origin: Origin, now: number): Promise<boolean>
}

/** @param max - of one address; 0: none */
export function createNewVisitors(quotas: Pick<QuotaStore, 'exchange' | 'read'>, max: number): NewVisitors {
  const byAddress = createHourly(quotas, 'adr_', max)
  const byNetwork = createHourly(quotas, 'net_', max * ADDRESSES_PER_NETWORK)
  const isFull = ({ addresses, network }: Origin, now: number) =>
    byAddress.isFull(addresses[0]!, now) || byNetwork.isFull(network, now)
  return {
    // One that is known to be full is neither read nor written: however many addresses a network has, few of them leave a row.
    admit: async (origin, now) =>
      !isFull(origin, now) &&
      (await byAddress.admit(origin.addresses[0]!, now)) &&
      (await byNetwork.admit(origin.network, now)),
    hasRoom: async (origin, now) =>
      !isFull(origin, now) &&
      (await byAddress.hasRoom(origin.addresses[0]!, now)) &&
      (await byNetwork.hasRoom(origin.network, now)),
  }
}

/** So many in an hour, for each name. */
function createHourly(quotas: Pick<QuotaStore, 'exchange' | 'read'>, prefix: string, max: number) {
  /** Until when, ms. */
  const full = new Map<string, number>()
  const hourOf = (name: string, now: number): { readonly key: CounterKey; readonly end: number } => {
    const { start, end } = windowAt('hour', now, 0)
    return { key: { holder: `${prefix}${name}`, dimension: 'visitors', window: 'hour', start }, end: end! }
  }
  const fill = (name: string, end: number): void => {
    full.delete(name)
    if (full.size >= FULL_MAX) full.delete(full.keys().next().value!)
    full.set(name, end)
  }
  return {
    isFull: (name: string, now: number) => max === 0 || now < (full.get(name) ?? 0),
    async admit(name: string, now: number): Promise<boolean> {
      const { key, end } = hourOf(name, now)
      const { granted } = await quotas.exchange({ key, end, max, giveBack: 0, want: 1, least: 1 }, now)
      if (granted > 0) return true
      fill(name, end)
      return false
    },
    async hasRoom(name: string, now: number): Promise<boolean> {
      const { key, end } = hourOf(name, now)
      const [counter] = await quotas.read([key])
      if (counter!.used < max) return true
      fill(name, end)
      return false
    },
  }
}
