import type { Product } from '../../products/product.ts'
import type { AgreementService, AgreementSummary } from '../agreement-service.ts'
import { eventsFromAgreement } from '../events-from-agreement.ts'
import type { ReceiveEvent } from '../receive-event.ts'
import {
  type ImportDeps,
  type ImportReport,
  type ImportSource,
  importSubscribers,
} from './import-subscribers.ts'
import { subscribersOfAgreements } from './subscribers-of-agreements.ts'

/**
 * Brings in the buyers that AWS itself names: every agreement of each product whose `productId` the configuration says.
 *
 * What AWS says of an imported agreement is kept beside it, as if it had been notified, so that renewals and ends that
 * come later find what they belong to.
 *
 * @throws {DomainError} `marketplace.unavailable`
 */
export async function importAgreements(
  deps: ImportDeps & { readonly agreements: AgreementService; readonly receive: ReceiveEvent },
  metering: ImportSource['metering'],
  options: Parameters<typeof importSubscribers>[2],
  now: number,
): Promise<ImportReport> {
  const products = (options.product === undefined ? deps.catalog.list() : [options.product]).filter(
    ({ productId }) => productId !== undefined,
  )
  const found = new Map<string, { agreement: AgreementSummary; product: Product }>()
  const parts: ReturnType<typeof subscribersOfAgreements>[] = []
  for (const product of products) {
    const agreements: AgreementSummary[] = []
    const { productId } = product
    for await (const page of deps.agreements.searchAgreements({ productId })) agreements.push(...page)
    for (const agreement of agreements)
      found.set(`agreement ${agreement.agreementId}`, { agreement, product })
    parts.push(subscribersOfAgreements(agreements, product, now))
  }
  const source = {
    subscribers: parts.flatMap(({ subscribers }) => subscribers),
    problems: parts.flatMap(({ problems }) => problems),
    metering,
  }
  const report = await importSubscribers(deps, source, options, now)
  if (options.dryRun) return report
  for (const { where } of report.imported) {
    const { agreement, product } = found.get(where) ?? {}
    if (agreement === undefined || product === undefined) continue
    const { productCode } = product
    for (const event of eventsFromAgreement(agreement, { productCode, now })) await deps.receive(event)
  }
  return report
}
