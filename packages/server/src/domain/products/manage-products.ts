import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import type { Plan } from '../plans/plan.ts'
import type { PlanVersion } from '../plans/plan-version.ts'
import { checkCount, VERSIONS_MAX } from './catalog-limits.ts'
import type { CatalogStore } from './catalog-store.ts'
import {
  type CatalogVersions,
  type ProductVersion,
  plansAt,
  planVersions,
  productVersions,
} from './catalog-versions.ts'
import { draftCatalog } from './draft-catalog.ts'
import type { Endpoint } from './endpoint.ts'
import { checkUnique, fixed, keepNames, keepVersions } from './keep-product.ts'
import { type LiveCatalog, madeProducts, productsAt } from './live-catalog.ts'
import { createManageEndpoints, type ManageEndpoints } from './manage-endpoints.ts'
import { createProductCatalog, type Product, type ProductCatalog } from './product.ts'
import { retireOthers, setPlans } from './set-plans.ts'
import { plansToCome, suitPlans } from './suit-plans.ts'

/** Reads what somebody sent, by the rules of configuration. @throws {DomainError} `request.invalid` with each mistake */
export interface CatalogReader {
  /** @param otherPlans - that it has besides those that are given */
  product(given: unknown, otherPlans?: readonly Plan[]): Product
  /** @param product - with the plans that it is going to stand beside */
  plan(given: unknown, product: Product): Plan
  endpoint(given: unknown): Endpoint
}

/** A change of a plan may be dated this far ahead. */
const AHEAD_MS_MAX = 5 * 366 * 86_400_000

/** Every node has all of them in memory. */
const PRODUCTS_MAX = 1_000
const PLANS_MAX = 100

/** Whatever was dated ahead has come; the last that a date can say. */
const END_OF_TIME = 8.64e15

/** What a seller changes without a restart: what configuration declares is changed there alone. */
export interface ManageProducts extends ManageEndpoints {
  /**
   * Makes a plan, or changes it from a time on. The same again changes nothing.
   *
   * @param from - ms; undefined: now
   * @throws {DomainError} `product.not_found`, `plan.declared`, `request.invalid`
   */
  putPlan(
    product: string,
    given: { readonly id: string; readonly body: unknown; readonly from: number | undefined },
    actor: string,
  ): Promise<{ readonly version: PlanVersion; readonly created: boolean }>
  /**
   * Nobody gets it from now on; whoever is on it keeps it.
   *
   * @throws {DomainError} `product.not_found`, `plan.not_found`, `plan.declared`, `plan.needed`
   */
  retirePlan(product: string, plan: string, actor: string): Promise<PlanVersion>
  /**
   * The same again changes nothing.
   *
   * @throws {DomainError} `product.declared`, `product.exists`, `request.invalid`
   */
  createProduct(
    given: unknown,
    actor: string,
  ): Promise<{ readonly product: Product; readonly created: boolean }>
  /**
   * Its plans and endpoints stay as they are unless the body has some: then those are its. Plans stay also that are not there
   * yet, and those that are given as they are, with what is dated ahead of them.
   *
   * @param rights.mayRename - may it get another name at AWS, or another listing? By default it may
   * @throws {DomainError} `product.not_found`, `product.declared`, `product.exists`, `dimension.fixed`, `request.invalid`,
   *   `key.bound_to_product`
   */
  putProduct(
    id: string,
    given: unknown,
    actor: string,
    rights?: { readonly mayRename?: boolean },
  ): Promise<Product>
}

