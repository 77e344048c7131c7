import { validationError } from './agreement-errors.ts'
import { AGREEMENT_TYPE, ascending, descending, readCatalog, takePage } from './agreement-input.ts'
import {
  type EndTimeBehavior,
  endTimeBehavior,
  endTimeOf,
  initialAgreementId,
  lastUpdateOf,
  partiesOf,
  proposalOf,
  toSeconds,
} from './agreement-view.ts'
import { licenseTail } from './identifiers.ts'
import { type JsonObject, readList, readObject, readOptionalString } from './shapes.ts'
import type { MarketplaceContext } from './state.ts'
import { agreementStatus, type SubscriptionRecord } from './subscription.ts'

/** Most filters of a search (API model 2020-03-01, botocore 1.43.107). */
const FILTERS_MAX = 10
const STATUSES = [
  'ACTIVE',
  'ARCHIVED',
  'CANCELLED',
  'EXPIRED',
  'RENEWED',
  'REPLACED',
  'ROLLED_BACK',
  'SUPERSEDED',
  'TERMINATED',
]
const PRODUCT_TYPES = [
  'AmiProduct',
  'ContainerProduct',
  'SaaSProduct',
  'ProfessionalServicesProduct',
  'MachineLearningProduct',
]
const SORTS = ['EndTime', 'StartTime', 'LastUpdateTime']
/** What a buyer may combine, besides `AgreementType` and the bounds of the end time. */
const ACCEPTOR_COMBINATIONS = [
  '',
  'Status',
  'ResourceIdentifier',
  'ResourceIdentifier Status',
  'ResourceType',
  'OfferId',
  'OfferId Status',
  'OfferSetId',
  'OfferSetId Status',
]
const END_TIMES = ['AfterEndTime', 'BeforeEndTime']

/** What a filter is compared with. */
interface Candidate {
  readonly record: SubscriptionRecord
  readonly productId: string
  readonly status: string
  readonly endTime: number | undefined
  readonly lastUpdateTime: number
  readonly behavior: EndTimeBehavior | undefined
}

interface Filter {
  accepts(value: string): boolean
  matches(candidate: Candidate, value: string): boolean
}

const FILTERS: Readonly<Record<string, Filter>> = {
  PartyType: oneOf(['Proposer', 'Acceptor'], () => true),
  AgreementType: oneOf([AGREEMENT_TYPE], () => true),
  ResourceIdentifier: text(({ productId }) => productId),
  ResourceType: oneOf(PRODUCT_TYPES, (_, value) => value === 'SaaSProduct'),
  AcceptorAccountId: text(({ record }) => record.accountId),
  OfferId: text(({ record }) => record.offerId),
  OfferSetId: text(() => undefined),
  Status: oneOf(STATUSES, ({ status }, value) => status === value),
  BeforeEndTime: time(({ endTime }, value) => endTime !== undefined && endTime < value),
  AfterEndTime: time(({ endTime }, value) => endTime !== undefined && endTime > value),
  BeforeStartTime: time(({ record }, value) => record.startAt < value),
  AfterStartTime: time(({ record }, value) => record.startAt > value),
  BeforeLastUpdateTime: time(({ lastUpdateTime }, value) => lastUpdateTime < value),
  AfterLastUpdateTime: time(({ lastUpdateTime }, value) => lastUpdateTime > value),
  EndTimeBehaviorType: oneOf(
    ['RENEW', 'REPLACE', 'EXPIRE'],
    ({ behavior }, value) => behavior?.type === value,
  ),
  EndTimeBehaviorReasonCode: oneOf(
    ['PROPOSER_RENEW_OPTED_OUT', 'ACCEPTOR_RENEW_OPTED_OUT', 'NO_RENEWAL_TERM', 'RENEWAL_LIMIT_EXHAUSTED'],
    ({ behavior }, value) => behavior?.reasonCode === value,
  ),
  InitialAgreementId: text(({ record }) => initialAgreementId(record)),
  LicenseArn: {
    accepts: (value) => licenseTail(value) !== undefined,
    matches: ({ record }, value) =>
      record.licenseArn !== undefined && licenseTail(record.licenseArn) === licenseTail(value),
  },
}

