import { randomUUID } from 'node:crypto'
import type { Fault, FaultBook, Operation } from '../faults/faults.ts'
import {
  describeAgreement,
  getAgreementEntitlements,
  getAgreementTerms,
} from '../marketplace/agreement-details.ts'
import { settleDue } from '../marketplace/agreement-due.ts'
import { agreementError } from '../marketplace/agreement-errors.ts'
import { findProductOfAgreement } from '../marketplace/agreement-input.ts'
import {
  getCancellationRequest,
  listCancellationRequests,
  sendCancellationRequest,
  withdrawCancellationRequest,
} from '../marketplace/agreement-requests.ts'
import { searchAgreements } from '../marketplace/agreement-search.ts'
import { AwsError } from '../marketplace/aws-error.ts'
import { batchMeterUsage, findProductOfBatch } from '../marketplace/batch-meter-usage.ts'
import { findProductOfEntitlements, getEntitlements } from '../marketplace/get-entitlements.ts'
import type { Quota } from '../marketplace/quota.ts'
import { findProductOfToken, resolveCustomer } from '../marketplace/registration.ts'
import type { Settings } from '../marketplace/settings.ts'
import type { MarketplaceContext } from '../marketplace/state.ts'
import type { CallLog } from './call-log.ts'
import { AGREEMENT_SERVICE, type Protocol, protocolOf } from './protocol.ts'

/** One call of an AWS operation, authenticated. */
export interface AwsRequest {
  /** Service and operation, e.g. `AWSMPMeteringService.BatchMeterUsage` or `AWSMPCommerceService_v20200301.SearchAgreements`. */
  readonly target: string
  readonly body: string | Uint8Array
  /** The region of the credential scope: where the call counts. */
  readonly region: string
  readonly accessKeyId?: string
  /** `application/cbor` for Smithy RPC v2 CBOR, else JSON in the service's version. */
  readonly contentType?: string
}

export type AwsReply =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers: Record<string, string>
      readonly body: string | Uint8Array
      /** Real milliseconds to wait before answering; the call has taken effect (or not) already. */
      readonly delayMs?: number
    }
  /** The connection breaks without an answer. */
  | { readonly kind: 'cut' }

export interface AwsDoor {
  readonly context: MarketplaceContext
  readonly faults: FaultBook
  readonly calls: CallLog
  readonly quota: Quota
}

type Answer = Extract<AwsReply, { kind: 'answer' }>

type AgreementOperation = Exclude<Operation, 'BatchMeterUsage' | 'ResolveCustomer' | 'GetEntitlements'>

const AGREEMENT_OPERATIONS: Readonly<
  Record<AgreementOperation, (context: MarketplaceContext, input: unknown) => object>
> = {
  SearchAgreements: searchAgreements,
  DescribeAgreement: describeAgreement,
  GetAgreementTerms: getAgreementTerms,
  GetAgreementEntitlements: getAgreementEntitlements,
  SendAgreementCancellationRequest: sendCancellationRequest,
  GetAgreementCancellationRequest: getCancellationRequest,
  ListAgreementCancellationRequests: listCancellationRequests,
  CancelAgreementCancellationRequest: withdrawCancellationRequest,
}

const TARGETS: Readonly<Record<string, Operation>> = {
  ...Object.fromEntries(
    Object.keys(AGREEMENT_OPERATIONS).map((name) => [
      `${AGREEMENT_SERVICE}.${name}`,
      name as AgreementOperation,
    ]),
  ),
  'AWSMPMeteringService.BatchMeterUsage': 'BatchMeterUsage',
  'AWSMPMeteringService.ResolveCustomer': 'ResolveCustomer',
  'AWSMPEntitlementService.GetEntitlements': 'GetEntitlements',
}

/**
 * Answers one AWS call. A fault on order hits it first; a call that gets through, or that a fault lets take effect,
 * meets the quota, and then the operation. Never throws: what a caller sends wrong is answered as AWS does.
 */
