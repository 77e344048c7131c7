import { notOneOf } from '../domain/not-one-of.ts'
import type { Product } from '../domain/products/product.ts'
import { licenseTail } from '../domain/subscriptions/subscription.ts'
import { problemAt } from './check-schema.ts'
import type { ConfigProblem } from './config-error.ts'
import type { SubscriptionSection } from './schema.ts'
import type { Source } from './source.ts'

/** A buyer who subscribed before Tollkeeper was there. */
export interface DeclaredSubscription {
  /** Our product id. */
  readonly product: string
  readonly plan: string | undefined
  readonly tenantId: string | undefined
  readonly licenseArn: string | undefined
  readonly customerAwsAccountId: string | undefined
  readonly customerIdentifier: string | undefined
  readonly agreementId: string | undefined
  /** From when usage is billed, ms. */
  readonly accessStart: number
}

export function resolveSubscriptions(
  sections: readonly SubscriptionSection[],
  products: readonly Product[],
  source: Source,
): { subscriptions: DeclaredSubscription[]; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = []
  const identities = new Set<string>()
  const subscriptions = sections.map((section, index) => {
    const report = (key: string, message: string) =>
      problems.push(problemAt(source, ['subscriptions', index, key], message))
    const product = products.find(({ id }) => id === section.product)
    const ids = products.map(({ id }) => id)
    if (!product) report('product', notOneOf('the id of a product', section.product, ids))
    if (product && section.plan !== undefined) {
      const plans = product.plans.map(({ id }) => id)
      if (!plans.includes(section.plan)) {
        report('plan', notOneOf(`a plan of product \`${product.id}\``, section.plan, plans))
      }
    }
    const needed =
      product?.metering === 'license'
        ? (['licenseArn', 'customerAwsAccountId'] as const)
        : product
          ? (['customerIdentifier'] as const)
          : []
    for (const key of needed) {
      if (section[key] === undefined) {
        report(
          key,
          `is missing: product \`${section.product}\` is metered by it (metering: ${product?.metering})`,
        )
      }
    }
    const buyer =
      product?.metering === 'license'
        ? section.licenseArn && licenseTail(section.licenseArn)
        : section.customerIdentifier
    const identity = JSON.stringify([section.product, buyer])
    if (buyer !== undefined && identities.has(identity)) {
      const key = product?.metering === 'license' ? 'licenseArn' : 'customerIdentifier'
      report(key, 'must be unique in its product: this buyer is declared twice, and would be billed twice')
    }
    identities.add(identity)

    const accessStart = timeOf(section.accessStart)
    if (accessStart === undefined)
      report('accessStart', 'must be a time that exists, such as `2026-11-01T00:00:00Z`')
    return {
      product: section.product,
      plan: section.plan,
      tenantId: section.tenantId,
      licenseArn: section.licenseArn,
      customerAwsAccountId: section.customerAwsAccountId,
      customerIdentifier: section.customerIdentifier,
      agreementId: section.agreementId,
      accessStart: accessStart ?? 0,
    }
  })
  return { subscriptions, problems }
}

/** JavaScript takes 31 February for 3 March: a date that does not come back as it was is none. */
function timeOf(text: string): number | undefined {
  const day = text.slice(0, 10)
  const midnight = Date.parse(`${day}T00:00:00Z`)
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return undefined
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : time
}
