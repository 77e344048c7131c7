import type {
  GetEntitlementsCommandInput,
  MarketplaceEntitlementServiceClient,
} from '@aws-sdk/client-marketplace-entitlement-service'
import type { Clock } from '../domain/clock.ts'
import type {
  EntitledCustomer,
  Entitlement,
  EntitlementService,
  EntitlementValue,
} from '../domain/entitlements/entitlement.ts'
import { DomainError } from '../domain/error.ts'
import { awsError, parseJson } from './aws-answer.ts'
import { type AwsClientOptions, awsClientConfig, checkEndpoint, placeOf } from './aws-client.ts'
import { type Exchange, exchange, isRecord, WATCH_PLACE } from './aws-exchange.ts'

/** The service has no other commercial region (AWS Marketplace endpoints, read November 2026). */
const REGION = 'us-east-1'
/** Most entitlements of a page (API model 2017-01-11, botocore 1.43.107). */
const PAGE_SIZE = 25
/** A contract has at most 200 dimensions, and empty pages come between; more is not an answer. */
const PAGES_MAX = 100
/** AWS's quota is 20 calls a second for an account, whatever the region; a tenth is left to others. */
const SPACING_MS = 56
/** A turn that is further off than this was given out before the clock was put back. */
const WAIT_MS_MAX = 60_000

export interface AwsEntitlements extends EntitlementService {
  /** Closes the connections that are kept open between calls. */
  close(): void
}

/**
 * AWS Marketplace's entitlement service through the AWS SDK. All that share it share its rate.
 *
 * @param options.clock - by which calls are spaced: the simulator's quota follows the same
 * @throws {Error} where mode and endpoint do not fit: pretend and real never mix
 */
export function createAwsEntitlements(
  options: AwsClientOptions & { readonly clock: Clock },
): AwsEntitlements {
  const { mode, timeoutMs, clock } = options
  const where = placeOf(mode)
  checkEndpoint(options, 'entitlement')
  const takeTurn = createTurns(clock)
  let client: Promise<MarketplaceEntitlementServiceClient> | undefined

  async function call(input: GetEntitlementsCommandInput, signal: AbortSignal | undefined) {
    const { GetEntitlementsCommand } = await import('@aws-sdk/client-marketplace-entitlement-service')
    const command = new GetEntitlementsCommand(input)
    client ??= createClient(options)
    const sender = await client
    await takeTurn(signal)
    return exchange(
      (watch, abortSignal) => {
        command.middlewareStack.add(watch, WATCH_PLACE)
        return sender.send(command, { abortSignal })
      },
      { where, timeoutMs, signal },
    )
  }

  return {
    async getEntitlements(productCode, customer, signal) {
      const query = { ProductCode: productCode, Filter: filterOf(customer), MaxResults: PAGE_SIZE }
      const found: Entitlement[] = []
      const tokens = new Set<string>()
      for (let pages = 0; pages < PAGES_MAX; pages++) {
        const token = [...tokens].at(-1)
        const page = pageOf(
          await call({ ...query, ...(token !== undefined && { NextToken: token }) }, signal),
        )
        found.push(...page.entitlements)
        if (page.next === undefined) return found
        // Half of an answer would take away what its other half grants.
        if (tokens.has(page.next)) throw unavailable('it gave the same page twice')
        tokens.add(page.next)
      }
      throw unavailable(`its answer has more than ${PAGES_MAX} pages`)
    },
    close() {
      client?.then(
        (made) => made.destroy(),
        () => {},
      )
      client = undefined
    },
  }
}

/** Importing the SDK takes longer than the rest of a start, so it waits for the first call. */
async function createClient(options: AwsClientOptions): Promise<MarketplaceEntitlementServiceClient> {
  const { MarketplaceEntitlementServiceClient } = await import(
    '@aws-sdk/client-marketplace-entitlement-service'
  )
  return new MarketplaceEntitlementServiceClient({
    region: REGION,
    ...awsClientConfig(options, 'entitlement'),
  })
}

