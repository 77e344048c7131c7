import { AwsError } from './aws-error.ts'
import { licenseTail } from './identifiers.ts'
import { hourOf } from './ledger.ts'
import { checkAgreementStart, checkMeteringWindow } from './metering-window.ts'
import { isMetered, type SimulatedProduct } from './product.ts'
import { isRequired, readList, readObject, readOptionalString, violates } from './shapes.ts'
import type { AcceptedUsage, MarketplaceContext } from './state.ts'
import { type SubscriptionRecord, takesUsage } from './subscription.ts'
import { chooseSubscription } from './subscription-book.ts'
import {
  checkAllocations,
  parseUsageRecord,
  RECORDS_MAX,
  sameAllocations,
  toWire,
  type UsageRecord,
} from './usage-record.ts'

export interface BatchMeterUsageAnswer {
  readonly Results: readonly UsageRecordResult[]
  readonly UnprocessedRecords: readonly Record<string, unknown>[]
}

export interface UsageRecordResult {
  readonly UsageRecord: Record<string, unknown>
  readonly MeteringRecordId?: string
  readonly Status: 'Success' | 'CustomerNotSubscribed' | 'DuplicateRecord'
}

export interface BatchOptions {
  readonly region: string
  /** Picks records that a fault leaves unprocessed. Asked once for each, in order. */
  readonly leaveUnprocessed?: () => boolean
}

/** One record of a call, with the subscription it is for, if its buyer is known. */
interface Line {
  readonly record: UsageRecord
  readonly subscription: SubscriptionRecord | undefined
}

/**
 * Takes a batch as AWS does. Judged in this order: field shapes, region, product and license (one product a call),
 * dimensions, timestamps, tags and allocations; the first fault found fails the request, and leaves no trace.
 * Then each record gets its verdict: subscription, deduplication on the hour, `Success`.
 *
 * AWS's own order of validation is UNVERIFIED.
 *
 * @throws {AwsError} any request-level error of the operation
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-metering_BatchMeterUsage.html | BatchMeterUsage}
 */
export function batchMeterUsage(
  context: MarketplaceContext,
  input: unknown,
  options: BatchOptions,
): BatchMeterUsageAnswer {
  const { settings } = context.state
  const now = context.clock.now()
  const request = readObject(input, 'input')
  const productCode = readOptionalString(request.ProductCode, 'productCode')
  if (productCode !== undefined && productCode.length > 255) {
    throw violates('productCode', 'Member must have length less than or equal to 255')
  }
  if (request.UsageRecords === undefined || request.UsageRecords === null) throw isRequired('usageRecords')
  const list = readList(request.UsageRecords, 'usageRecords')
  if (list.length > RECORDS_MAX) {
    throw new AwsError(
      settings.tooManyRecordsError,
      `1 validation error detected: Value at 'usageRecords' failed to satisfy constraint: Member must have length less than or equal to ${RECORDS_MAX}`,
    )
  }
  const records = list.map(parseUsageRecord)
  checkRegion(options.region)

  const lines = resolveLines(context, productCode, records, now)
  const product = productOfCall(context, productCode, lines)
  if (product !== undefined) for (const record of records) checkDimension(product, record)
  for (const { record, subscription } of lines) {
    checkMeteringWindow(record.timestamp, now, settings)
    if (subscription !== undefined) checkAgreementStart(record.timestamp, subscription.startAt, settings)
  }
  for (const record of records) checkAllocations(record)

  return judgeLines(context, lines, options, now)
}

/**
 * The product a call is for, as far as its request says; used to aim faults at one product. Never throws.
 */
export function findProductOfBatch(context: MarketplaceContext, input: unknown): string | undefined {
  if (typeof input !== 'object' || input === null) return undefined
  const { ProductCode, UsageRecords } = input as Record<string, unknown>
  if (typeof ProductCode === 'string') return ProductCode
  if (!Array.isArray(UsageRecords)) return undefined
  for (const record of UsageRecords.slice(0, RECORDS_MAX)) {
    const licenseArn: unknown = record?.LicenseArn
    if (typeof licenseArn !== 'string') continue
    const [subscription] = context.state.subscriptions.byLicense(licenseArn)
    if (subscription !== undefined) return subscription.productCode
  }
  return undefined
}

