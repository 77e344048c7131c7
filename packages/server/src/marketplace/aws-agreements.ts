import { setTimeout as sleep } from 'node:timers/promises'
import type {
  ListAgreementCancellationRequestsCommandInput,
  MarketplaceAgreementClient,
  SearchAgreementsCommandInput,
  SendAgreementCancellationRequestCommandInput,
} from '@aws-sdk/client-marketplace-agreement'
import { DomainError } from '../domain/error.ts'
import type {
  AgreementFilter,
  AgreementService,
  AgreementSummary,
  AgreementTerms,
  CancellationRequest,
} from '../domain/subscriptions/agreement-service.ts'
import { licenseTail } from '../domain/subscriptions/subscription.ts'
import { awsError, parseJson } from './aws-answer.ts'
import { type AwsClientOptions, awsClientConfig, checkEndpoint, placeOf } from './aws-client.ts'
import { type Exchange, isRecord, WATCH_PLACE, type Watch } from './aws-exchange.ts'
import { exchangePatiently } from './aws-patience.ts'

export interface AwsAgreementsOptions extends AwsClientOptions {
  /** Between two calls of one kind, and before asking again, in parts of the usual: tests wait less. */
  readonly haste?: number
}

export interface AwsAgreements extends AgreementService {
  /** Closes the connections that are kept open between calls. */
  close(): void
}

/** The commercial Agreement API is served there alone. */
const REGION = 'us-east-1'
const CATALOG = 'AWSMarketplace'
/** Most in a page: agreements, cancellation requests. */
const PAGE = 50
/** A seller has fewer agreements than this many pages hold; a token that leads in circles ends here. */
const PAGES_MAX = 20_000

/**
 * Milliseconds between two calls: under AWS's quotas of 5, 5, 10 and 2 a second and account.
 *
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/userguide/agreement-service-quotas.html | quotas}, read November 2026
 */
const SPACING_MS = { search: 250, describe: 250, terms: 125, cancellation: 600 } as const
type CallKind = keyof typeof SPACING_MS

/** The year 9999, as AWS writes "no end" elsewhere. */
const NEVER = Date.UTC(9998, 0, 1)

type Send = (client: MarketplaceAgreementClient, watch: Watch, signal: AbortSignal) => Promise<unknown>

/**
 * AWS Marketplace's Agreement API through the AWS SDK, made when first needed. In shadow mode it reads, and asks no
 * buyer for anything.
 *
 * @throws {Error} where mode and endpoint do not fit: pretend and real never mix
 */
