import { AwsError } from '../marketplace/aws-error.ts'
import { type AwsReply, type AwsRequest, errorAnswer } from '../wire/handle-aws.ts'
import { protocolOf } from '../wire/protocol.ts'
import { checkSignature } from '../wire/signature.ts'
import { handleSts, type QueryAnswer, stsError } from '../wire/sts.ts'
import { CUT, type HttpRequest, type HttpResponse } from './message.ts'

const CBOR_PATH = /^\/service\/(\w{1,64})\/operation\/(\w{1,64})$/
const MARKETPLACE_SERVICE = 'aws-marketplace'

/** Where `GetEntitlements` is offered (AWS Marketplace quotas and endpoints, read November 2026). */
const ENTITLEMENT_REGIONS = ['us-east-1', 'cn-northwest-1']

export interface AwsRoutesOptions {
  readonly handleAws: (request: AwsRequest) => Promise<AwsReply>
  readonly sellerAccountId: () => string
}

/** Whether a request is one for AWS, rather than for the storefront or the control API. */
export function isForAws({ method, path }: HttpRequest): boolean {
  return method === 'POST' && (path === '/' || CBOR_PATH.test(path))
}

/** Checks the signature of an AWS call, and passes it on: both JSON and CBOR, and STS. */
export async function awsResponse(
  request: HttpRequest,
  { handleAws, sellerAccountId }: AwsRoutesOptions,
): Promise<HttpResponse | typeof CUT> {
  const contentType = request.headers['content-type'] ?? ''
  const cbor = CBOR_PATH.exec(request.path)
  if (cbor === null && contentType.startsWith('application/x-www-form-urlencoded')) {
    return toXml(stsAnswer(request, sellerAccountId()))
  }
  const protocol = protocolOf(cbor === null ? undefined : 'application/cbor')
  const target = cbor === null ? String(request.headers['x-amz-target'] ?? '') : `${cbor[1]}.${cbor[2]}`
  try {
    const { region, accessKeyId } = checkSignature(signatureHeaders(request), MARKETPLACE_SERVICE, Date.now())
    if (target.startsWith('AWSMPEntitlementService.') && !ENTITLEMENT_REGIONS.includes(region)) {
      throw new AwsError(
        'InvalidSignatureException',
        `Credential should be scoped to a valid region: the entitlement service is in us-east-1 only, not ${region}.`,
      )
    }
    const body = cbor === null ? request.body.toString() : request.body
    const reply = await handleAws({ target, body, region, accessKeyId, contentType: protocol.contentType })
    return reply.kind === 'cut' ? CUT : reply
  } catch (error) {
    if (error instanceof AwsError) return errorAnswer(protocol, error)
    throw error
  }
}

function stsAnswer(request: HttpRequest, sellerAccountId: string): QueryAnswer {
  try {
    checkSignature(signatureHeaders(request), 'sts', Date.now())
    return handleSts(new URLSearchParams(request.body.toString()), sellerAccountId)
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
