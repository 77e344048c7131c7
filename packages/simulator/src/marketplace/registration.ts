import { AwsError } from './aws-error.ts'
import { checkRegion } from './batch-meter-usage.ts'
import { isRequired, readObject, readOptionalString, violates } from './shapes.ts'
import type { MarketplaceContext, RegistrationToken } from './state.ts'
import type { SubscriptionRecord } from './subscription.ts'

/** Longest token looked up; longer ones cannot be ours. */
const TOKEN_LENGTH_MAX = 4096

export interface ResolveCustomerAnswer {
  readonly CustomerIdentifier?: string
  readonly CustomerAWSAccountId: string
  readonly ProductCode: string
  readonly LicenseArn?: string
}

/** Makes a registration token, as pressing "Set up your account" does. */
export function issueToken(
  { state, clock, identifiers, commit }: MarketplaceContext,
  subscriptionId: string,
): string {
  const token = identifiers.registrationToken(`${subscriptionId} ${state.tokens.size}`)
  commit({ kind: 'token', token: { token, subscriptionId, issuedAt: clock.now() } })
  return token
}

/**
 * Who pressed "Set up your account". License products get account and license, legacy products account and
 * customer identifier.
 *
 * @throws {AwsError} `ValidationException`, `InvalidTokenException`, `ExpiredTokenException`, `DisabledApiException`
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-metering_ResolveCustomer.html | ResolveCustomer}
 */
export function resolveCustomer(
  context: MarketplaceContext,
  input: unknown,
  region: string,
): ResolveCustomerAnswer {
  const { state, clock, commit } = context
  const text = readOptionalString(readObject(input, 'input').RegistrationToken, 'registrationToken')
  if (text === undefined) throw isRequired('registrationToken')
  if (text === '') throw violates('registrationToken', 'Member must satisfy regular expression pattern: \\S+')
  checkRegion(region)
  const token = text.length > TOKEN_LENGTH_MAX ? undefined : state.tokens.get(text)
  if (token === undefined) throw new AwsError('InvalidTokenException', 'Registration token is invalid')
  if (isExpired(token, context)) throw new AwsError('ExpiredTokenException', 'Registration token is expired')
  const subscription = subscriptionOf(context, token)
  if (state.settings.tokenReuse === 'single')
    commit({ kind: 'token', token: { ...token, usedAt: clock.now() } })
  return {
    ...(subscription.customerIdentifier !== undefined && {
      CustomerIdentifier: subscription.customerIdentifier,
    }),
    CustomerAWSAccountId: subscription.accountId,
    ProductCode: subscription.productCode,
    ...(subscription.licenseArn !== undefined && { LicenseArn: subscription.licenseArn }),
  }
}

/** The product a `ResolveCustomer` request is for; used to aim faults at one product. Never throws. */
export function findProductOfToken(context: MarketplaceContext, input: unknown): string | undefined {
  const text: unknown = (input as { RegistrationToken?: unknown } | null | undefined)?.RegistrationToken
  const token = typeof text === 'string' ? context.state.tokens.get(text) : undefined
  return token && subscriptionOf(context, token).productCode
}

function isExpired(token: RegistrationToken, { state, clock }: MarketplaceContext): boolean {
  const { tokenLifetimeMs, tokenReuse } = state.settings
  if (tokenReuse === 'single' && token.usedAt !== undefined) return true
  return clock.now() >= token.issuedAt + tokenLifetimeMs
}

function subscriptionOf({ state }: MarketplaceContext, token: RegistrationToken): SubscriptionRecord {
  return state.subscriptions.at(state.subscriptions.indexOf(token.subscriptionId))
}
