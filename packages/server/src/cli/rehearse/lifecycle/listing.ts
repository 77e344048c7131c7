import type { SimulatedProduct } from '@tollkeeper/simulator'
import type { Plan } from '../../../domain/plans/plan.ts'
import type { Product } from '../../../domain/products/product.ts'
import { toSimulated } from '../../commands/dev.ts'
import { CliError } from '../../output.ts'

/**
 * How AWS Marketplace would list a product: its own metering identity, pricing and dimensions.
 *
 * @throws {CliError} for one that could not be listed
 */
export function toListing(product: Product, serverUrl: string): SimulatedProduct {
  const listing = toSimulated(product, serverUrl)
  if (listing.dimensions.length > 0) return listing
  throw new CliError(
    product.pricing === 'contract'
      ? `product ${product.id} has no plan with \`grantedBy\`: say what its contract grants`
      : `product ${product.id} has no dimensions: say what is counted`,
  )
}

/** What a buyer of a plan accepts: so many units of all that the plan is about, and nothing else. */
export function quantitiesOf(
  { dimensions }: SimulatedProduct,
  plan: Plan | undefined,
  units: number,
): Record<string, number> {
  const wanted = [plan?.grantedBy, ...(plan?.included ?? []).map(({ per }) => per)]
  const entitled = dimensions.filter(({ types }) => types?.includes('Entitled'))
  return Object.fromEntries(entitled.map(({ key }) => [key, wanted.includes(key) ? units : 0]))
}