/**
 * The seller's agreements: those it proposed, so not what channel partners sold. As an acceptor it has none.
 * Pay-as-you-go agreements have no end time, and are sorted as if they ended last.
 *
 * @throws {AwsError} `ValidationException`, `SerializationException`
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-agreements_SearchAgreements.html | SearchAgreements}
 */
export function searchAgreements(context: MarketplaceContext, input: unknown): object {
  const request = readObject(input, 'input')
  readCatalog(request)
  const filters = parseFilters(request.filters)
  const isProposer = filters.get('PartyType') === 'Proposer'
  const { sortBy, isDescending } = parseSort(request.sort, isProposer)
  const candidates = isProposer ? proposedBySeller(context) : []
  const sorted = candidates
    .filter((candidate) =>
      [...filters].every(([name, value]) => FILTERS[name]?.matches(candidate, value) === true),
    )
    .map((candidate) => ({
      item: candidate,
      position: {
        key: sortKey(candidate, sortBy),
        number: context.state.subscriptions.indexOf(candidate.record.id),
      },
    }))
    .sort((a, b) => a.position.key - b.position.key || a.position.number - b.position.number)
  if (isDescending) sorted.reverse()
  const query = [[...filters], sortBy, isDescending]
  const { items, nextToken } = takePage(request, query, sorted, isDescending ? descending : ascending)
  return {
    agreementViewSummaries: items.map((candidate) => toSummary(context, candidate)),
    ...(nextToken !== undefined && { nextToken }),
  }
}

function proposedBySeller(context: MarketplaceContext): Candidate[] {
  const now = context.clock.now()
  return context.state.subscriptions
    .list()
    .filter(({ acceptedAt, channelPartner }) => acceptedAt <= now && channelPartner === undefined)
    .map((record) => ({
      record,
      productId: proposalOf(context, record).resources[0]?.id ?? '',
      status: agreementStatus(record, now),
      endTime: endTimeOf(record, now),
      lastUpdateTime: lastUpdateOf(record, now),
      behavior: endTimeBehavior(record, now),
    }))
}

function toSummary(context: MarketplaceContext, candidate: Candidate): object {
  const { record, status, endTime, lastUpdateTime, behavior } = candidate
  return {
    agreementId: record.agreementId,
    acceptanceTime: toSeconds(record.acceptedAt),
    startTime: toSeconds(record.startAt),
    endTime: endTime === undefined ? null : toSeconds(endTime),
    lastUpdateTime: toSeconds(lastUpdateTime),
    agreementType: AGREEMENT_TYPE,
    ...partiesOf(context, record),
    proposalSummary: proposalOf(context, record),
    status,
    entitlements: record.licenseArn === undefined ? [] : [{ licenseArn: record.licenseArn }],
    initialAgreementId: initialAgreementId(record),
    ...(behavior !== undefined && {
      endTimeBehaviorType: behavior.type,
      ...(behavior.reasonCode !== undefined && { endTimeBehaviorReasonCode: behavior.reasonCode }),
    }),
  }
}

function sortKey({ record, endTime, lastUpdateTime }: Candidate, sortBy: string): number {
  if (sortBy === 'StartTime') return record.startAt
  if (sortBy === 'LastUpdateTime') return lastUpdateTime
  return endTime ?? NEVER
}

/** How AWS writes "no end": the year 9999. */
const NEVER = Date.UTC(9999, 0, 1)

