import type { SubscriptionReference } from '../subscriptions/subscription.ts'
import type { UsageReport } from './ingest-usage.ts'
import { readTime } from './read-time.ts'

/** Characters, of ids and names of any kind. */
export const NAME_LENGTH_MAX = 255
export const SOURCE_LENGTH_MAX = 1_024
export const VALUE_LENGTH_MAX = 1_024
export const QUANTITY_LENGTH_MAX = 40

/** Why something is not an event, and which field says so. */
export interface Unreadable {
  readonly field: string
  readonly reason: string
}

export const NOBODY_NAMED: SubscriptionReference = {}

const TIME_REASON = 'must be an RFC 3339 time with a zone, such as 2026-11-21T07:00:00Z'
const BUYER_REASON =
  'name the buyer by one of subscriptionId, tenantId, licenseArn, customerAWSAccountId, customerIdentifier'

/** No control characters, no broken surrogates: not every store can keep them, and two ids must not become one. */
const PRINTABLE = /^[^\p{Cc}\p{Cs}]+$/u

/**
 * Reads one event of the API's own format. Written by hand, since this is the hottest loop of the door: a quarter
 * of a compiled schema's time, and it names the field in words. A test holds it to the published schema.
 *
 * An unknown field is refused: a misspelt `tags` or `tenantId` would silently change who pays.
 */
export function readUsageEvent(body: unknown): UsageReport | Unreadable {
  if (!isObject(body)) return unreadable('', 'must be a JSON object')
  let dimension: string | undefined
  let id: string | undefined
  let time: number | undefined
  let quantity: number | string | undefined
  let product: string | undefined
  let source: string | undefined
  let value: string | undefined
  let tags: Readonly<Record<string, string>> | undefined
  let reference: SubscriptionReference = NOBODY_NAMED
  for (const field in body) {
    const given = body[field]
    switch (field) {
      case 'dimension':
        if (!isText(given, NAME_LENGTH_MAX)) return badText(field, NAME_LENGTH_MAX)
        dimension = given
        break
      case 'correlationId':
        if (!isText(given, NAME_LENGTH_MAX)) return badText(field, NAME_LENGTH_MAX)
        id = given
        break
      case 'usageTime':
        time = typeof given === 'string' ? readTime(given) : undefined
        if (time === undefined) return unreadable(field, TIME_REASON)
        break
      case 'quantity':
        if (!isQuantity(given)) return badQuantity(field)
        quantity = given
        break
      case 'product':
        if (!isText(given, NAME_LENGTH_MAX)) return badText(field, NAME_LENGTH_MAX)
        product = given
        break
      case 'source':
        if (!isText(given, SOURCE_LENGTH_MAX)) return badText(field, SOURCE_LENGTH_MAX)
        source = given
        break
      case 'value':
        if (!isText(given, VALUE_LENGTH_MAX)) return badText(field, VALUE_LENGTH_MAX)
        value = given
        break
      case 'tags':
        if (!isTags(given)) return badTags(field)
        tags = given
        break
      default: {
        const named = readBuyerField(field, given)
        if (named === undefined) return unreadable(field.slice(0, 60), 'is not a field of an event')
        if ('reason' in named) return named
        if (reference !== NOBODY_NAMED) return unreadable(field, BUYER_REASON)
        reference = named
      }
    }
  }
  if (dimension === undefined) return unreadable('dimension', 'is required')
  if (id === undefined) return unreadable('correlationId', 'is required: the same on every retry')
  if (time === undefined) return unreadable('usageTime', `is required: it ${TIME_REASON}`)
  return { product, reference, dimension, id, source, time, quantity, value, tags }
}

const CLOUD_EVENTS = 'application/cloudevents+json'

/**
 * Reads one CloudEvents 1.0 event: `id` and `source` are the event's id, `time` its time, `data.dimension` or
 * `type` its dimension, and the buyer is named in `data` or by `subject`, which is then the tenant id. What else
 * an event or its data holds is the sender's own.
 */
