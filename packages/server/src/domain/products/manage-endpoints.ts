import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import { checkCount, VERSIONS_MAX } from './catalog-limits.ts'
import type { CatalogStore } from './catalog-store.ts'
import { productVersions } from './catalog-versions.ts'
import { draftCatalog } from './draft-catalog.ts'
import { ENDPOINTS_MAX, type Endpoint } from './endpoint.ts'
import { type LiveCatalog, productsAt } from './live-catalog.ts'
import type { Product } from './product.ts'

/** What a seller changes of a product's endpoints without a restart, also of a product that configuration declares. */
export interface ManageEndpoints {
  /**
   * Registers an endpoint, or changes one. The same again changes nothing.
   *
   * @throws {DomainError} `product.not_found`, `endpoint.declared`, `request.invalid`
   */
  putEndpoint(
    product: string,
    given: { readonly id: string; readonly body: unknown },
    actor: string,
  ): Promise<{ readonly endpoint: Endpoint; readonly created: boolean }>
  /**
   * @returns what it was
   * @throws {DomainError} `product.not_found`, `endpoint.not_found`, `endpoint.declared`
   */
  removeEndpoint(product: string, id: string, actor: string): Promise<Endpoint>
}

export function createManageEndpoints(deps: {
  readonly catalog: LiveCatalog
  readonly reader: { endpoint(id: string, given: unknown): Endpoint }
  readonly knownProduct: (name: string) => Promise<Product>
  readonly change: CatalogStore['change']
  /** What declares products, for messages. */
  readonly configuration: string
  readonly clock: Pick<Clock, 'now'>
}): ManageEndpoints {
  const { catalog, reader, knownProduct, configuration, clock } = deps

  function refuseDeclared({ id: product }: Product, id: string): void {
    const declared = catalog.declared.find((one) => one.id === product)
    if (!declared?.endpoints.some((endpoint) => endpoint.id === id)) return
    throw new DomainError(
      'endpoint.declared',
      `endpoint ${id} of ${product} is declared in ${configuration}: change it there`,
      { details: { declaredIn: configuration } },
    )
  }

  /** @param change - of the product's endpoints as they are in the ledger */
  async function change(
    { id }: Product,
    actor: string,
    change: (known: readonly Endpoint[]) => readonly Endpoint[],
  ): Promise<void> {
    const now = clock.now()
    await deps.change((versions) => {
      const product = productsAt(catalog.declared, versions, now).find((one) => one.id === id)
      if (product === undefined) throw new DomainError('product.not_found', 'no such product here')
      checkCount(`versions of ${id}`, productVersions(versions, id).length, VERSIONS_MAX)
      const isDeclared = catalog.declared.some((one) => one.id === id)
      const draft = draftCatalog(versions, { actor, origin: isDeclared ? 'config' : 'api', now })
      const { plans: _, planVersions: __, ...body } = product
      draft.setProduct({ ...body, endpoints: change(body.endpoints) })
      return draft.changes()
    })
  }

  return {
    async putEndpoint(name, { id, body }, actor) {
      const product = await knownProduct(name)
      refuseDeclared(product, id)
      const endpoint = reader.endpoint(id, body)
      let created = false
      await change(product, actor, (known) => {
        created = !known.some((one) => one.id === id)
        checkCount(`endpoints of ${product.id}`, known.length + (created ? 1 : 0), ENDPOINTS_MAX)
        return created ? [...known, endpoint] : known.map((one) => (one.id === id ? endpoint : one))
      })
      return { endpoint, created }
    },
    async removeEndpoint(name, id, actor) {
      const product = await knownProduct(name)
      refuseDeclared(product, id)
      let removed: Endpoint | undefined
      await change(product, actor, (known) => {
        removed = known.find((one) => one.id === id)
        return known.filter((one) => one.id !== id)
      })
      if (removed === undefined)
        throw new DomainError('endpoint.not_found', `${product.id} has no endpoint ${id}`)
      return removed
    },
  }
}
