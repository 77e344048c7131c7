import { DomainError, type DomainErrorCode } from '../domain/error.ts'
import type { ServiceKey } from '../domain/keys/service-key.ts'
import type { ProductCatalog } from '../domain/products/product.ts'

/**
 * What was found, if this key may see it. Another product's is not found, in the very words of what does not exist:
 * a stranger does not learn which of the two it is.
 *
 * @throws {DomainError} `missing`
 */
export async function findVisible<T extends { readonly product: string }>(
  key: ServiceKey | undefined,
  missing: DomainErrorCode,
  what: string,
  get: () => Promise<T>,
): Promise<T> {
  const found = await get().catch((error: unknown) => {
    if (error instanceof DomainError && error.code === missing) return undefined
    throw error
  })
  if (found === undefined || !visibleProduct(key, found.product))
    throw new DomainError(missing, `no such ${what}`)
  return found
}

function visibleProduct(key: ServiceKey | undefined, product: string): boolean {
  return key?.product === undefined || key.product === product
}

/**
 * The product that a list is cut down to: the one asked for, else the one that the key is bound to.
 *
 * @throws {DomainError} `product.not_found` for an unknown product and for another one's alike
 */
export function productFilter(
  catalog: ProductCatalog,
  key: ServiceKey | undefined,
  asked: string | undefined,
): string | undefined {
  if (asked === undefined) return key?.product
  const product = catalog.find(asked)
  if (product === undefined || !visibleProduct(key, product.id)) {
    throw new DomainError('product.not_found', 'no such product here')
  }
  return product.id
}