export function readCloudEvent(body: unknown): UsageReport | Unreadable {
  if (!isObject(body)) return unreadable('', 'must be a JSON object')
  const { specversion, id, source, type, time, subject } = body
  if (specversion !== '1.0') return unreadable('specversion', `must be "1.0" in ${CLOUD_EVENTS}`)
  if (!isText(id, NAME_LENGTH_MAX)) return badText('id', NAME_LENGTH_MAX)
  if (!isText(source, SOURCE_LENGTH_MAX)) return badText('source', SOURCE_LENGTH_MAX)
  if (!isText(type, NAME_LENGTH_MAX)) return badText('type', NAME_LENGTH_MAX)
  const timeMs = typeof time === 'string' ? readTime(time) : undefined
  if (timeMs === undefined) return unreadable('time', TIME_REASON)
  if (subject !== undefined && !isText(subject, NAME_LENGTH_MAX)) return badText('subject', NAME_LENGTH_MAX)
  if (body.data_base64 !== undefined) return unreadable('data_base64', 'data must be JSON')
  const data = body.data ?? {}
  if (!isObject(data)) return unreadable('data', 'must be a JSON object')
  const { dimension = type, quantity, value, product, tags } = data
  if (!isText(dimension, NAME_LENGTH_MAX)) return badText('data.dimension', NAME_LENGTH_MAX)
  if (quantity !== undefined && !isQuantity(quantity)) return badQuantity('data.quantity')
  if (value !== undefined && !isText(value, VALUE_LENGTH_MAX)) return badText('data.value', VALUE_LENGTH_MAX)
  if (product !== undefined && !isText(product, NAME_LENGTH_MAX))
    return badText('data.product', NAME_LENGTH_MAX)
  if (tags !== undefined && !isTags(tags)) return badTags('data.tags')
  let reference = NOBODY_NAMED
  for (const field of BUYER_FIELDS) {
    if (data[field] === undefined) continue
    const named = readBuyerField(field, data[field])
    if (named === undefined || 'reason' in named)
      return unreadable(`data.${field}`, named?.reason ?? BUYER_REASON)
    if (reference !== NOBODY_NAMED) return unreadable(`data.${field}`, BUYER_REASON)
    reference = named
  }
  if (reference === NOBODY_NAMED && subject !== undefined) reference = { tenantId: subject }
  return { product, reference, dimension, id, source, time: timeMs, quantity, value, tags }
}

/** What an event that cannot be read calls itself, so that its sender can find it. */
export function idOf(body: unknown): string {
  if (!isObject(body)) return ''
  const id = body.correlationId ?? body.id
  return typeof id === 'string' ? id.slice(0, NAME_LENGTH_MAX) : ''
}

export function isText(value: unknown, lengthMax: number): value is string {
  return typeof value === 'string' && value.length <= lengthMax && PRINTABLE.test(value)
}

export function isQuantity(value: unknown): value is number | string {
  return typeof value === 'number' || (typeof value === 'string' && value.length <= QUANTITY_LENGTH_MAX)
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const BUYER_FIELDS = [
  'subscriptionId',
  'tenantId',
  'licenseArn',
  'customerAWSAccountId',
  'customerIdentifier',
] as const

/** @returns undefined where the field does not name a buyer */
function readBuyerField(field: string, given: unknown): SubscriptionReference | Unreadable | undefined {
  const known = BUYER_FIELDS.find((name) => name === field)
  if (known === undefined) return undefined
  if (!isText(given, NAME_LENGTH_MAX)) return badText(field, NAME_LENGTH_MAX)
  switch (known) {
    case 'subscriptionId':
      return { subscriptionId: given }
    case 'tenantId':
      return { tenantId: given }
    case 'licenseArn':
      return { licenseArn: given }
    case 'customerAWSAccountId':
      return { customerAwsAccountId: given }
    case 'customerIdentifier':
      return { customerIdentifier: given }
  }
}

function isTags(value: unknown): value is Readonly<Record<string, string>> {
  return isObject(value) && Object.values(value).every((tag) => typeof tag === 'string')
}

function badText(field: string, lengthMax: number): Unreadable {
  return unreadable(field, `must be a text of 1 to ${lengthMax} printable characters`)
}

function badQuantity(field: string): Unreadable {
  return unreadable(field, 'must be a number of at most 15 digits, or a decimal string')
}

function badTags(field: string): Unreadable {
  return unreadable(field, 'must be an object whose values are strings')
}

function unreadable(field: string, reason: string): Unreadable {
  return { field, reason }
}
