import { DomainError } from '../error.ts'
import { baseUnitsPerUnit, type ProductCatalog } from '../products/product.ts'
import { holdDecision, NO_HISTORY } from './close-due-buckets.ts'
import type { BucketKey, UsageStore } from './usage-store.ts'

export type HoldVerdict =
  | { readonly kind: 'release' }
  | { readonly kind: 'waive' }
  | { readonly kind: 'lower'; readonly units: bigint }

/**
 * A person decides on a held hour: bill all of it, less of it, or nothing. Audited.
 *
 * @throws {DomainError} `bucket.not_found`, `bucket.not_held`, `hold.quantity_too_large`
 */
export async function decideHold(
  deps: { usage: UsageStore; catalog: ProductCatalog },
  key: BucketKey,
  verdict: HoldVerdict,
  actor: string,
  now: number,
): Promise<void> {
  const held = (await deps.usage.listHeld(undefined, 10_000)).find(
    ({ bucket }) =>
      bucket.subscription === key.subscription &&
      bucket.dimension === key.dimension &&
      bucket.hour === key.hour,
  )
  if (held === undefined)
    throw new DomainError(
      'bucket.not_held',
      'this hour is not held: `tollkeeper usage hold list` shows those that are',
    )
  const keep = keptUnits(deps.catalog, held.bucket, verdict)
  const [outcome] = await deps.usage.close(
    [key],
    now,
    holdDecision(deps.catalog, keep, actor, now),
    NO_HISTORY,
  )
  if (typeof outcome === 'object') throw outcome.error
  if (outcome !== 'closed') throw new DomainError('bucket.not_held', 'this hour was decided on meanwhile')
}

function keptUnits(
  catalog: ProductCatalog,
  bucket: BucketKey & { product: string; quantity: bigint },
  verdict: HoldVerdict,
): bigint {
  if (verdict.kind === 'release') return bucket.quantity
  if (verdict.kind === 'waive') return 0n
  const dimension = catalog.find(bucket.product)?.dimensions.find(({ key }) => key === bucket.dimension)
  if (dimension === undefined)
    throw new DomainError('dimension.not_found', `${bucket.dimension} is not configured`)
  const keep = verdict.units * baseUnitsPerUnit(dimension)
  if (keep > bucket.quantity) {
    throw new DomainError(
      'hold.quantity_too_large',
      `only ${bucket.quantity / baseUnitsPerUnit(dimension)} units were measured; a hold can be lowered, not raised`,
    )
  }
  return keep
}
