import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import { checkDimension } from '../ledger-identity.ts'
import type { Plan } from '../plans/plan.ts'
import type { PlanVersion } from '../plans/plan-version.ts'
import { aggregatedPer } from '../usage/aggregation.ts'
import { checkCount, VERSIONS_MAX } from './catalog-limits.ts'
import type { CatalogStore } from './catalog-store.ts'
import {
  type CatalogVersions,
  type ProductVersion,
  planVersions,
  productVersions,
} from './catalog-versions.ts'
import { draftCatalog } from './draft-catalog.ts'
import type { Endpoint } from './endpoint.ts'
import { type LiveCatalog, madeProducts, productsAt } from './live-catalog.ts'
import { createManageEndpoints, type ManageEndpoints } from './manage-endpoints.ts'
import { createProductCatalog, type Product, type ProductCatalog } from './product.ts'

/** Reads what somebody sent, by the rules of configuration. @throws {DomainError} `request.invalid` with each mistake */
export interface CatalogReader {
  product(given: unknown): Product
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
   * Its plans and endpoints stay as they are unless the body has some: then those are its.
   *
   * @throws {DomainError} `product.not_found`, `product.declared`, `product.exists`, `dimension.fixed`, `request.invalid`
   */
  putProduct(id: string, given: unknown, actor: string): Promise<Product>
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
    const name = what === 'plan' ? `plan ${plan} of ${product}` : `product ${product}`
    throw new DomainError(`${what}.declared`, `${name} is declared in ${configuration}: change it there`, {
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
    const read = reader.product(given)
    const product = { ...read, endpoints: read.endpoints.map(onlyPublic) }
    refuseDeclared('product', product.id)
    await keepDimensions(product)
    const now = clock.now()
    let wasKnown = false
    await change((versions) => {
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
      if (wasKnown && !gives(given, 'plans')) return draft.changes()
      for (const [position, plan] of plans.entries()) draft.setPlan(product.id, plan, { position, from: now })
      for (const { body } of versions.plans.filter((version) => version.product === product.id))
        if (!plans.some(({ id }) => id === body.id)) draft.retirePlan(product.id, body.id)
      return draft.changes()
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
        const others = plansToCome(product, versions).filter((plan) => plan.id !== id)
        const plan = reader.plan(withId(body, id), { ...product, plans: others })
        checkCount(`plans of ${product.id}`, others.length + 1, PLANS_MAX)
        checkCount(`versions of plan ${id}`, planVersions(versions, product.id, id).length, VERSIONS_MAX)
        const before = planVersions(versions, product.id, id).at(-1)
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
        if (planVersions(versions, product.id, id).length === 0)
          throw new DomainError('plan.not_found', `${product.id} has no plan ${id}`)
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
    async putProduct(name, given, actor) {
      const { id } = await knownProduct(name)
      refuseDeclared('product', id)
      return (await setProduct(withId(given, id), actor, () => {})).product
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

/** As they are going to be when all that is decided has come; without those that are retired. */
function plansToCome({ id, plans }: Product, versions: CatalogVersions): readonly Plan[] {
  const newest = new Map(plans.map((plan) => [plan.id, plan]))
  for (const version of versions.plans) if (version.product === id) newest.set(version.body.id, version.body)
  return [...newest.values()].filter(({ isRetired }) => !isRetired)
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
  for (const [position, plan] of plans.entries())
    draft.setPlan(known.product, plan, { position, from: END_OF_TIME })
  const added = draft.changes()
  return added.products.length === 0 && added.plans.length === 0
}

function checkUnique(product: Product, others: readonly Product[]): void {
  for (const other of others) {
    if (other.id === product.id) continue
    const names = [other.id, other.productCode]
    const taken = names.includes(product.id)
      ? `id ${product.id}`
      : names.includes(product.productCode)
        ? `product code ${product.productCode}`
        : other.listing === product.listing
          ? `listing ${product.listing}`
          : undefined
    if (taken !== undefined)
      throw new DomainError(
        'product.exists',
        `the ${taken} is that of product ${other.id}: choose another one`,
      )
  }
}

/** Also of what was never counted yet: another node may be counting it this moment. */
function keepVersions(product: Product, versions: CatalogVersions): void {
  const catalog = createProductCatalog([product])
  for (const { body } of productVersions(versions, product.id))
    for (const dimension of body.dimensions) {
      const { key, scale, aggregation } = dimension
      try {
        checkDimension(
          { product: product.id, dimension: key, scale, aggregation, per: aggregatedPer(dimension) },
          catalog,
        )
      } catch (error) {
        throw fixed(error)
      }
    }
}

function fixed(error: unknown): unknown {
  return error instanceof DomainError && error.code === 'ledger.dimension_changed'
    ? new DomainError('dimension.fixed', error.message.replace('the configuration says', 'the request says'))
    : error
}
