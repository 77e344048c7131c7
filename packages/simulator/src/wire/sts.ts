import { randomUUID } from 'node:crypto'

/** An answer of AWS's query protocol, as STS gives it. */
export interface QueryAnswer {
  readonly status: number
  readonly body: string
}

/**
 * STS, as far as a program asks it who it is: `GetCallerIdentity`.
 *
 * @see {@link https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html | GetCallerIdentity}
 */
export function handleSts(form: URLSearchParams, sellerAccountId: string): QueryAnswer {
  const action = form.get('Action') ?? ''
  if (action !== 'GetCallerIdentity')
    return stsError('InvalidAction', `Could not find operation ${action} for STS`)
  return {
    status: 200,
    body: `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>arn:aws:iam::${sellerAccountId}:user/simulated-seller</Arn>
    <UserId>AIDASIMULATEDSELLER00</UserId>
    <Account>${sellerAccountId}</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>
`,
  }
}

export function stsError(code: string, message: string, status = 400): QueryAnswer {
  return {
    status,
    body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message></Error>
  <RequestId>${randomUUID()}</RequestId>
</ErrorResponse>
`,
  }
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