function resolveLines(
  context: MarketplaceContext,
  productCode: string | undefined,
  records: readonly UsageRecord[],
  now: number,
): Line[] {
  const { state } = context
  if (productCode !== undefined && !state.products.has(productCode)) {
    throw new AwsError(
      'InvalidProductCodeException',
      `The product code ${productCode} is not one of this seller's`,
    )
  }
  const byIdentifier = records.some((record) => record.customerIdentifier !== undefined)
  if (byIdentifier && records.some((record) => record.accountId !== undefined)) {
    throw new AwsError(
      'InvalidCustomerIdentifierException',
      'CustomerIdentifier and CustomerAWSAccountId exclude each other in a request',
    )
  }
  return records.map((record) => {
    const subscription =
      record.licenseArn === undefined
        ? resolveLegacy(context, productCode, record, now)
        : resolveLicense(context, productCode, record, record.licenseArn, now)
    return { record, subscription }
  })
}

function resolveLicense(
  { state }: MarketplaceContext,
  productCode: string | undefined,
  record: UsageRecord,
  licenseArn: string,
  now: number,
): SubscriptionRecord | undefined {
  if (productCode !== undefined && state.settings.productCodeWithLicense === 'reject') {
    throw new AwsError('InvalidLicenseException', 'ProductCode must be omitted when LicenseArn is given')
  }
  if (record.accountId === undefined) {
    throw new AwsError(
      'InvalidCustomerIdentifierException',
      'CustomerAWSAccountId is required with LicenseArn',
    )
  }
  const candidates = state.subscriptions.byLicense(licenseArn)
  const subscription = chooseSubscription(candidates, record.timestamp, now)
  if (subscription === undefined) {
    if (state.settings.unknownCustomer === 'status') return undefined
    throw new AwsError('InvalidLicenseException', `The license ${licenseArn} is unknown`)
  }
  if (subscription.accountId !== record.accountId) {
    throw new AwsError(
      'InvalidLicenseException',
      `The license ${licenseArn} is not of account ${record.accountId}`,
    )
  }
  if (productCode !== undefined && subscription.productCode !== productCode) {
    throw new AwsError(
      'InvalidLicenseException',
      `The license ${licenseArn} is not for product ${productCode}`,
    )
  }
  return subscription
}

function resolveLegacy(
  { state }: MarketplaceContext,
  productCode: string | undefined,
  record: UsageRecord,
  now: number,
): SubscriptionRecord | undefined {
  if (productCode === undefined) {
    throw new AwsError('InvalidProductCodeException', 'A usage record without LicenseArn needs a ProductCode')
  }
  if (state.products.get(productCode)?.metering === 'license') {
    throw new AwsError(
      'InvalidProductCodeException',
      `Product ${productCode} is metered by license: omit ProductCode, and give LicenseArn and CustomerAWSAccountId`,
    )
  }
  const { accountId, customerIdentifier } = record
  if (accountId === undefined && customerIdentifier === undefined) {
    throw new AwsError('InvalidCustomerIdentifierException', 'A usage record names no customer')
  }
  const candidates =
    accountId !== undefined
      ? state.subscriptions.byAccount(productCode, accountId)
      : state.subscriptions.byCustomer(productCode, customerIdentifier ?? '')
  const subscription = chooseSubscription(candidates, record.timestamp, now)
  if (subscription === undefined && state.settings.unknownCustomer === 'exception') {
    throw new AwsError(
      'InvalidCustomerIdentifierException',
      `The customer ${accountId ?? customerIdentifier} is unknown`,
    )
  }
  return subscription
}

function productOfCall(
  { state }: MarketplaceContext,
  productCode: string | undefined,
  lines: readonly Line[],
): SimulatedProduct | undefined {
  const codes = new Set(lines.flatMap(({ subscription }) => subscription?.productCode ?? []))
  if (productCode !== undefined) codes.add(productCode)
  if (codes.size > 1) {
    throw new AwsError('InvalidLicenseException', 'The licenses of a request must all be for one product')
  }
  const [code] = codes
  return code === undefined ? undefined : state.products.get(code)
}

function checkDimension(product: SimulatedProduct, record: UsageRecord): void {
  const dimension = product.dimensions.find(({ key }) => key === record.dimension)
  if (dimension === undefined || !isMetered(product, dimension)) {
    throw new AwsError(
      'InvalidUsageDimensionException',
      `The usage dimension ${record.dimension} does not match one of the metered dimensions of product ${product.productCode}`,
    )
  }
}

