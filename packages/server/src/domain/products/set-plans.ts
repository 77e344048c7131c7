import { isDeepStrictEqual } from 'node:util'
import type { Plan } from '../plans/plan.ts'
import { type CatalogVersions, plansAt } from './catalog-versions.ts'
import type { CatalogDraft } from './draft-catalog.ts'

/**
 * The plans of a product are these from now on, in this order. What is given as it is now stays as it is, with the change of
 * it that is dated ahead: a product that is read and sent back changes nothing.
 */
export function setPlans(
  draft: CatalogDraft,
  versions: CatalogVersions,
  product: string,
  plans: readonly Plan[],
  now: number,
): void {
  const held = plansAt(versions, product, now)
  const toCome = plansAt(versions, product, Number.POSITIVE_INFINITY)
  const ahead = [...toCome.values()].filter(
    ({ body }) => !held.has(body.id) && !plans.some(({ id }) => id === body.id),
  )
  const place = Math.max(-1, ...[...held.values()].map((version) => version.position))
  let position = -1
  for (const plan of plans) {
    const current = held.get(plan.id)
    const last = toCome.get(plan.id)
    // Gaps stay, where retired plans stood: a place that is kept is no change.
    position = Math.max(position + 1, (current ?? last)?.position ?? 0)
    const isSame = current?.origin === 'api' && isDeepStrictEqual(current.body, plan)
    if (isSame && current.position === position) continue
    draft.setPlan(product, plan, { position, from: now })
    if (isSame && last !== undefined && last !== current)
      draft.setPlan(product, last.body, { position, from: last.from })
  }
  // What is not there yet stays behind the others where it stood behind them.
  for (const { body, from, position: known } of ahead.toSorted((a, b) => a.position - b.position)) {
    if (known <= place) continue
    position = Math.max(position + 1, known)
    if (position !== known) draft.setPlan(product, body, { position, from })
  }
}

/** Retires plans that are not among the given ones. What is not there yet is not shown with the product, and stays. */
export function retireOthers(
  draft: CatalogDraft,
  versions: CatalogVersions,
  product: string,
  plans: readonly Plan[],
  now: number,
): void {
  for (const [id, { body }] of plansAt(versions, product, now))
    if (!body.isRetired && !plans.some((plan) => plan.id === id)) draft.retirePlan(product, id)
}