export function handleAws(door: AwsDoor, request: AwsRequest): AwsReply {
  const { context, calls } = door
  const protocol = protocolOf(request.contentType, request.target)
  const at = context.clock.now()
  const operation = Object.hasOwn(TARGETS, request.target) ? TARGETS[request.target] : undefined
  if (operation === undefined) {
    const error = unknownOperation(request.target)
    calls.add({ at, operation: 'Unknown', region: request.region, outcome: error.code })
    return errorAnswer(protocol, error)
  }

  const struck = strike(door, operation, request, protocol)
  const { reply, outcome } = struck === undefined ? answer(door, operation, request, protocol) : struck
  calls.add({
    at,
    operation,
    region: request.region,
    outcome,
    ...(struck !== undefined && { fault: struck.fault.kind }),
  })
  return reply
}

interface Handled {
  readonly reply: AwsReply
  readonly outcome: string
}

/** Handles a call that runs into a fault. @returns `undefined` if it runs into none */
function strike(
  door: AwsDoor,
  operation: Operation,
  request: AwsRequest,
  protocol: Protocol,
): (Handled & { fault: Fault }) | undefined {
  if (door.faults.isEmpty) return undefined
  const fault = door.faults.strike(operation, () => productOf(door.context, operation, request, protocol))
  if (fault === undefined) return undefined
  const take = (leaveUnprocessed?: () => boolean) =>
    answer(door, operation, request, protocol, leaveUnprocessed)
  return { ...applyFault(fault, operation, take, protocol, door.faults), fault }
}

function applyFault(
  fault: Fault,
  operation: Operation,
  take: (leaveUnprocessed?: () => boolean) => { reply: Answer; outcome: string },
  protocol: Protocol,
  faults: FaultBook,
): Handled {
  const refuse = (error: AwsError) => ({ reply: errorAnswer(protocol, error), outcome: error.code })
  const internalError = () => refuse(failure(operation, 'Internal error, as ordered'))
  switch (fault.kind) {
    case 'throttle':
      return refuse(throttled(operation))
    case 'refuse': {
      const code = fault.error ?? 'DisabledApiException'
      const make = isForAgreements(operation)
        ? agreementError
        : (...given: [string, string]) => new AwsError(...given)
      return refuse(make(code, 'Refused, as ordered'))
    }
    case 'html503':
      return { reply: HTML_503, outcome: 'html503' }
    case 'cutBefore':
      return { reply: { kind: 'cut' }, outcome: 'cut' }
    case 'cutAfter':
      take()
      return { reply: { kind: 'cut' }, outcome: 'cut' }
    case 'unprocessed':
      return take(() => faults.chance(fault.share ?? 1))
    case 'internalError':
      if (fault.taken === true) take()
      return internalError()
    case 'slow': {
      const { reply, outcome } = fault.taken === false ? internalError() : take()
      return { reply: { ...reply, delayMs: fault.delayMs ?? SLOW_DEFAULT_MS }, outcome }
    }
    case 'truncatedBody': {
      const { reply, outcome } = take()
      return { reply: { ...reply, body: reply.body.slice(0, reply.body.length >> 1) }, outcome }
    }
  }
}

const SLOW_DEFAULT_MS = 1_000

const HTML_503: AwsReply = {
  kind: 'answer',
  status: 503,
  headers: { 'content-type': 'text/html' },
  body: '<html><head><title>503 Service Temporarily Unavailable</title></head><body><center><h1>503 Service Temporarily Unavailable</h1></center></body></html>\r\n',
}

/** Handles a call without faults. */
function answer(
  door: AwsDoor,
  operation: Operation,
  request: AwsRequest,
  protocol: Protocol,
  leaveUnprocessed?: () => boolean,
): { reply: Answer; outcome: string } {
  const { context } = door
  try {
    checkAgreementRegion(operation, request.region)
    checkQuota(door, operation, request.region)
    checkSize(context.state.settings, request.body)
    const input = protocol.decode(request.body)
    const output = perform(context, operation, input, request.region, leaveUnprocessed)
    return {
      reply: { kind: 'answer', status: 200, headers: headersOf(protocol), body: protocol.encode(output) },
      outcome: 'ok',
    }
  } catch (error) {
    const known = error instanceof AwsError ? error : failure(operation, String(error))
    return { reply: errorAnswer(protocol, known), outcome: known.code }
  }
}

function perform(
  context: MarketplaceContext,
  operation: Operation,
  input: unknown,
  region: string,
  leaveUnprocessed?: () => boolean,
): object {
  settleDue(context)
  switch (operation) {
    case 'BatchMeterUsage':
      return batchMeterUsage(context, input, { region, ...(leaveUnprocessed && { leaveUnprocessed }) })
    case 'ResolveCustomer':
      return resolveCustomer(context, input, region)
    case 'GetEntitlements':
      return getEntitlements(context, input)
    default:
      return AGREEMENT_OPERATIONS[operation](context, input)
  }
}

