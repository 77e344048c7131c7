import type { Delivery } from '../delivery/delivery.ts'
import { AwsError } from '../marketplace/aws-error.ts'
import { type AwsReply, type AwsRequest, errorAnswer } from '../wire/handle-aws.ts'
import { type JsonService, type ServiceRequest, serviceError } from '../wire/json-service.ts'
import { protocolOf } from '../wire/protocol.ts'
import { findService } from '../wire/services.ts'
import { checkSignature } from '../wire/signature.ts'
import { handleSns, snsError } from '../wire/sns.ts'
import { handleSts, type QueryAnswer, stsError } from '../wire/sts.ts'
import { CUT, type HttpRequest, type HttpResponse } from './message.ts'

const CBOR_PATH = /^\/service\/(\w{1,64})\/operation\/(\w{1,64})$/
const MARKETPLACE_SERVICE = 'aws-marketplace'
const SNS_VERSION = '2010-03-31'

/** Where `GetEntitlements` is offered (AWS Marketplace quotas and endpoints, read November 2026). */
const ENTITLEMENT_REGIONS = ['us-east-1', 'cn-northwest-1']

export interface AwsRoutesOptions {
  readonly handleAws: (request: AwsRequest) => Promise<AwsReply>
  readonly handleService: (request: ServiceRequest) => Promise<AwsReply>
  readonly sellerAccountId: () => string
  readonly delivery: Delivery
}

/** Whether a request is one for AWS, rather than for the storefront or the control API. */
export function isForAws({ method, path }: HttpRequest): boolean {
  return method === 'POST' && (path === '/' || CBOR_PATH.test(path))
}

/** Checks the signature of an AWS call, and passes it on: JSON, CBOR, and the query protocol of STS and SNS. */
export async function awsResponse(
  request: HttpRequest,
  options: AwsRoutesOptions,
): Promise<HttpResponse | typeof CUT> {
  const contentType = request.headers['content-type'] ?? ''
  const cbor = CBOR_PATH.exec(request.path)
  if (cbor === null && contentType.startsWith('application/x-www-form-urlencoded')) {
    const form = new URLSearchParams(request.body.toString())
    const answer = form.get('Version') === SNS_VERSION ? snsAnswer : stsAnswer
    return toXml(answer(request, form, options))
  }
  const protocol = protocolOf(cbor === null ? undefined : 'application/cbor')
  const target = cbor === null ? String(request.headers['x-amz-target'] ?? '') : `${cbor[1]}.${cbor[2]}`
  const service = findService(target)
  if (service !== undefined) return serviceResponse(service, target, request, options)
  try {
    const { region, accessKeyId } = checkSignature(signatureHeaders(request), MARKETPLACE_SERVICE, Date.now())
    if (target.startsWith('AWSMPEntitlementService.') && !ENTITLEMENT_REGIONS.includes(region)) {
      throw new AwsError(
        'InvalidSignatureException',
        `Credential should be scoped to a valid region: the entitlement service is in us-east-1 only, not ${region}.`,
      )
    }
    const body = cbor === null ? request.body.toString() : request.body
    const reply = await options.handleAws({
      target,
      body,
      region,
      accessKeyId,
      contentType: protocol.contentType,
    })
    return reply.kind === 'cut' ? CUT : reply
  } catch (error) {
    if (error instanceof AwsError) return errorAnswer(protocol, error)
    throw error
  }
}

async function serviceResponse(
  service: JsonService,
  target: string,
  request: HttpRequest,
  { handleService }: AwsRoutesOptions,
): Promise<HttpResponse | typeof CUT> {
  try {
    const { region } = checkSignature(signatureHeaders(request), service.scope, Date.now())
    const reply = await handleService({
      target,
      body: request.body.toString(),
      region,
      origin: `http://${request.headers.host}`,
      signal: request.signal,
    })
    return reply.kind === 'cut' ? CUT : reply
  } catch (error) {
    if (error instanceof AwsError) return serviceError(service, error)
    throw error
  }
}

/** A link in an SNS message: it confirms or ends a subscription without a signature. */
export function isSnsLink({ method, path, query }: HttpRequest): boolean {
  return method === 'GET' && path === '/' && query.has('Action')
}

export function snsLinkResponse({ query }: HttpRequest, delivery: Delivery): HttpResponse {
  return toXml(handleSns(query, delivery))
}

function snsAnswer(request: HttpRequest, form: URLSearchParams, { delivery }: AwsRoutesOptions): QueryAnswer {
  try {
    checkSignature(signatureHeaders(request), 'sns', Date.now())
    return handleSns(form, delivery)
  } catch (error) {
    if (error instanceof AwsError)
      return snsError(error.code.replace(/Exception$/, ''), 'The signature will not do', 403)
    throw error
  }
}

function stsAnswer(
  request: HttpRequest,
  form: URLSearchParams,
  { sellerAccountId }: AwsRoutesOptions,
): QueryAnswer {
  try {
    checkSignature(signatureHeaders(request), 'sts', Date.now())
    return handleSts(form, sellerAccountId())
  } catch (error) {
    if (error instanceof AwsError) return stsError(error.code.replace(/Exception$/, ''), error.message, 403)
    throw error
  }
}

function signatureHeaders({ headers }: HttpRequest) {
  const date = headers['x-amz-date']
  return { authorization: headers.authorization, date: typeof date === 'string' ? date : undefined }
}

function toXml({ status, body }: QueryAnswer): HttpResponse {
  return { status, headers: { 'content-type': 'text/xml' }, body }
}
