import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createAwsCredentials, type RoleToAssume } from './aws-credentials.ts'
import { getCaller } from './aws-identity.ts'
import { createAwsMetering } from './aws-metering.ts'
import { aUsageRecord } from './usage-record.fixture.ts'

const START = Date.parse('2026-11-21T10:00:00Z')
const MINUTE = 60_000
const ROLE: RoleToAssume = {
  roleArn: 'arn:aws:iam::123456789012:role/marketplace-seller',
  externalId: 'between-us-two',
  sessionName: 'tollkeeper',
}

const closing: (() => void)[] = []
beforeEach(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'ASIAAMBIENT')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'ambient-secret')
  vi.stubEnv('AWS_SESSION_TOKEN', 'ambient-token')
})
afterEach(() => {
  vi.unstubAllEnvs()
  for (const close of closing.splice(0).reverse()) close()
})

/** STS on this machine: each session has a key of its own and lasts an hour of the given clock. */
async function anSts(clock: { now: number }) {
  const calls: { action: string; form: URLSearchParams; key: string }[] = []
  const sts = {
    calls,
    endpoint: '',
    fail: undefined as { status: number; code: string; message: string } | undefined,
  }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const form = new URLSearchParams(body)
      const action = form.get('Action') ?? ''
      const key = /Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1] ?? ''
      calls.push({ action, form, key })
      const xml = (status: number, text: string) =>
        response.writeHead(status, { 'content-type': 'text/xml' }).end(text)
      if (sts.fail && action === 'AssumeRole')
        return xml(
          sts.fail.status,
          `<ErrorResponse><Error><Type>Sender</Type><Code>${sts.fail.code}</Code><Message>${sts.fail.message}</Message></Error></ErrorResponse>`,
        )
      if (action === 'GetCallerIdentity')
        return xml(
          200,
          `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/${key}/tollkeeper</Arn><UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`,
        )
      const session = calls.filter((call) => call.action === 'AssumeRole').length
      const expiration = new Date(clock.now + 60 * MINUTE).toISOString()
      xml(
        200,
        `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIASESSION${session}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t${session}</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
      )
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  sts.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return sts
}

async function aSession(role: RoleToAssume = ROLE) {
  const clock = { now: START }
  const sts = await anSts(clock)
  const credentials = createAwsCredentials({
    mode: 'live',
    region: 'us-east-1',
    assumeRole: role,
    stsEndpoint: sts.endpoint,
    now: () => clock.now,
  })
  return { clock, sts, get: credentials! }
}

describe('an assumed role', () => {
  it('is assumed with the ambient credentials, its session name and external id', async () => {
    const { sts, get } = await aSession()
    expect(await get()).toMatchObject({ accessKeyId: 'ASIASESSION1', sessionToken: 't1' })
    const [call] = sts.calls
    expect(call?.key).toBe('ASIAAMBIENT')
    expect(Object.fromEntries(call!.form)).toMatchObject({
      RoleArn: ROLE.roleArn,
      ExternalId: 'between-us-two',
      RoleSessionName: 'tollkeeper',
      DurationSeconds: '3600',
    })
  })

  it('without an external id asks with none', async () => {
    const { sts, get } = await aSession({ ...ROLE, externalId: undefined })
    await get()
    expect(sts.calls[0]!.form.has('ExternalId')).toBe(false)
  })

  it('is one session for all who ask at once, until ten minutes before its end', async () => {
    const { clock, sts, get } = await aSession()
    const all = await Promise.all(Array.from({ length: 20 }, get))
    expect(new Set(all.map(({ accessKeyId }) => accessKeyId))).toEqual(new Set(['ASIASESSION1']))
    clock.now += 49 * MINUTE
    expect((await get()).accessKeyId).toBe('ASIASESSION1')
    expect(sts.calls).toHaveLength(1)
    clock.now += 1 * MINUTE
    const renewed = await Promise.all(Array.from({ length: 20 }, get))
    expect(new Set(renewed.map(({ accessKeyId }) => accessKeyId))).toEqual(new Set(['ASIASESSION2']))
    expect(sts.calls).toHaveLength(2)
  })

  it('serves to its end where it cannot be renewed, and is asked for every half minute', async () => {
    const { clock, sts, get } = await aSession()
    await get()
    sts.fail = { status: 403, code: 'AccessDenied', message: 'no' }
    clock.now += 55 * MINUTE
    expect((await get()).accessKeyId).toBe('ASIASESSION1')
    expect((await get()).accessKeyId).toBe('ASIASESSION1')
    expect(sts.calls).toHaveLength(2)
    clock.now += MINUTE
    expect((await get()).accessKeyId).toBe('ASIASESSION1')
    expect(sts.calls).toHaveLength(3)
    clock.now += 4 * MINUTE
    await expect(get()).rejects.toMatchObject({ code: 'marketplace.unavailable' })
    sts.fail = undefined
    expect((await get()).accessKeyId).toBe('ASIASESSION5')
  })

  it('that is refused says which role and where to look, and never the external id', async () => {
    const { sts, get } = await aSession()
    sts.fail = { status: 403, code: 'AccessDenied', message: 'not authorized; between-us-two is not it' }
    const error = await get().catch((caught) => caught)
    expect(error).toMatchObject({ code: 'marketplace.unavailable' })
    expect(error.message).toContain(ROLE.roleArn)
    expect(error.message).toContain('the same external id as aws.assumeRole.externalId')
    expect(`${error.message} ${JSON.stringify(error)} ${error.cause}`).not.toMatch(
      /between-us-two|ambient-secret/,
    )
  })

  it('that is refused without an external id says that none is set', async () => {
    const { sts, get } = await aSession({ ...ROLE, externalId: undefined })
    sts.fail = { status: 403, code: 'AccessDenied', message: 'no' }
    await expect(get()).rejects.toThrow('aws.assumeRole.externalId is not set')
  })

  it('is whom AWS takes us for, and what is sent with', async () => {
    const { sts, get } = await aSession()
    const caller = await getCaller('us-east-1', { endpoint: sts.endpoint, credentials: get })
    expect(caller).toEqual({
      account: '123456789012',
      arn: 'arn:aws:sts::123456789012:assumed-role/ASIASESSION1/tollkeeper',
      longLivedKey: false,
    })
  })

  it('that cannot be assumed is said in the same words by whoever sends', async () => {
    const { sts, get } = await aSession()
    sts.fail = { status: 403, code: 'AccessDenied', message: 'no' }
    await expect(getCaller('us-east-1', { endpoint: sts.endpoint, credentials: get })).rejects.toThrow(
      `cannot assume the role ${ROLE.roleArn}`,
    )
    const metering = createAwsMetering({ mode: 'live', timeoutMs: 5_000, credentials: get })
    const answer = await metering.batchMeterUsage('us-east-1', [aUsageRecord()])
    metering.close()
    expect(answer.error).toMatchObject({
      code: 'CredentialsUnavailable',
      message: expect.stringContaining(`cannot assume the role ${ROLE.roleArn}`),
    })
  })
})

describe('ambient credentials', () => {
  it('are left to each client where there is no role to assume', () => {
    expect(createAwsCredentials({ mode: 'live', region: 'us-east-1', assumeRole: undefined })).toBeUndefined()
  })

  it('are never read in simulated mode', () => {
    expect(createAwsCredentials({ mode: 'simulated', region: 'us-east-1', assumeRole: ROLE })).toBeUndefined()
  })

  it('of a user’s key are known for what they are', async () => {
    const sts = await anSts({ now: START })
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIALONGLIVED')
    vi.stubEnv('AWS_SESSION_TOKEN', undefined)
    const caller = await getCaller('us-east-1', { endpoint: sts.endpoint })
    expect(caller.longLivedKey).toBe(true)
  })
})
