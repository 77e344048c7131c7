import type { CatalogOrigin } from '../plans/plan-version.ts'

/** An address at which a product serves its users. */
export interface Endpoint {
  /** Unique within the product, chosen by the seller. */
  readonly id: string
  readonly url: string
  /** Where it says how it is; undefined: nobody asks. */
  readonly healthUrl: string | undefined
  /** How often it is asked, ms. */
  readonly everyMs: number
  /** How long an answer may take, ms. */
  readonly timeoutMs: number
  /** So many failures in a row make it down. */
  readonly downAfter: number
  /** It may be on a private network, and speak plain HTTP. Only configuration says so. */
  readonly allowPrivate: boolean
  /** `config`: configuration declares it, and it is changed there alone. */
  readonly origin: CatalogOrigin
}

/** More would not be looked at. */
export const ENDPOINTS_MAX = 20

/** Those that configuration declares, then those that the API added beside them. */
export function joinEndpoints(
  declared: readonly Endpoint[],
  known: readonly Endpoint[] = [],
): readonly Endpoint[] {
  const ids = new Set(declared.map(({ id }) => id))
  return [...declared, ...known.filter(({ id, origin }) => origin === 'api' && !ids.has(id))]
}
