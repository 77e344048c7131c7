import type { PlanVersion } from '../plans/plan-version.ts'
import type { CatalogChanges, CatalogStore } from './catalog-store.ts'
import { type CatalogVersions, type ProductVersion, productVersions } from './catalog-versions.ts'
import { draftCatalog } from './draft-catalog.ts'
import { joinEndpoints } from './endpoint.ts'
import { checkNames } from './live-catalog.ts'
import type { Product } from './product.ts'
import { suitPlans } from './suit-plans.ts'

/**
 * Writes down what configuration declares: a new version of whatever is another than before, and the retirement of what it
 * declares no longer. Nothing where nothing changed, however many processes start.
 *
 * @throws {DomainError} `product.exists` where the API made something of the same name; `request.invalid` where a plan that the
 *   API made would stay and not suit what its product is declared as
 */
export async function declareProducts(
  store: CatalogStore,
  declared: readonly Product[],
  now: number,
): Promise<void> {
  const { versions } = await store.load()
  const { products, plans } = decideDeclaration(versions, declared, now)
  // Each product in a step of its own: a first start may have hundreds of them.
  for (const id of new Set([...products, ...plans].map(({ product }) => product)))
    await store.change((current) => decideDeclaration(current, declared, now, id))
}

/** @param only - of this product alone */
export function decideDeclaration(
  versions: CatalogVersions,
  declared: readonly Product[],
  now: number,
  only?: string,
): CatalogChanges {
  checkNames(declared, versions)
  const draft = draftCatalog(versions, { actor: 'config', origin: 'config', now })
  const isMeant = (product: string) => only === undefined || product === only
  for (const product of declared) {
    if (!isMeant(product.id)) continue
    const { plans, planVersions: _, ...body } = product
    // What the API added beside what is declared stays.
    const known = productVersions(versions, product.id).at(-1)?.body.endpoints
    draft.setProduct({ ...body, endpoints: joinEndpoints(body.endpoints, known) })
    // Whoever was on a plan before it was first written down was on this one.
    for (const [position, plan] of plans.entries())
      draft.setPlan(product.id, plan, { position, from: now, first: 0 })
  }
  for (const { product, body, origin } of newest(
    versions.plans,
    (plan) => `${plan.product}/${plan.body.id}`,
  )) {
    const known = declared.find(({ id }) => id === product)
    const isGone = origin === 'config' && !known?.plans.some(({ id }) => id === body.id)
    if (isGone && isMeant(product)) draft.retirePlan(product, body.id)
  }
  for (const { product, origin } of newest(versions.products, (version) => version.product)) {
    const isGone = origin === 'config' && !declared.some(({ id }) => id === product)
    if (isGone && isMeant(product)) draft.retireProduct(product)
  }
  const changes = draft.changes()
  const written = { ...versions, plans: [...versions.plans, ...changes.plans] }
  const changed = new Set([...changes.products, ...changes.plans].map(({ product }) => product))
  // What stays as it was written keeps nobody from starting.
  for (const product of declared) if (changed.has(product.id)) suitPlans(product, written, now)
  return changes
}

function newest<T extends PlanVersion | ProductVersion>(
  versions: readonly T[],
  nameOf: (version: T) => string,
): readonly T[] {
  return [...new Map(versions.map((version) => [nameOf(version), version])).values()]
}
