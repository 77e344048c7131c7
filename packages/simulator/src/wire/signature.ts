import { AwsError } from '../marketplace/aws-error.ts'

/** What the `Authorization` header of Signature Version 4 says about a call. */
export interface Credential {
  readonly accessKeyId: string
  readonly region: string
}

/** How far the signing date may be from real time (AWS's usual tolerance). */
const SKEW_MAX_MS = 5 * 60_000
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([\w.+=@-]{1,128})\/(\d{8})\/([a-z0-9-]{1,32})\/([a-z0-9-]{1,64})\/aws4_request, ?SignedHeaders=[a-z0-9;-]+, ?Signature=[0-9a-f]{64}$/
const AMZ_DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/

/**
 * Checks scheme, credential scope and date of a signed call. The signature itself is not checked: any key will do.
 * Dates are checked against real time, whatever the virtual clock says, since SDKs sign with it.
 *
 * @throws {AwsError} `MissingAuthenticationTokenException`, `IncompleteSignatureException`, `InvalidSignatureException`
 */
export function checkSignature(
  headers: { readonly authorization?: string | undefined; readonly date?: string | undefined },
  service: string,
  realNow: number,
): Credential {
  const { authorization, date } = headers
  if (authorization === undefined) {
    throw new AwsError(
      'MissingAuthenticationTokenException',
      'The request is not signed: Authorization is missing',
    )
  }
  const match = AUTHORIZATION.exec(authorization)
  if (match === null) {
    throw new AwsError('IncompleteSignatureException', 'Authorization is not of AWS Signature Version 4')
  }
  const [, accessKeyId = '', day = '', region = '', scope = ''] = match
  if (scope !== service) {
    throw new AwsError(
      'InvalidSignatureException',
      `Credential should be scoped to correct service: '${service}'.`,
    )
  }
  const signedAt = parseAmzDate(date)
  if (signedAt === undefined) {
    throw new AwsError('IncompleteSignatureException', 'X-Amz-Date must be a date such as 20261120T231332Z')
  }
  if (date?.slice(0, 8) !== day) {
    throw new AwsError(
      'InvalidSignatureException',
      `Date in Credential scope does not match YYYYMMDD from X-Amz-Date: ${day}`,
    )
  }
  if (Math.abs(signedAt - realNow) > SKEW_MAX_MS) {
    const relation = signedAt < realNow ? 'expired' : 'not yet current'
    throw new AwsError(
      'InvalidSignatureException',
      `Signature ${relation}: ${date} is more than 5 minutes from now`,
    )
  }
  return { accessKeyId, region }
}

function parseAmzDate(text: string | undefined): number | undefined {
  const match = AMZ_DATE.exec(text ?? '')
  if (match === null) return undefined
  const [, year, month, day, hour, minute, second] = match.map(Number)
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second)
}