function productOf(
  context: MarketplaceContext,
  operation: Operation,
  request: AwsRequest,
  protocol: Protocol,
): string | undefined {
  let input: unknown
  try {
    input = protocol.decode(request.body)
  } catch {
    return undefined
  }
  switch (operation) {
    case 'BatchMeterUsage':
      return findProductOfBatch(context, input)
    case 'ResolveCustomer':
      return findProductOfToken(context, input)
    case 'GetEntitlements':
      return findProductOfEntitlements(input)
    default:
      return findProductOfAgreement(context, input)
  }
}

function checkQuota({ context, quota }: AwsDoor, operation: Operation, region: string): void {
  const { settings } = context.state
  if (!settings.throttling) return
  const perSecond = {
    BatchMeterUsage: settings.batchMeterUsagePerSecond,
    ResolveCustomer: settings.resolveCustomerPerSecond,
    GetEntitlements: settings.getEntitlementsPerSecond,
    SearchAgreements: settings.searchAgreementsPerSecond,
    DescribeAgreement: settings.describeAgreementPerSecond,
    GetAgreementTerms: settings.getAgreementTermsPerSecond,
    GetAgreementEntitlements: settings.getAgreementEntitlementsPerSecond,
    SendAgreementCancellationRequest: settings.agreementCancellationsPerSecond,
    GetAgreementCancellationRequest: settings.agreementCancellationsPerSecond,
    ListAgreementCancellationRequests: settings.agreementCancellationsPerSecond,
    CancelAgreementCancellationRequest: settings.agreementCancellationsPerSecond,
  }[operation]
  const key = `${settings.sellerAccountId} ${region} ${operation}`
  if (!quota.take(key, perSecond, context.clock.now())) throw throttled(operation)
}

function checkSize({ requestBytesMax, tooLargeError }: Settings, body: string | Uint8Array): void {
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  if (bytes >= requestBytesMax) {
    throw new AwsError(
      tooLargeError,
      `The request has ${bytes} bytes; it must have less than ${requestBytesMax}`,
    )
  }
}

function throttled(operation: Operation): AwsError {
  const [code, message] = ['ThrottlingException', 'Rate exceeded']
  return isForAgreements(operation) ? agreementError(code, message) : new AwsError(code, message)
}

function failure(operation: Operation, message: string): AwsError {
  return isForAgreements(operation)
    ? agreementError('InternalServerException', message)
    : new AwsError('InternalServiceErrorException', message)
}

function isForAgreements(operation: Operation): operation is AgreementOperation {
  return Object.hasOwn(AGREEMENT_OPERATIONS, operation)
}

/** The Agreement service is in one region only (AWS Marketplace quotas and endpoints, read November 2026). */
function checkAgreementRegion(operation: Operation, region: string): void {
  if (!isForAgreements(operation) || region === AGREEMENT_REGION) return
  throw new AwsError(
    'InvalidSignatureException',
    `Credential should be scoped to a valid region: the agreement service is in ${AGREEMENT_REGION} only, not ${region}.`,
  )
}

const AGREEMENT_REGION = 'us-east-1'

function unknownOperation(target: string): AwsError {
  const isForBuyers = /^AWSMPMeteringService\.(MeterUsage|RegisterUsage)$/.test(target)
  return new AwsError(
    'UnknownOperationException',
    isForBuyers
      ? `${target} is for software that runs in the buyer's account; SaaS products send BatchMeterUsage`
      : 'The operation is unknown to this simulator',
  )
}

function headersOf(protocol: Protocol): Record<string, string> {
  return { 'content-type': protocol.contentType, 'x-amzn-requestid': randomUUID(), ...protocol.headers }
}

export function errorAnswer(protocol: Protocol, error: AwsError): Answer {
  const headers = headersOf(protocol)
  // Only the agreement service's errors carry the id in their body too.
  const isDetailed = Object.keys(error.details).length > 0
  return {
    kind: 'answer',
    status: error.status,
    headers,
    body: protocol.encode({
      __type: error.code,
      message: error.message,
      ...(isDetailed && { requestId: headers['x-amzn-requestid'], ...error.details }),
    }),
  }
}