function judgeLines(
  context: MarketplaceContext,
  lines: readonly Line[],
  options: BatchOptions,
  now: number,
): BatchMeterUsageAnswer {
  const { state, identifiers } = context
  const { settings } = state
  const accepted: AcceptedUsage[] = []
  const takenInCall = new Map<string, number>()
  const results: UsageRecordResult[] = []
  const unprocessed: Record<string, unknown>[] = []

  function verdict(record: UsageRecord, subscription: SubscriptionRecord): UsageRecordResult {
    const meter = meterKey(record, subscription, settings.regionalDedup ? options.region : 'any')
    const hour = hourOf(record.timestamp)
    const hourKey = `${meter} ${hour}`
    const sequence = takenInCall.get(hourKey) ?? state.ledger.findHour(meter, hour)
    if (sequence !== undefined) {
      const first = accepted[sequence - state.ledger.size] ?? state.ledger.at(sequence)
      const identical =
        first.quantity === record.quantity && sameAllocations(first.allocations, record.allocations)
      return {
        UsageRecord: toWire(record),
        MeteringRecordId: identifiers.meteringRecordId(sequence),
        Status: identical && settings.identicalResend === 'success' ? 'Success' : 'DuplicateRecord',
      }
    }
    const next = state.ledger.size + accepted.length
    takenInCall.set(hourKey, next)
    const { timestamp, dimension, quantity, allocations } = record
    accepted.push({
      subscriptionId: subscription.id,
      meter,
      dimension,
      timestamp,
      quantity,
      ...(allocations !== undefined && { allocations }),
    })
    return {
      UsageRecord: toWire(record),
      MeteringRecordId: identifiers.meteringRecordId(next),
      Status: 'Success',
    }
  }

  for (const { record, subscription } of lines) {
    if (options.leaveUnprocessed?.()) unprocessed.push(toWire(record))
    else if (subscription !== undefined && isSubscribed(context, record, subscription, now)) {
      results.push(verdict(record, subscription))
    } else results.push(notSubscribed(context, record))
  }
  if (accepted.length > 0)
    context.commit({ kind: 'usage', region: options.region, at: now, records: accepted })
  return { Results: results, UnprocessedRecords: unprocessed }
}

function isSubscribed(
  { state }: MarketplaceContext,
  record: UsageRecord,
  subscription: SubscriptionRecord,
  now: number,
): boolean {
  if (!takesUsage(subscription, now)) return false
  const end = subscription.end?.deprovisionedAt
  return state.settings.usageAfterEnd === 'accept' || end === undefined || record.timestamp <= end
}

function notSubscribed({ state, identifiers }: MarketplaceContext, record: UsageRecord): UsageRecordResult {
  const { timestamp, dimension, licenseArn, accountId, customerIdentifier } = record
  const name = [timestamp, dimension, licenseArn, accountId, customerIdentifier].join(' ')
  return {
    UsageRecord: toWire(record),
    ...(state.settings.meteringRecordIdWhenNotSubscribed && { MeteringRecordId: identifiers.uuid(name) }),
    Status: 'CustomerNotSubscribed',
  }
}

/**
 * AWS's deduplication scope without the hour. Legacy usage has one identity per product and customer, whether the
 * record names the account or the customer identifier, and whichever of their subscriptions it fell to.
 */
function meterKey(record: UsageRecord, subscription: SubscriptionRecord, region: string): string {
  const identity =
    record.licenseArn !== undefined
      ? licenseTail(record.licenseArn)
      : `${subscription.productCode} ${subscription.accountId}`
  return `${region} ${identity} ${record.dimension}`
}

/** Regions where the metering service takes SaaS usage (AWS docs "metering-regions", read November 2026). */
const REGIONS = new Set(
  (
    'us-east-1 us-east-2 us-west-1 us-west-2 ca-central-1 sa-east-1 eu-west-1 eu-west-2 eu-west-3 eu-central-1 ' +
    'eu-central-2 eu-north-1 eu-south-1 eu-south-2 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 ' +
    'ap-southeast-3 ap-southeast-4 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-east-1 me-south-1 me-central-1 ' +
    'af-south-1 il-central-1 cn-northwest-1'
  ).split(' '),
)

/** @throws {AwsError} `DisabledApiException` where AWS has no such service */
export function checkRegion(region: string): void {
  if (!REGIONS.has(region))
    throw new AwsError('DisabledApiException', `The API is not enabled in region ${region}`)
}