/** One call after the other, each at least `SPACING_MS` after the one before. */
function createTurns(clock: Clock): (signal: AbortSignal | undefined) => Promise<void> {
  let nextAt = Number.NEGATIVE_INFINITY
  return async (signal) => {
    const now = clock.now()
    const at = nextAt > now + WAIT_MS_MAX ? now : Math.max(now, nextAt)
    nextAt = at + SPACING_MS
    if (at > now) await clock.sleep(at - now, signal)
  }
}

function filterOf(customer: EntitledCustomer): NonNullable<GetEntitlementsCommandInput['Filter']> {
  if ('licenseArn' in customer) return { LICENSE_ARN: [customer.licenseArn] }
  if ('customerIdentifier' in customer) return { CUSTOMER_IDENTIFIER: [customer.customerIdentifier] }
  return { CUSTOMER_AWS_ACCOUNT_ID: [customer.customerAwsAccountId] }
}

interface EntitlementPage {
  readonly entitlements: readonly Entitlement[]
  readonly next: string | undefined
}

/**
 * Read from the answer itself: the SDK drops a kind of value that it does not know, and what was granted with it.
 *
 * @throws {DomainError} `marketplace.unavailable`: whatever is no answer is not an empty one either
 */
function pageOf(answer: Exchange): EntitlementPage {
  if (answer.kind === 'failure') throw unavailable(`${answer.code}: ${answer.message}`)
  const body = parseJson(answer.body)
  if (answer.status < 200 || answer.status > 299) {
    const error = awsError(answer, body)
    throw unavailable(error === undefined ? `HTTP ${answer.status}` : `${error.code}: ${error.message}`)
  }
  const listed = isRecord(body) ? (body.Entitlements ?? []) : undefined
  if (!isRecord(body) || !Array.isArray(listed)) throw unavailable('its answer cannot be read')
  const next = body.NextToken
  return {
    entitlements: listed.map(entitlementOf),
    next: typeof next === 'string' && next !== '' ? next : undefined,
  }
}

function entitlementOf(listed: unknown): Entitlement {
  const dimension = isRecord(listed) ? listed.Dimension : undefined
  if (!isRecord(listed) || typeof dimension !== 'string' || dimension === '')
    throw unavailable('an entitlement without a dimension cannot be read')
  return { dimension, value: grantOf(listed.Value), expiresAt: timeOf(listed.ExpirationDate) }
}

/** AWS writes one kind of several. One that came later than this is kept as it was written. */
function grantOf(value: unknown): EntitlementValue {
  const { IntegerValue, DoubleValue, BooleanValue, StringValue } = isRecord(value) ? value : {}
  if (typeof IntegerValue === 'number' && Number.isSafeInteger(IntegerValue))
    return { kind: 'integer', value: IntegerValue }
  const number = typeof DoubleValue === 'number' ? DoubleValue : IntegerValue
  if (typeof number === 'number' && Number.isFinite(number)) return { kind: 'double', value: number }
  if (typeof BooleanValue === 'boolean') return { kind: 'boolean', value: BooleanValue }
  if (typeof StringValue === 'string') return { kind: 'string', value: StringValue }
  return { kind: 'string', value: value === undefined || value === null ? '' : JSON.stringify(value) }
}

/** Seconds since the epoch; the year 9999 is AWS's "no end". */
function timeOf(value: unknown): number | undefined {
  const ms = typeof value === 'number' ? Math.round(value * 1000) : Date.parse(String(value))
  return Number.isFinite(ms) && ms < Date.UTC(9998, 0, 1) ? ms : undefined
}

function unavailable(why: string): DomainError {
  return new DomainError(
    'marketplace.unavailable',
    `AWS Marketplace cannot be asked what contracts grant (${why})`,
  )
}