export function createManageProducts(deps: {
  readonly catalog: LiveCatalog
  readonly store: CatalogStore
  readonly reader: CatalogReader
  /** See `Stores.checkDimensions`. */
  readonly checkDimensions: (catalog: ProductCatalog) => Promise<void>
  /** A product is known from now on: what waited for it is its. */
  readonly adopt: (product: Product) => Promise<unknown>
  /** What declares products, for messages: a file's name. */
  readonly configuration: string
  readonly clock: Pick<Clock, 'now'>
}): ManageProducts {
  const { catalog, store, reader, configuration, clock } = deps

  async function knownProduct(id: string): Promise<Product> {
    await catalog.refresh()
    const product = catalog.find(id)
    if (product === undefined) throw new DomainError('product.not_found', 'no such product here')
    return product
  }

  function refuseDeclared(what: 'product' | 'plan', product: string, plan?: string): void {
    const declared = catalog.declared.find(({ id }) => id === product)
    if (declared === undefined) return
    const index = declared.plans.findIndex(({ id }) => id === plan)
    if (what === 'plan' && index === -1) return
    throw declaredError(what, product, plan)
  }

  /**
   * Another process may have it in its configuration, and this one not yet.
   *
   * @param newest - version that is written down of it
   */
  function refuseWritten(newest: PlanVersion | ProductVersion | undefined): void {
    if (newest?.origin !== 'config') return
    if ('position' in newest) {
      if (!newest.body.isRetired) throw declaredError('plan', newest.product, newest.body.id)
    } else if (!newest.isRetired) throw declaredError('product', newest.product)
  }

  function declaredError(what: 'product' | 'plan', product: string, plan?: string): DomainError {
    const name = what === 'plan' ? `plan ${plan} of ${product}` : `product ${product}`
    return new DomainError(`${what}.declared`, `${name} is declared in ${configuration}: change it there`, {
      details: { declaredIn: configuration },
    })
  }

  /** What the ledger keeps is what everybody here uses from now on. */
  async function change(decide: Parameters<CatalogStore['change']>[0]): Promise<void> {
    await store.change(decide)
    await catalog.refresh()
  }

  async function setProduct(
    given: unknown,
    actor: string,
    check: (product: Product, versions: CatalogVersions) => void,
  ): Promise<{ product: Product; wasKnown: boolean }> {
    const read = reader.product(given, plansAhead(given, catalog.versions(), clock.now()))
    const product = { ...read, endpoints: read.endpoints.map(onlyPublic) }
    refuseDeclared('product', product.id)
    await keepDimensions(product)
    const now = clock.now()
    let wasKnown = false
    await change((versions) => {
      refuseWritten(productVersions(versions, product.id).at(-1))
      check(product, versions)
      checkUnique(product, productsAt(catalog.declared, versions, Number.POSITIVE_INFINITY))
      keepVersions(product, versions)
      wasKnown = madeVersion(versions, product.id) !== undefined
      checkCount('products of the API', madeProducts(versions).length + (wasKnown ? 0 : 1), PRODUCTS_MAX)
      checkCount(`versions of ${product.id}`, productVersions(versions, product.id).length, VERSIONS_MAX)
      const draft = draftCatalog(versions, { actor, origin: 'api', now })
      const { plans, planVersions: _, ...body } = product
      const endpoints = gives(given, 'endpoints')
        ? body.endpoints
        : (madeVersion(versions, product.id)?.body.endpoints ?? [])
      draft.setProduct({ ...body, endpoints })
      if (!wasKnown || gives(given, 'plans')) {
        setPlans(draft, versions, product.id, plans, now)
        retireOthers(draft, versions, product.id, plans, now)
      }
      const changes = draft.changes()
      const written = { ...versions, plans: [...versions.plans, ...changes.plans] }
      suitPlans({ ...body, plans: [] }, written, now)
      return changes
    })
    const known = catalog.find(product.id)!
    await deps.adopt(known)
    return { product: known, wasKnown }
  }

  async function keepDimensions(product: Product): Promise<void> {
    try {
      await deps.checkDimensions(createProductCatalog([product]))
    } catch (error) {
      throw fixed(error)
    }
  }

  return {
    ...createManageEndpoints({
      catalog,
      reader: { endpoint: (id, given) => onlyPublic(reader.endpoint(withId(given, id))) },
      knownProduct,
      change,
      configuration,
      clock,
    }),
    async putPlan(name, { id, body, from }, actor) {
      const product = await knownProduct(name)
      refuseDeclared('plan', product.id, id)
      const now = clock.now()
      checkDate(from, now)
      let created = false
      await change((versions) => {
        const before = planVersions(versions, product.id, id).at(-1)
        refuseWritten(before)
        // As it is in this step: another one may just have taken a dimension away.
        const sold = productsAt(catalog.declared, versions, now).find((one) => one.id === product.id)
        const others = plansToCome(product, versions).filter((plan) => plan.id !== id)
        const plan = reader.plan(withId(body, id), { ...(sold ?? product), plans: others })
        checkCount(`plans of ${product.id}`, others.length + 1, PLANS_MAX)
        checkCount(`versions of plan ${id}`, planVersions(versions, product.id, id).length, VERSIONS_MAX)
        created = before === undefined
        const places = versions.plans.filter((version) => version.product === product.id)
        const position =
          before?.position ?? Math.max(product.plans.length, ...places.map((place) => place.position + 1))
        const draft = draftCatalog(versions, { actor, origin: 'api', now })
        draft.setPlan(product.id, plan, { position, from: from ?? now })
        return draft.changes()
      })
      return { version: planVersions(catalog.versions(), product.id, id).at(-1)!, created }
    },
    async retirePlan(name, id, actor) {
      const product = await knownProduct(name)
      refuseDeclared('plan', product.id, id)
      const now = clock.now()
      await change((versions) => {
        const before = planVersions(versions, product.id, id).at(-1)
        if (before === undefined) throw new DomainError('plan.not_found', `${product.id} has no plan ${id}`)
        refuseWritten(before)
        const lower = plansToCome(product, versions).find(({ upgradeTo }) => upgradeTo === id)
        if (lower !== undefined)
          throw new DomainError(
            'plan.needed',
            `plan ${lower.id} leads up to ${id} (upgradeTo): let it lead elsewhere first`,
            { details: { plan: lower.id } },
          )
        const draft = draftCatalog(versions, { actor, origin: 'api', now })
        draft.retirePlan(product.id, id)
        return draft.changes()
      })
      return planVersions(catalog.versions(), product.id, id).at(-1)!
    },
    async createProduct(given, actor) {
      await catalog.refresh()
      const { product, wasKnown } = await setProduct(given, actor, (asked, versions) => {
        const known = madeVersion(versions, asked.id)
        const same = gives(given, 'endpoints') ? asked : { ...asked, endpoints: known?.body.endpoints ?? [] }
        if (known === undefined || isSame(same, known, versions)) return
        throw new DomainError('product.exists', `there is a product ${asked.id}: PUT changes it`)
      })
      return { product, created: !wasKnown }
    },
    async putProduct(name, given, actor, { mayRename = true } = {}) {
      const { id } = await knownProduct(name)
      refuseDeclared('product', id)
      const check = (asked: Product, versions: CatalogVersions) => {
        const known = madeVersion(versions, id)
        if (!mayRename && known !== undefined) keepNames(asked, known.body)
      }
      return (await setProduct(withId(given, id), actor, check)).product
    },
  }
}

