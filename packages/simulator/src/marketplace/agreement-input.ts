import { agreementError, notFound, validationError } from './agreement-errors.ts'
import { type JsonObject, readOptionalInteger, readOptionalString } from './shapes.ts'
import type { MarketplaceContext } from './state.ts'
import type { SubscriptionRecord } from './subscription.ts'

/** Most results of a page, and the default (API model 2020-03-01, botocore 1.43.107). */
const PAGE_MAX = 50
const AGREEMENT_ID = /^[A-Za-z0-9_/-]{1,64}$/
export const CATALOG = 'AWSMarketplace'
export const AGREEMENT_TYPE = 'PurchaseAgreement'

/** @throws {AwsError} `ValidationException` with the reason `missing` or `invalid` */
export function readMatching(
  request: JsonObject,
  field: string,
  pattern: RegExp,
  reasons: { missing: string; invalid: string },
): string {
  const value = readOptionalString(request[field], field)
  if (value === undefined) throw validationError(reasons.missing, field, `${field} is required`)
  if (!pattern.test(value)) throw validationError(reasons.invalid, field, `${field} is invalid`)
  return value
}

export function readAgreementId(request: JsonObject): string {
  const reasons = { missing: 'MISSING_AGREEMENT_ID', invalid: 'INVALID_AGREEMENT_ID' }
  return readMatching(request, 'agreementId', AGREEMENT_ID, reasons)
}

/**
 * The agreement that a request names, if the seller is party to it. As the manufacturer of what a channel partner
 * sold it is not; which error AWS then gives is UNVERIFIED.
 *
 * @throws {AwsError} `ValidationException`, `ResourceNotFoundException`, `AccessDeniedException`
 */
export function getAgreement(context: MarketplaceContext, request: JsonObject): SubscriptionRecord {
  const agreementId = readAgreementId(request)
  const record = context.state.subscriptions.findAgreement(agreementId)
  if (record === undefined || record.acceptedAt > context.clock.now())
    throw notFound('Agreement', agreementId)
  if (record.channelPartner !== undefined) {
    throw agreementError('AccessDeniedException', `You are not party to agreement ${agreementId}`, {
      reason: 'INVALID_ACCESS',
    })
  }
  return record
}

/** The product a request is for, as far as it says; used to aim faults at one product. Never throws. */
export function findProductOfAgreement({ state }: MarketplaceContext, input: unknown): string | undefined {
  const id: unknown = (input as { agreementId?: unknown } | null | undefined)?.agreementId
  return typeof id === 'string' ? state.subscriptions.findAgreement(id)?.productCode : undefined
}

export function readCatalog(request: JsonObject): void {
  const catalog = readOptionalString(request.catalog, 'catalog')
  if (catalog !== undefined && catalog !== CATALOG) {
    throw validationError('INVALID_CATALOG', 'catalog', `catalog must be ${CATALOG}`)
  }
}

/** Where a page starts: after an item, told by its sort key and its number. */
export interface Position {
  readonly key: number
  readonly number: number
}

export interface Paged<Item> {
  readonly items: readonly Item[]
  readonly nextToken?: string
}

/**
 * One page of sorted items. The token names the last item shown, not a count, so that agreements that come or go
 * between two pages neither repeat nor hide another.
 *
 * @param query - what else the request asked: a token of another query is refused
 * @throws {AwsError} `ValidationException`
 */
export function takePage<Item>(
  request: JsonObject,
  query: unknown,
  sorted: readonly { readonly item: Item; readonly position: Position }[],
  isAfter: (candidate: Position, last: Position) => boolean,
): Paged<Item> {
  const size = readOptionalInteger(request.maxResults, 'maxResults') ?? PAGE_MAX
  if (size < 1 || size > PAGE_MAX) {
    throw validationError('INVALID_MAX_RESULTS', 'maxResults', `maxResults must be 1 to ${PAGE_MAX}`)
  }
  const token = readOptionalString(request.nextToken, 'nextToken')
  const last = token === undefined ? undefined : parseToken(token, query)
  const rest = last === undefined ? sorted : sorted.filter(({ position }) => isAfter(position, last))
  const page = rest.slice(0, size)
  const end = page.at(-1)?.position
  return {
    items: page.map(({ item }) => item),
    ...(end !== undefined && rest.length > size && { nextToken: formatToken(end, query) }),
  }
}

export const ascending = (candidate: Position, last: Position) =>
  candidate.key > last.key || (candidate.key === last.key && candidate.number > last.number)
export const descending = (candidate: Position, last: Position) => ascending(last, candidate)

function formatToken({ key, number }: Position, query: unknown): string {
  return Buffer.from(JSON.stringify([key, number, query])).toString('base64url')
}

function parseToken(token: string, query: unknown): Position {
  const [, key = '', number = '', rest = ''] =
    /^\[(-?\d{1,17}),(\d{1,12}),(.*)\]$/s.exec(Buffer.from(token, 'base64url').toString()) ?? []
  if (key === '' || rest !== JSON.stringify(query)) {
    throw validationError('INVALID_NEXT_TOKEN', 'nextToken', 'nextToken is not of this query')
  }
  return { key: Number(key), number: Number(number) }
}
