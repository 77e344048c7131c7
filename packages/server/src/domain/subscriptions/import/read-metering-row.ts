import { readJsonLayers } from './read-entitlement.ts'
import { isObject } from './read-table.ts'
import { readAnyTime, sniffIdentifier } from './read-values.ts'
import { type RowProblem, readAttributes, type SourceRow } from './source-row.ts'
import type { SubscriberIdentity } from './subscriber.ts'

/** One use of one dimension, as a row notes it. */
export interface NotedUsage {
  readonly dimension: string
  /** A decimal. */
  readonly quantity: string
}

/**
 * What became of a row at AWS.
 *
 * - `pending`: never sent
 * - `taken`: AWS answered each of its dimensions with success
 * - `unknown`: nobody can tell; sending it again could bill it twice
 */
export type MeteringFate = 'pending' | 'taken' | 'unknown'

/** One row of the old system's metering table. */
export interface MeteringRow {
  readonly where: string
  /** Its partition key as it came. */
  readonly customer: string
  readonly identity: Partial<SubscriberIdentity>
  /** Its sort key as it came: with the customer, its name for good. */
  readonly stamp: string
  /** ms */
  readonly time: number
  readonly usage: readonly NotedUsage[]
  readonly fate: MeteringFate
  /** Of an unknown fate: why. */
  readonly reason: string | undefined
  /** When it was sent, by AWS's echo, ms. */
  readonly sentAt: number | undefined
}

const DECIMAL = /^\d{1,21}(\.\d{1,20})?$/

/**
 * A row of the sample's `AWSMarketplaceMeteringRecords`, or of a table in its manner.
 *
 * A row that waits (`metering_pending`) was never sent: the sample takes the mark away with AWS's answer, whatever it
 * was. Tables with `meteringPending` are another program's, whose mark stays when AWS has taken the usage: of those
 * rows nobody can tell.
 */
export function readMeteringRow(row: SourceRow): MeteringRow | RowProblem {
  const { where } = row
  const read = readAttributes(row)
  const customer = read.text('customerIdentifier')
  const identifier = customer === undefined ? undefined : sniffIdentifier(customer)
  if (customer === undefined || identifier === undefined)
    return { where, reason: 'names no buyer that can be read (customerIdentifier)' }
  const stamp = read.text('createTimestamp', 'timestamp')
  const time = readAnyTime(stamp)
  if (stamp === undefined || time === undefined)
    return { where, reason: `has no time that can be read (create_timestamp ${stamp ?? 'is missing'})` }
  const usage = readUsage(read.value('dimensionUsage'))
  if ('reason' in usage) return { where, reason: usage.reason }

  const response = read.value('meteringResponse')
  const isPending = read.flag('meteringPending') === true
  const fate =
    isPending && response === undefined && read.flag('meteringFailed') !== true
      ? pendingFate(row)
      : answeredFate(usage.usage, read.flag('meteringFailed'), response, isPending)
  return {
    where,
    customer,
    identity: {
      ...(identifier.kind === 'license' && { licenseArn: identifier.value }),
      ...(identifier.kind === 'account' && { customerAwsAccountId: identifier.value }),
      ...(identifier.kind === 'customer' && { customerIdentifier: identifier.value }),
    },
    stamp,
    time,
    usage: usage.usage,
    ...fate,
  }
}

type Fate = Pick<MeteringRow, 'fate' | 'reason' | 'sentAt'>

function unknown(reason: string, sentAt?: number | undefined): Fate {
  return { fate: 'unknown', reason, sentAt }
}

function pendingFate({ attributes }: SourceRow): Fate {
  if (Object.hasOwn(attributes, 'meteringPending'))
    return unknown('waits by a mark that its publisher leaves standing when AWS has taken the usage')
  return { fate: 'pending', reason: undefined, sentAt: undefined }
}

/** AWS's answer, which the sample keeps as JSON text, and an error as JSON text within JSON text. */
function answeredFate(
  usage: readonly NotedUsage[],
  failed: boolean | undefined,
  response: unknown,
  isPending: boolean,
): Fate {
  if (isPending) return unknown('waits and has an answer at once')
  if (response === undefined) return unknown('was sent, and has no answer')
  const answer = readJsonLayers(response)
  if (!isObject(answer)) return unknown('was sent, and its answer cannot be read')
  const results = Array.isArray(answer.Results) ? answer.Results.filter(isObject) : undefined
  if (results === undefined) {
    const code = [answer.code, answer.name, answer.__type].find((text) => typeof text === 'string')
    return unknown(`was sent, and AWS or the network answered ${code ?? 'with an error'}`)
  }
  const sentAt = results
    .map((result) => readAnyTime(recordOf(result).Timestamp))
    .find((time) => time !== undefined)
  const unprocessed = (Array.isArray(answer.UnprocessedRecords) ? answer.UnprocessedRecords : []).filter(
    isObject,
  )
  for (const { dimension, quantity } of usage) {
    if (unprocessed.some((record) => record.Dimension === dimension))
      return unknown(
        `${dimension} was left unprocessed by AWS and not sent again: most likely never billed`,
        sentAt,
      )
    const own = results.filter((result) => recordOf(result).Dimension === dimension)
    const statuses = [...new Set(own.map(({ Status: status }) => String(status)))]
    if (own.length === 0) return unknown(`${dimension} is not in AWS's answer`, sentAt)
    if (statuses.some((status) => status !== 'Success'))
      return unknown(`${dimension} was answered ${statuses.join(' and ').slice(0, 60)}`, sentAt)
    // The sample adds up the rows that it sends: what AWS took is this row's usage at least.
    const taken = own.reduce((sum, result) => sum + Number(recordOf(result).Quantity ?? 0), 0)
    if (!(taken >= Number(quantity))) return unknown(`AWS took ${taken} of ${quantity} ${dimension}`, sentAt)
  }
  return failed === true
    ? unknown('is marked as failed, although AWS answered success', sentAt)
    : { fate: 'taken', reason: undefined, sentAt }
}

function recordOf(result: Record<string, unknown>): Record<string, unknown> {
  return isObject(result.UsageRecord) ? result.UsageRecord : {}
}

function readUsage(value: unknown): { readonly usage: readonly NotedUsage[] } | { readonly reason: string } {
  const list = typeof value === 'string' ? readJsonLayers(value) : value
  if (!Array.isArray(list)) return { reason: 'has no usage that can be read (dimension_usage)' }
  const usage: NotedUsage[] = []
  for (const item of list) {
    const { dimension, value: amount } = isObject(item) ? item : {}
    const quantity = typeof amount === 'number' ? String(amount) : amount
    if (
      typeof dimension !== 'string' ||
      dimension === '' ||
      typeof quantity !== 'string' ||
      !DECIMAL.test(quantity)
    )
      return { reason: 'notes usage without a dimension or with a quantity that is none' }
    usage.push({ dimension, quantity })
  }
  return { usage }
}
