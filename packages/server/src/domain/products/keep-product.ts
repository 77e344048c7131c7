import { DomainError } from '../error.ts'
import { checkDimension } from '../ledger-identity.ts'
import { aggregatedPer } from '../usage/aggregation.ts'
import { type CatalogVersions, type ProductBody, productVersions } from './catalog-versions.ts'
import { createProductCatalog, type Product } from './product.ts'

/** Whatever AWS sends under a name, and whoever comes by it, is the product's that has it: another one's may be waiting. */
const NAMES = ['productCode', 'productId', 'listing'] as const

/** @throws {DomainError} `key.bound_to_product` */
export function keepNames(asked: Product, known: ProductBody): void {
  const changed = NAMES.find((name) => asked[name] !== known[name])
  if (changed === undefined) return
  throw new DomainError(
    'key.bound_to_product',
    `${changed} must stay ${known[changed] ?? 'left out'}: a key of all products changes it, not one that is bound to a product`,
  )
}

/** @throws {DomainError} `product.exists` */
export function checkUnique(product: Product, others: readonly Product[]): void {
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

/**
 * Dimensions stay what they are counted in, also those that were never counted yet: another node may be counting this moment.
 *
 * @throws {DomainError} `dimension.fixed`
 */
export function keepVersions(product: Product, versions: CatalogVersions): void {
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

/** In the words of a request. */
export function fixed(error: unknown): unknown {
  return error instanceof DomainError && error.code === 'ledger.dimension_changed'
    ? new DomainError('dimension.fixed', error.message.replace('the configuration says', 'the request says'))
    : error
}
