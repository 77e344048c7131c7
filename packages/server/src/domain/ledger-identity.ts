import { DomainError } from './error.ts'
import type { ProductCatalog } from './products/product.ts'
import type { LedgerMode } from './stores.ts'
import { aggregatedPer } from './usage/aggregation.ts'

/** What a ledger is called in messages, and what another one would be: a file, a database, a table. */
export interface LedgerName {
  readonly name: string
  readonly kind: 'file' | 'database' | 'table'
}

/** @throws {DomainError} `ledger.half_copied` where a copy into it has not come to its end */
export function checkFilled(ledger: LedgerName, filling: { readonly from: string } | undefined): void {
  if (filling === undefined) return
  throw new DomainError(
    'ledger.half_copied',
    `the ledger at ${ledger.name} is half filled from ${filling.from}: run \`tollkeeper db copy\` again to its end, or name another store`,
  )
}

/** @throws {DomainError} `ledger.mode_mismatch`: a ledger is simulated, shadow or live for good */
export function checkMode(ledger: LedgerName, mode: string, wanted: LedgerMode): void {
  if (mode === wanted) return
  throw new DomainError(
    'ledger.mode_mismatch',
    `the ledger at ${ledger.name} is ${mode} for good; set \`mode: ${mode}\`, or give \`store.url\` another ${ledger.kind} for ${wanted}`,
  )
}

/** @throws {DomainError} `ledger.mode_mismatch`: a ledger is of one seller's account */
export function checkAccount(ledger: LedgerName, account: string, wanted: string): void {
  if (account === wanted) return
  throw new DomainError(
    'ledger.mode_mismatch',
    `the ledger at ${ledger.name} is of AWS account ${account}, the configuration of ${wanted}`,
  )
}

/** What a dimension is counted in since its first event. */
export interface CountedDimension {
  readonly product: string
  readonly dimension: string
  readonly scale: number
  readonly aggregation: string
  readonly per: string | undefined
}

/**
 * What was counted in cents cannot go on in dollars, and a month's unique users would be billed again as a day's. A
 * dimension that configuration no longer has keeps what it was.
 *
 * @throws {DomainError} `ledger.dimension_changed`
 */
export function checkDimension(counted: CountedDimension, catalog: ProductCatalog): void {
  const dimension = catalog.find(counted.product)?.dimensions.find(({ key }) => key === counted.dimension)
  if (dimension === undefined) return
  for (const [what, before, now] of [
    ['scale', counted.scale, dimension.scale],
    ['aggregation', counted.aggregation, dimension.aggregation],
    ['per', counted.per, aggregatedPer(dimension)],
  ] as const) {
    if (before === now) continue
    throw new DomainError(
      'ledger.dimension_changed',
      `${counted.product}/${counted.dimension} is counted with ${what} ${before}, the configuration says ${now}: a dimension keeps it; add a new dimension instead`,
    )
  }
}