export function createAwsAgreements(options: AwsAgreementsOptions): AwsAgreements {
  const { mode, timeoutMs, haste = 1 } = options
  checkEndpoint(options, 'agreement')
  let made: Promise<MarketplaceAgreementClient> | undefined
  const clientOf = () => {
    made ??= createClient(options)
    return made
  }
  const turns = new Map<CallKind, number>()

  /** Calls of one kind begin one after the other. */
  async function takeTurn(kind: CallKind, signal: AbortSignal | undefined): Promise<void> {
    const now = Date.now()
    const at = Math.max(now, turns.get(kind) ?? now)
    turns.set(kind, at + SPACING_MS[kind] / haste)
    if (at > now) await wait(at - now, signal)
  }

  async function ask(
    kind: CallKind,
    operation: string,
    send: Send,
    signal: AbortSignal | undefined,
  ): Promise<Record<string, unknown>> {
    const client = await clientOf()
    const answer = await exchangePatiently(
      (watch, abortSignal) => send(client, watch, abortSignal),
      { where: placeOf(mode), timeoutMs, signal },
      { haste, before: () => takeTurn(kind, signal) },
    )
    const body = answer.kind === 'response' ? parseJson(answer.body) : undefined
    if (answer.kind === 'response' && answer.status >= 200 && answer.status < 300 && isRecord(body))
      return body
    throw toError(operation, answer, body)
  }

  return {
    async *searchAgreements(filter, signal) {
      let nextToken: string | undefined
      for (let page = 0; page < PAGES_MAX; page++) {
        const body = await ask('search', 'SearchAgreements', searching(filter, nextToken), signal)
        yield listOf(body.agreementViewSummaries).flatMap((summary) => toSummary(summary) ?? [])
        nextToken = textOf(body.nextToken)
        if (nextToken === undefined) return
      }
    },
    async describeAgreement(agreementId, signal) {
      const send: Send = async (client, watch, abortSignal) => {
        const { DescribeAgreementCommand } = await import('@aws-sdk/client-marketplace-agreement')
        const command = new DescribeAgreementCommand({ agreementId })
        command.middlewareStack.add(watch, WATCH_PLACE)
        return client.send(command, { abortSignal })
      }
      const summary = toSummary(await ask('describe', 'DescribeAgreement', send, signal))
      if (summary === undefined) throw unreadable('DescribeAgreement')
      return summary
    },
    async getAgreementTerms(agreementId, signal) {
      const terms: Record<string, unknown>[] = []
      let nextToken: string | undefined
      for (let page = 0; page < PAGES_MAX; page++) {
        const token = nextToken
        const send: Send = async (client, watch, abortSignal) => {
          const { GetAgreementTermsCommand } = await import('@aws-sdk/client-marketplace-agreement')
          const command = new GetAgreementTermsCommand({
            agreementId,
            ...(token !== undefined && { nextToken: token }),
          })
          command.middlewareStack.add(watch, WATCH_PLACE)
          return client.send(command, { abortSignal })
        }
        const body = await ask('terms', 'GetAgreementTerms', send, signal)
        terms.push(...listOf(body.acceptedTerms).filter(isRecord))
        nextToken = textOf(body.nextToken)
        if (nextToken === undefined) break
      }
      return toTerms(terms)
    },
    async requestCancellation({ agreementId, reasonCode, description, clientToken }, signal) {
      if (mode === 'shadow')
        throw new DomainError(
          'request.invalid',
          'shadow mode asks no buyer for a cancellation: set `mode: live`',
        )
      const input: SendAgreementCancellationRequestCommandInput = {
        agreementId,
        reasonCode,
        clientToken,
        ...(description !== undefined && { description }),
      }
      const send: Send = async (client, watch, abortSignal) => {
        const { SendAgreementCancellationRequestCommand } = await import(
          '@aws-sdk/client-marketplace-agreement'
        )
        const command = new SendAgreementCancellationRequestCommand(input)
        command.middlewareStack.add(watch, WATCH_PLACE)
        return client.send(command, { abortSignal })
      }
      const request = toRequest(await ask('cancellation', 'SendAgreementCancellationRequest', send, signal))
      if (request === undefined) throw unreadable('SendAgreementCancellationRequest')
      return request
    },
    async listCancellationRequests(agreementId, signal) {
      const requests: CancellationRequest[] = []
      let nextToken: string | undefined
      for (let page = 0; page < PAGES_MAX; page++) {
        const input: ListAgreementCancellationRequestsCommandInput = {
          partyType: 'Proposer',
          maxResults: PAGE,
          ...(agreementId !== undefined && { agreementId }),
          ...(nextToken !== undefined && { nextToken }),
        }
        const send: Send = async (client, watch, abortSignal) => {
          const { ListAgreementCancellationRequestsCommand } = await import(
            '@aws-sdk/client-marketplace-agreement'
          )
          const command = new ListAgreementCancellationRequestsCommand(input)
          command.middlewareStack.add(watch, WATCH_PLACE)
          return client.send(command, { abortSignal })
        }
        const body = await ask('cancellation', 'ListAgreementCancellationRequests', send, signal)
        requests.push(...listOf(body.items).flatMap((item) => toRequest(item) ?? []))
        nextToken = textOf(body.nextToken)
        if (nextToken === undefined) break
      }
      return requests
    },
    close() {
      made?.then((client) => client.destroy(), ignore)
      made = undefined
    },
  }
}

/** Importing the SDK takes longer than the rest of a start, so it waits for the first call. */
async function createClient(options: AwsAgreementsOptions): Promise<MarketplaceAgreementClient> {
  const { MarketplaceAgreementClient } = await import('@aws-sdk/client-marketplace-agreement')
  return new MarketplaceAgreementClient({ region: REGION, ...awsClientConfig(options, 'agreement') })
}

function searching(filter: AgreementFilter, nextToken: string | undefined): Send {
  const values: Record<string, string | undefined> = {
    PartyType: 'Proposer',
    AgreementType: 'PurchaseAgreement',
    ResourceIdentifier: filter.productId,
    AcceptorAccountId: filter.customerAwsAccountId,
    LicenseArn: filter.licenseArn,
    Status: filter.status,
    InitialAgreementId: filter.initialAgreementId,
    AfterLastUpdateTime:
      filter.updatedAfter === undefined ? undefined : new Date(filter.updatedAfter).toISOString(),
  }
  const input: SearchAgreementsCommandInput = {
    catalog: CATALOG,
    filters: Object.entries(values).flatMap(([name, value]) =>
      value === undefined ? [] : [{ name, values: [value] }],
    ),
    // What changes while pages are read comes last, and is not missed.
    sort: { sortBy: 'LastUpdateTime', sortOrder: 'ASCENDING' },
    maxResults: PAGE,
    ...(nextToken !== undefined && { nextToken }),
  }
  return async (client, watch, abortSignal) => {
    const { SearchAgreementsCommand } = await import('@aws-sdk/client-marketplace-agreement')
    const command = new SearchAgreementsCommand(input)
    command.middlewareStack.add(watch, WATCH_PLACE)
    return client.send(command, { abortSignal })
  }
}

