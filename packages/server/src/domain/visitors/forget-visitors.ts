import type { ProductCatalog } from '../products/product.ts'
import { SEEN_EVERY_MS, type VisitorStore } from './visitor.ts'

const DAY_MS = 86_400_000
/** In one step. */
const FORGOTTEN_AT_ONCE = 500

/**
 * Forgets visitors that do not come back, and destroys salts whose time is over, also where nobody comes. Nobody is forgotten
 * while they could still be found by a salt and their trial runs.
 *
 * @returns how many
 */
export async function forgetVisitors(
  deps: {
    readonly visitors: Pick<VisitorStore, 'salts' | 'forget'>
    readonly catalog: ProductCatalog
    readonly settings: { readonly saltMs: number; readonly keepMs: number }
  },
  now: number,
  signal: AbortSignal,
): Promise<number> {
  const { saltMs } = deps.settings
  await deps.visitors.salts(now, saltMs)
  // Of retired plans, too: who came while one was given may still be in its trial, should it come back.
  const plans = deps.catalog
    .list()
    .flatMap((product) => product.plans.filter(({ audience }) => audience === 'anonymous'))
  const trialMs = Math.max(0, ...plans.map(({ trial }) => (trial?.days ?? 0) * DAY_MS))
  const keepMs = Math.max(deps.settings.keepMs, trialMs + saltMs)
  let forgotten = 0
  while (!signal.aborted) {
    const what = { seenBefore: now - keepMs - SEEN_EVERY_MS, now, limit: FORGOTTEN_AT_ONCE }
    const count = await deps.visitors.forget(what)
    forgotten += count
    if (count < FORGOTTEN_AT_ONCE) break
  }
  return forgotten
}