/** The body of a PUT need not repeat the name in its path, and does not contradict it. */
function withId(given: unknown, id: string): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given
  if ('id' in given && given.id !== id)
    throw new DomainError('request.invalid', `id must be ${id}, as in the address, or be left out`)
  return { ...given, id }
}

function gives(given: unknown, name: 'plans' | 'endpoints'): boolean {
  return typeof given === 'object' && given !== null && name in given
}

/** Plans that are dated ahead and not there yet: they stay whatever plans are given, and may be led up to. */
function plansAhead(given: unknown, versions: CatalogVersions, now: number): readonly Plan[] {
  const id = typeof given === 'object' && given !== null && 'id' in given ? String(given.id) : ''
  const held = plansAt(versions, id, now)
  return [...plansAt(versions, id, Number.POSITIVE_INFINITY).values()]
    .map(({ body }) => body)
    .filter((plan) => !held.has(plan.id))
}

/** Whoever may change products may not make this server knock at the doors of its own network. */
function onlyPublic(endpoint: Endpoint): Endpoint {
  if (endpoint.allowPrivate)
    throw new DomainError('request.invalid', 'allowPrivate must be left out: only configuration says it')
  return { ...endpoint, origin: 'api' }
}

function checkDate(from: number | undefined, now: number): void {
  if (from === undefined) return
  if (from < now)
    throw new DomainError(
      'request.invalid',
      `from must not be before now, ${new Date(now).toISOString()}: what was is not changed any more`,
    )
  if (from > now + AHEAD_MS_MAX) throw new DomainError('request.invalid', 'from must be within five years')
}

function madeVersion(versions: CatalogVersions, product: string): ProductVersion | undefined {
  const newest = productVersions(versions, product).at(-1)
  return newest?.origin === 'api' ? newest : undefined
}

/** Was it this very request that made it? */
function isSame(asked: Product, known: ProductVersion, versions: CatalogVersions): boolean {
  const draft = draftCatalog(versions, { actor: '', origin: 'api', now: END_OF_TIME })
  const { plans, planVersions: _, ...body } = asked
  draft.setProduct(body)
  setPlans(draft, versions, known.product, plans, END_OF_TIME)
  const added = draft.changes()
  return added.products.length === 0 && added.plans.length === 0
}
