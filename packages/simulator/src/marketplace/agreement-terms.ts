import { RENEWALS_MAX } from './agreement-acceptance.ts'
import { toSeconds } from './agreement-view.ts'
import { add, type Decimal, formatDecimal, multiply, parseDecimal } from './decimal.ts'
import { isEntitled, isMetered, type SimulatedDimension, type SimulatedProduct } from './product.ts'
import type { MarketplaceContext } from './state.ts'
import type { SubscriptionRecord, Term } from './subscription.ts'

const CURRENCY = 'USD'
const NOTHING: Decimal = { units: 0n, scale: 0 }

/** The terms that the buyer accepted, as members of AWS's union. */
export function termsOf(context: MarketplaceContext, record: SubscriptionRecord): object[] {
  const product = context.state.products.get(record.productCode)
  if (product === undefined) return []
  const { term, freeTrial } = record
  const id = (type: string) => context.identifiers.termId(`${record.offerId} ${type}`)
  const member = (type: string, content: object) => ({
    [`${type.slice(0, 1).toLowerCase()}${type.slice(1)}`]: { type, id: id(type), ...content },
  })
  const pricing = freeTrial
    ? [member('FreeTrialPricingTerm', trialOf(product, record))]
    : pricingOf(product, record).map(([type, content]) => member(type, content))
  const isFutureDated = record.startAt > record.acceptedAt
  return [
    member('LegalTerm', { documents: [{ type: 'StandardEula', version: '2022-07-14' }] }),
    member('SupportTerm', { refundPolicy: 'Refunds on request, within the first 48 hours.' }),
    ...pricing,
    ...(term !== undefined && !freeTrial ? [member('RenewalTerm', renewalOf(term))] : []),
    ...(term !== undefined && !freeTrial
      ? [
          member('ValidityTerm', {
            agreementDuration: durationOf(term),
            ...(isFutureDated && {
              agreementStartDate: toSeconds(record.startAt),
              agreementEndDate: toSeconds(term.endsAt),
            }),
          }),
        ]
      : []),
  ]
}

/** What the buyer committed to: of a contract its price for the term, else nothing. */
export function priceOf({ state }: MarketplaceContext, record: SubscriptionRecord): string {
  const product = state.products.get(record.productCode)
  if (product === undefined || record.freeTrial) return '0'
  const prices = entitledOf(product).map(({ key, price }) =>
    multiply(parseDecimal(price ?? '0') ?? NOTHING, BigInt(record.quantities[key] ?? 0)),
  )
  return formatDecimal(prices.reduce(add, NOTHING))
}

function pricingOf(product: SimulatedProduct, record: SubscriptionRecord): [string, object][] {
  const entitled = entitledOf(product)
  const metered = product.dimensions.filter((dimension) => isMetered(product, dimension))
  const terms: [string, object][] = []
  if (entitled.length > 0 && record.term !== undefined) {
    const duration = durationOf(record.term)
    terms.push([
      'ConfigurableUpfrontPricingTerm',
      {
        currencyCode: CURRENCY,
        rateCards: [
          {
            selector: { type: 'Duration', value: duration },
            constraints: { multipleDimensionSelection: 'Allowed', quantityConfiguration: 'Allowed' },
            rateCard: rateCard(entitled),
          },
        ],
        configuration: {
          selectorValue: duration,
          dimensions: entitled
            .map(({ key }) => ({ dimensionKey: key, dimensionValue: record.quantities[key] ?? 0 }))
            .filter(({ dimensionValue }) => dimensionValue > 0),
        },
      },
    ])
  }
  if (metered.length > 0) {
    terms.push([
      'UsageBasedPricingTerm',
      { currencyCode: CURRENCY, rateCards: [{ rateCard: rateCard(metered) }] },
    ])
  }
  return terms
}

function trialOf(product: SimulatedProduct, { term, quantities }: SubscriptionRecord): object {
  const grants = product.dimensions.map(({ key }) => {
    const maxQuantity = quantities[key]
    return { dimensionKey: key, ...(maxQuantity !== undefined && { maxQuantity }) }
  })
  return { ...(term !== undefined && { duration: durationOf(term) }), grants }
}

function renewalOf({ autoRenew }: Term): object {
  return { configuration: { enableAutoRenew: autoRenew }, maxRenewals: RENEWALS_MAX }
}

/** ISO 8601, as AWS writes lengths: `P12M`, `P30D`. */
function durationOf({ length }: Term): string {
  return 'months' in length ? `P${length.months}M` : `P${length.days}D`
}

function rateCard(dimensions: readonly SimulatedDimension[]): object[] {
  return dimensions.map(({ key, price }) => ({ dimensionKey: key, price: price ?? '0' }))
}

function entitledOf(product: SimulatedProduct): SimulatedDimension[] {
  return product.dimensions.filter((dimension) => isEntitled(product, dimension))
}
