import type { AdmissionOutcome } from './quota-store.ts'

/** How long an id is known again, ms. */
const KNOWN_MS = 10 * 60_000
const KNOWN_MAX = 100_000

export interface RecentUses {
  /** Does it once for one name; a repeat waits for the first and is told what it came to. */
  once(
    name: string,
    quantity: number,
    now: number,
    use: () => Promise<AdmissionOutcome>,
  ): Promise<AdmissionOutcome>
}

/** Ids of what this node let through lately. A refusal is not remembered. */
export function createRecentUses(): RecentUses {
  const known = new Map<
    string,
    { readonly quantity: number; readonly at: number; readonly outcome: Promise<AdmissionOutcome> }
  >()
  return {
    async once(name, quantity, now, use) {
      const before = known.get(name)
      if (before !== undefined && Math.abs(now - before.at) < KNOWN_MS) {
        const outcome = await before.outcome.catch(() => undefined)
        if (outcome?.status === 'admitted')
          return { ...outcome, status: before.quantity === quantity ? 'repeated' : 'conflict' }
      }
      const outcome = use()
      known.delete(name)
      if (known.size >= KNOWN_MAX) known.delete(known.keys().next().value!)
      known.set(name, { quantity, at: now, outcome })
      const { status } = await outcome.catch((error: unknown) => {
        known.delete(name)
        throw error
      })
      if (status !== 'admitted') known.delete(name)
      return outcome
    },
  }
}