function toError(operation: string, answer: Exchange, body: unknown): DomainError {
  if (answer.kind === 'failure') {
    return new DomainError(
      'marketplace.unavailable',
      `AWS Marketplace did not answer ${operation} (${answer.code}: ${answer.message})`,
      { details: { reason: answer.code } },
    )
  }
  const error = awsError(answer, body)
  const code = error?.code ?? `HTTP ${answer.status}`
  const said = error?.message ? `: ${error.message}` : ''
  if (/^(AccessDenied|UnauthorizedOperation|UnrecognizedClient|InvalidClientTokenId)/.test(code)) {
    return new DomainError(
      'marketplace.unavailable',
      `AWS does not permit aws-marketplace:${operation} (${code}${said}): see docs/iam.md for what the role needs`,
      { details: { reason: code, permitted: false } },
    )
  }
  if (
    /^(ValidationException|ConflictException|ResourceNotFoundException|ServiceQuotaExceededException)$/.test(
      code,
    )
  )
    return new DomainError('request.invalid', `AWS Marketplace refused ${operation} (${code}${said})`, {
      details: { reason: code },
    })
  return new DomainError(
    'marketplace.unavailable',
    `AWS Marketplace cannot be asked ${operation} (${code}${said})`,
    {
      details: { reason: code },
    },
  )
}

function unreadable(operation: string): DomainError {
  return new DomainError('marketplace.unavailable', `AWS Marketplace answered ${operation} without an id`, {
    details: { reason: 'unreadable' },
  })
}

/** Without id or status nothing can be said of it. */
function toSummary(value: unknown): AgreementSummary | undefined {
  if (!isRecord(value)) return undefined
  const agreementId = textOf(value.agreementId)
  const status = textOf(value.status)
  if (agreementId === undefined || status === undefined) return undefined
  const proposal = isRecord(value.proposalSummary) ? value.proposalSummary : {}
  const endsAt = timeOf(value.endTime)
  const licenses = listOf(value.entitlements).flatMap((item) =>
    isRecord(item) ? (textOf(item.licenseArn) ?? []) : [],
  )
  return {
    agreementId,
    status,
    customerAwsAccountId: accountOf(value.acceptor),
    proposerAccountId: accountOf(value.proposer),
    productIds: listOf(proposal.resources).flatMap((item) => (isRecord(item) ? (textOf(item.id) ?? []) : [])),
    offerId: textOf(proposal.offerId),
    licenseArns: [...new Map(licenses.map((arn) => [licenseTail(arn), arn])).values()],
    acceptedAt: timeOf(value.acceptanceTime),
    startsAt: timeOf(value.startTime),
    endsAt: endsAt !== undefined && endsAt >= NEVER ? undefined : endsAt,
    updatedAt: timeOf(value.lastUpdateTime),
    initialAgreementId: textOf(value.initialAgreementId),
    endBehavior:
      textOf(value.endTimeBehaviorType) ??
      (isRecord(value.endTimeBehavior) ? textOf(value.endTimeBehavior.type) : undefined),
    payload: JSON.stringify(value),
  }
}

function toTerms(terms: readonly Record<string, unknown>[]): AgreementTerms {
  // Each term is an object with one member, which is named after its kind.
  const all = terms.flatMap((term) => Object.entries(term).filter(([, value]) => isRecord(value)))
  const find = (kind: string) => all.find(([name]) => name === kind)?.[1]
  const renewal = find('renewalTerm')
  const validity = find('validityTerm')
  const configuration = isRecord(renewal) && isRecord(renewal.configuration) ? renewal.configuration : {}
  return {
    freeTrial: find('freeTrialPricingTerm') !== undefined,
    autoRenew: typeof configuration.enableAutoRenew === 'boolean' ? configuration.enableAutoRenew : undefined,
    endsAt: isRecord(validity) ? timeOf(validity.agreementEndDate) : undefined,
    kinds: [...new Set(all.map(([name]) => name))],
  }
}

function toRequest(value: unknown): CancellationRequest | undefined {
  if (!isRecord(value)) return undefined
  const id = textOf(value.agreementCancellationRequestId)
  const agreementId = textOf(value.agreementId)
  if (id === undefined || agreementId === undefined) return undefined
  return {
    id,
    agreementId,
    status: textOf(value.status) ?? 'unknown',
    reasonCode: textOf(value.reasonCode),
    createdAt: timeOf(value.createdAt),
    updatedAt: timeOf(value.updatedAt),
  }
}

function accountOf(party: unknown): string | undefined {
  return isRecord(party) ? textOf(party.accountId) : undefined
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Seconds since the epoch, or any spelling of a date. */
function timeOf(value: unknown): number | undefined {
  const time =
    typeof value === 'number'
      ? Math.round(value * 1000)
      : typeof value === 'string'
        ? Date.parse(value)
        : Number.NaN
  // Beyond what a `Date` holds there is nothing to compare with.
  return Number.isFinite(time) && Math.abs(time) <= 8.64e15 ? time : undefined
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

async function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(ms, undefined, signal === undefined ? {} : { signal })
}

function ignore(): void {}
