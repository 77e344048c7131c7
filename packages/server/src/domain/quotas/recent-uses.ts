import type { AdmissionOutcome } from './quota-store.ts'

/** How long an id is known again at most, ms. */
const KNOWN_MS = 10 * 60_000
/** Of more uses than these the latest are known. */
const KNOWN_MAX = 100_000

export interface RecentUses {
  has(name: string): boolean
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
    has: (name) => known.has(name),
    async once(name, quantity, now, use) {
      // Who waited for one that was refused finds the next one's try, if there is one by then.
      for (let before = known.get(name); before !== undefined; before = known.get(name)) {
        if (Math.abs(now - before.at) >= KNOWN_MS) break
        const outcome = await before.outcome.catch(() => undefined)
        if (outcome?.status === 'admitted')
          return { ...outcome, status: before.quantity === quantity ? 'repeated' : 'conflict' }
        if (known.get(name) === before) known.delete(name)
      }
      const outcome = use()
      known.delete(name)
      if (known.size >= KNOWN_MAX) known.delete(known.keys().next().value!)
      known.set(name, { quantity, at: now, outcome })
      const forget = () => {
        if (known.get(name)?.outcome === outcome) known.delete(name)
      }
      const { status } = await outcome.catch((error: unknown) => {
        forget()
        throw error
      })
      if (status !== 'admitted') forget()
      return outcome
    },
  }
}
