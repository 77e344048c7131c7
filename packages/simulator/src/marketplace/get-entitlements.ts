import { AwsError } from './aws-error.ts'
import { licenseTail } from './identifiers.ts'
import { isEntitled } from './product.ts'
import { readList, readObject, readOptionalInteger, readOptionalString } from './shapes.ts'
import type { MarketplaceContext } from './state.ts'
import { isGranting, type SubscriptionRecord } from './subscription.ts'

export interface Entitlement {
  readonly ProductCode: string
  readonly Dimension: string
  readonly CustomerIdentifier?: string
  readonly CustomerAWSAccountId: string
  readonly LicenseArn?: string
  readonly Value: { readonly IntegerValue: number }
  /** Epoch seconds. */
  readonly ExpirationDate: number
}

export interface GetEntitlementsAnswer {
  readonly Entitlements: readonly Entitlement[]
  readonly NextToken?: string
}

/** Most entitlements of a page, and the default (API model 2017-01-11, botocore 1.43.107). */
const PAGE_MAX = 25
const FILTERS = ['CUSTOMER_IDENTIFIER', 'DIMENSION', 'CUSTOMER_AWS_ACCOUNT_ID', 'LICENSE_ARN'] as const
type FilterKey = (typeof FILTERS)[number]
type Filter = Partial<Record<FilterKey, readonly string[]>>

/**
 * What contracts grant now. Values are or-ed within a filter key and and-ed across keys. An agreement grants from
 * when it is licensed until it ends; a suspended one grants nothing. No match is an empty list, not an error.
 *
 * @throws {AwsError} `InvalidParameterException`, `SerializationException`
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-entitlements_GetEntitlements.html | GetEntitlements}
 */
export function getEntitlements(context: MarketplaceContext, input: unknown): GetEntitlementsAnswer {
  const { state } = context
  const request = readObject(input, 'input')
  const productCode = readOptionalString(request.ProductCode, 'productCode') ?? ''
  if (!state.products.has(productCode))
    throw badParameter(`ProductCode ${productCode} is not one of this seller's`)
  const filter = parseFilter(request.Filter)
  const pageSize = readOptionalInteger(request.MaxResults, 'maxResults') ?? PAGE_MAX
  if (pageSize < 1 || pageSize > PAGE_MAX) throw badParameter(`MaxResults must be 1 to ${PAGE_MAX}`)
  const query = JSON.stringify([productCode, filter])
  const nextToken = readOptionalString(request.NextToken, 'nextToken')
  if (nextToken === undefined && state.settings.emptyEntitlementPage) {
    return { Entitlements: [], NextToken: formatPageToken(0, query) }
  }
  const from = nextToken === undefined ? 0 : parsePageToken(nextToken, query)
  const all = selectEntitlements(context, productCode, filter)
  const end = from + pageSize
  return {
    Entitlements: all.slice(from, end),
    ...(end < all.length && { NextToken: formatPageToken(end, query) }),
  }
}

/** The product a request is for, as far as it says; used to aim faults at one product. Never throws. */
export function findProductOfEntitlements(input: unknown): string | undefined {
  const code: unknown = (input as { ProductCode?: unknown } | null | undefined)?.ProductCode
  return typeof code === 'string' ? code : undefined
}

function selectEntitlements(
  { state, clock }: MarketplaceContext,
  productCode: string,
  filter: Filter,
): Entitlement[] {
  const product = state.products.get(productCode)
  if (product === undefined) return []
  const now = clock.now()
  const { subscriptions } = state
  const candidates =
    filter.LICENSE_ARN?.flatMap((arn) => subscriptions.byLicense(arn)) ??
    filter.CUSTOMER_AWS_ACCOUNT_ID?.flatMap((account) => subscriptions.byAccount(productCode, account)) ??
    filter.CUSTOMER_IDENTIFIER?.flatMap((customer) => subscriptions.byCustomer(productCode, customer)) ??
    subscriptions.list()
  const dimensions = product.dimensions.filter(
    (dimension) => isEntitled(product, dimension) && (filter.DIMENSION?.includes(dimension.key) ?? true),
  )
  return [...new Set(candidates)]
    .filter((subscription) => grants(subscription, productCode, filter, now))
    .flatMap((subscription) =>
      dimensions
        .filter(({ key }) => (subscription.quantities[key] ?? 0) > 0)
        .map(({ key }) => toEntitlement(subscription, key)),
    )
}

function grants(subscription: SubscriptionRecord, productCode: string, filter: Filter, now: number): boolean {
  const { LICENSE_ARN, CUSTOMER_AWS_ACCOUNT_ID, CUSTOMER_IDENTIFIER } = filter
  const tail = licenseTail(subscription.licenseArn ?? '')
  return (
    subscription.productCode === productCode &&
    isGranting(subscription, now) &&
    (LICENSE_ARN?.some((arn) => licenseTail(arn) === tail) ?? true) &&
    (CUSTOMER_AWS_ACCOUNT_ID?.includes(subscription.accountId) ?? true) &&
    (CUSTOMER_IDENTIFIER?.includes(subscription.customerIdentifier ?? '') ?? true)
  )
}

function toEntitlement(subscription: SubscriptionRecord, dimension: string): Entitlement {
  const { productCode, accountId, licenseArn, customerIdentifier, end, quantities } = subscription
  return {
    ProductCode: productCode,
    Dimension: dimension,
    ...(customerIdentifier !== undefined && { CustomerIdentifier: customerIdentifier }),
    CustomerAWSAccountId: accountId,
    ...(licenseArn !== undefined && { LicenseArn: licenseArn }),
    Value: { IntegerValue: quantities[dimension] ?? 0 },
    ExpirationDate: Math.floor((end?.endedAt ?? NEVER) / 1000),
  }
}

/** How AWS writes "no end": the year 9999. */
const NEVER = Date.UTC(9999, 0, 1)

function parseFilter(value: unknown): Filter {
  if (value === undefined || value === null) return {}
  const filter: Filter = {}
  for (const [key, values] of Object.entries(readObject(value, 'filter'))) {
    if (!isFilterKey(key)) throw badParameter(`Filter ${key} is not one of ${FILTERS.join(', ')}`)
    const list = readList(values, `filter.${key}`).map(
      (item) => readOptionalString(item, `filter.${key}`) ?? '',
    )
    if (list.length === 0) throw badParameter(`Filter ${key} needs at least one value`)
    filter[key] = list
  }
  if (filter.CUSTOMER_IDENTIFIER !== undefined && filter.CUSTOMER_AWS_ACCOUNT_ID !== undefined) {
    throw badParameter('Filters CUSTOMER_IDENTIFIER and CUSTOMER_AWS_ACCOUNT_ID exclude each other')
  }
  return filter
}

function isFilterKey(key: string): key is FilterKey {
  return (FILTERS as readonly string[]).includes(key)
}

/** Opaque to callers; holds the query, so that a token used with another query is noticed. */
function formatPageToken(offset: number, query: string): string {
  return Buffer.from(JSON.stringify([offset, query])).toString('base64url')
}

function parsePageToken(token: string, query: string): number {
  const [, offset = '', rest = ''] =
    /^\[(\d{1,9}),(.*)\]$/.exec(Buffer.from(token, 'base64url').toString()) ?? []
  if (offset === '' || rest !== JSON.stringify(query)) throw badParameter('NextToken is not of this query')
  return Number(offset)
}

function badParameter(message: string): AwsError {
  return new AwsError('InvalidParameterException', message)
}
