import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import type { Plan } from '../plans/plan.ts'
import { type PlanVersion, versionsThatHold } from '../plans/plan-version.ts'
import type { CatalogStore } from './catalog-store.ts'
import {
  type CatalogVersions,
  NO_VERSIONS,
  type ProductVersion,
  productVersions,
} from './catalog-versions.ts'
import { joinEndpoints } from './endpoint.ts'
import { createProductCatalog, type Product, type ProductCatalog } from './product.ts'

/** Declared products and those that were made by the API, with their plans as the ledger has them. */
export interface LiveCatalog extends ProductCatalog {
  /** Takes over what changed in the ledger since. Without a change it is one small read. */
  refresh(): Promise<void>
  /** Products of the configuration, as it declares them. */
  readonly declared: readonly Product[]
  /** All that was ever written, as far as it is known here. */
  versions(): CatalogVersions
}

export function createLiveCatalog(deps: {
  readonly store: CatalogStore
  readonly declared: readonly Product[]
  readonly clock: Pick<Clock, 'now'>
}): LiveCatalog {
  const { store, declared, clock } = deps
  let known = { revision: -1, versions: NO_VERSIONS }
  let catalog = createProductCatalog(declared)
  /** When a plan becomes another one by itself. */
  let changesAt = Number.POSITIVE_INFINITY

  function rebuild(): void {
    const now = clock.now()
    catalog = createProductCatalog(productsAt(declared, known.versions, now))
    changesAt = nextChange(catalog.list(), now)
  }
  const current = (): ProductCatalog => {
    if (clock.now() >= changesAt) rebuild()
    return catalog
  }
  return {
    declared,
    list: () => current().list(),
    find: (idOrCode) => current().find(idOrCode),
    findByListing: (listing) => current().findByListing(listing),
    planAt: (product, plan, time) => current().planAt(product, plan, time),
    versions: () => known.versions,
    async refresh() {
      if ((await store.revision()) === known.revision) return
      const loaded = await store.load()
      // Another refresh may have been quicker, and read more.
      if (loaded.revision <= known.revision) return
      known = loaded
      rebuild()
    },
  }
}

/** All products with their plans as they are at a time: those that configuration declares, then the others. */
export function productsAt(
  declared: readonly Product[],
  versions: CatalogVersions,
  time: number,
): readonly Product[] {
  const ids = new Set(declared.map(({ id }) => id))
  const made = madeProducts(versions).filter(({ product }) => !ids.has(product))
  return [
    ...declared.map((product) =>
      withPlans(withEndpoints(product, versions), product.plans, versions.plans, time),
    ),
    ...made.map(({ body }) => withPlans({ ...body, plans: [], planVersions: [] }, [], versions.plans, time)),
  ]
}

/** Products that are the API's, as they are now, in order of their making. */
export function madeProducts({ products }: CatalogVersions): readonly ProductVersion[] {
  const newest = new Map<string, { readonly version: ProductVersion; readonly madeAt: number }>()
  for (const version of products)
    newest.set(version.product, { version, madeAt: newest.get(version.product)?.madeAt ?? version.at })
  return [...newest.values()]
    .filter(({ version }) => version.origin === 'api')
    .sort((a, b) => a.madeAt - b.madeAt)
    .map(({ version }) => version)
}

/** With those that the API added beside what is declared. */
function withEndpoints(product: Product, versions: CatalogVersions): Product {
  const known = productVersions(versions, product.id).at(-1)?.body.endpoints
  const endpoints = joinEndpoints(product.endpoints, known)
  return endpoints.length === product.endpoints.length ? product : { ...product, endpoints }
}

function withPlans(
  product: Product,
  declared: readonly Plan[],
  all: readonly PlanVersion[],
  time: number,
): Product {
  const planVersions = versionsThatHold(all.filter((version) => version.product === product.id))
  if (planVersions.length === 0) return product
  const places = new Map<string, { readonly plan: Plan; readonly position: number }>()
  for (const { body, from, position } of planVersions)
    if (from <= time) places.set(body.id, { plan: body, position })
  const written = new Set(planVersions.map(({ body }) => body.id))
  // In the order of configuration where it declares them, whatever it was before.
  for (const [position, plan] of declared.entries())
    if (!written.has(plan.id)) places.set(plan.id, { plan, position })
    else if (places.has(plan.id)) places.set(plan.id, { plan: places.get(plan.id)!.plan, position })
  // Retired ones first: of several plans that a contract grants the last counts, and it should not be one of them.
  const plans = [...places.values()]
    .sort((a, b) => Number(b.plan.isRetired) - Number(a.plan.isRetired) || a.position - b.position)
    .map(({ plan }) => plan)
  return { ...product, plans, planVersions }
}

function nextChange(products: readonly Product[], now: number): number {
  const times = products.flatMap(({ planVersions }) => planVersions.map(({ from }) => from))
  return times.reduce((next, from) => (from > now && from < next ? from : next), Number.POSITIVE_INFINITY)
}

/**
 * What was made by the API, and what configuration declares since, may claim the same name.
 *
 * @throws {DomainError} `product.exists`
 */
export function checkNames(declared: readonly Product[], versions: CatalogVersions): void {
  for (const { product, body } of madeProducts(versions)) {
    const other = declared.find(
      ({ id, productCode, listing }) =>
        id !== product && (productCode === body.productCode || listing === body.listing),
    )
    if (other === undefined) continue
    const what = other.productCode === body.productCode ? 'product code' : 'listing'
    throw new DomainError(
      'product.exists',
      `product ${other.id} of the configuration has the ${what} of ${product}, which was made by the API: declare it as ${product}, or give it another one`,
    )
  }
}