function parseFilters(value: unknown): Map<string, string> {
  const filters = new Map<string, string>()
  const list = value === undefined || value === null ? [] : readList(value, 'filters')
  if (list.length > FILTERS_MAX) throw unsupported(`at most ${FILTERS_MAX} filters`, 'INVALID_FILTERS')
  for (const [index, item] of list.entries()) {
    const [name, filterValue] = parseFilter(readObject(item, `filters.${index}`), `filters.${index}`)
    if (filters.has(name)) throw unsupported(`filter ${name} appears twice`, 'INVALID_FILTERS')
    filters.set(name, filterValue)
  }
  const partyType = filters.get('PartyType')
  if (partyType === undefined) throw unsupported('PartyType is required', 'MISSING_PARTY_TYPE')
  if (!filters.has('AgreementType')) throw unsupported('AgreementType is required', 'UNSUPPORTED_FILTERS')
  if (partyType === 'Acceptor') checkAcceptorFilters(filters)
  return filters
}

function parseFilter(filter: JsonObject, path: string): [string, string] {
  const name = readOptionalString(filter.name, `${path}.name`)
  if (name === undefined) throw unsupported('A filter needs a name', 'MISSING_FILTER_NAME')
  const rule = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined
  if (rule === undefined) throw unsupported(`There is no filter ${name}`, 'INVALID_FILTER_NAME')
  if (filter.values === undefined || filter.values === null) {
    throw unsupported(`Filter ${name} needs a value`, 'MISSING_FILTER_VALUES')
  }
  const values = readList(filter.values, `${path}.values`)
  const value = readOptionalString(values[0], `${path}.values.0`)
  if (values.length !== 1 || value === undefined || !rule.accepts(value)) {
    const reason =
      name === 'AgreementType' && values.length === 1 ? 'INVALID_AGREEMENT_TYPE' : 'INVALID_FILTER_VALUES'
    throw unsupported(`Filter ${name} needs exactly one value, of its kind`, reason)
  }
  return [name, value]
}

function checkAcceptorFilters(filters: ReadonlyMap<string, string>): void {
  const others = [...filters.keys()]
    .filter((name) => name !== 'PartyType' && name !== 'AgreementType' && !END_TIMES.includes(name))
    .sort()
  if (!ACCEPTOR_COMBINATIONS.includes(others.join(' '))) {
    throw unsupported(`An acceptor cannot combine ${others.join(', ')}`, 'UNSUPPORTED_FILTERS')
  }
}

function parseSort(value: unknown, isProposer: boolean): { sortBy: string; isDescending: boolean } {
  const sort = value === undefined || value === null ? {} : readObject(value, 'sort')
  const sortBy = readOptionalString(sort.sortBy, 'sort.sortBy') ?? 'EndTime'
  const sortOrder = readOptionalString(sort.sortOrder, 'sort.sortOrder') ?? 'ASCENDING'
  if (!SORTS.includes(sortBy) || (!isProposer && sortBy !== 'EndTime')) {
    throw validationError('INVALID_SORT_BY', 'sort.sortBy', `Cannot sort by ${sortBy}`)
  }
  if (sortOrder !== 'ASCENDING' && sortOrder !== 'DESCENDING') {
    throw validationError('INVALID_SORT_ORDER', 'sort.sortOrder', `There is no order ${sortOrder}`)
  }
  return { sortBy, isDescending: sortOrder === 'DESCENDING' }
}

function unsupported(message: string, reason: string) {
  return validationError(reason, 'filters', message)
}

function oneOf(values: readonly string[], matches: Filter['matches']): Filter {
  return { accepts: (value) => values.includes(value), matches }
}

function text(member: (candidate: Candidate) => string | undefined): Filter {
  return {
    accepts: (value) => value.length > 0 && value.length <= 255,
    matches: (candidate, value) => member(candidate) === value,
  }
}

function time(matches: (candidate: Candidate, epochMs: number) => boolean): Filter {
  return {
    accepts: (value) => /^\d{4}-\d\d-\d\d/.test(value) && !Number.isNaN(Date.parse(value)),
    matches: (candidate, value) => matches(candidate, Date.parse(value)),
  }
}
