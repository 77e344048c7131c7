import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { aFolder } from './a-folder.ts'
import { tollkeeper } from './processes.ts'

const SELLER = '123456789012'
const ROLE = `arn:aws:iam::${SELLER}:role/marketplace-seller`
const KEYS = {
  AWS_SECRET_ACCESS_KEY: 'the-secret',
  AWS_REGION: 'us-east-1',
  AWS_EC2_METADATA_DISABLED: 'true',
}

/** STS on this machine: the ambient user is of another account than the role. */
async function anSts(mayAssume: boolean) {
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const action = new URLSearchParams(body).get('Action')
      const isRole = String(request.headers.authorization).includes('Credential=ASIAROLE')
      const arn = isRole
        ? `arn:aws:sts::${SELLER}:assumed-role/marketplace-seller/tollkeeper`
        : 'arn:aws:iam::999988887777:user/ada'
      const account = isRole ? SELLER : '999988887777'
      const xml =
        action === 'GetCallerIdentity'
          ? `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>${arn}</Arn><UserId>U</UserId><Account>${account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
          : mayAssume
            ? `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
            : '<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>'
      response.writeHead(xml.startsWith('<Error') ? 403 : 200, { 'content-type': 'text/xml' }).end(xml)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A live deployment, whose only way to AWS is this machine's STS. */
async function aDeployment(
  options: { role?: boolean; mayAssume?: boolean; key?: string; accountId?: string } = {},
) {
  const { role = true, mayAssume = true, key = 'ASIATEMPORARY', accountId = SELLER } = options
  const cwd = aFolder()
  const assume = role ? `, assumeRole: { roleArn: "${ROLE}", externalId: between-us-two }` : ''
  writeFileSync(
    join(cwd, 'tollkeeper.yaml'),
    `mode: live\nstore: { url: "sqlite:./ledger.db" }\naws: { accountId: "${accountId}", endpoint: "https://metering.invalid"${assume} }\nproducts: [{ id: demo, productCode: demoapi0tollkeeper0000000, dimensions: [{ key: requests }] }]\n`,
  )
  const env = { ...KEYS, AWS_ACCESS_KEY_ID: key, AWS_ENDPOINT_URL_STS: await anSts(mayAssume) }
  await tollkeeper(['db', 'migrate'], { cwd, env })
  return (...args: readonly string[]) => tollkeeper(args, { cwd, env })
}

async function credentialsOf(run: Awaited<ReturnType<typeof aDeployment>>) {
  const { out, err } = await run('doctor', '--json')
  expect(`${out}${err}`).not.toMatch(/the-secret|between-us-two/)
  const { checks } = JSON.parse(out) as {
    checks: { name: string; ok: boolean; warns?: boolean; says: string }[]
  }
  return checks.find(({ name }) => name === 'credentials')
}

describe('a live deployment', () => {
  it('that assumes the seller’s role is of the seller’s account', async () => {
    const run = await aDeployment()
    expect(await credentialsOf(run)).toEqual({
      name: 'credentials',
      ok: true,
      says: `arn:aws:sts::${SELLER}:assumed-role/marketplace-seller/tollkeeper of account ${SELLER}`,
    })
  })

  it('with a user’s key works, and is warned', async () => {
    const run = await aDeployment({ role: false, key: 'AKIAUSER', accountId: '999988887777' })
    expect(await credentialsOf(run)).toMatchObject({
      ok: true,
      warns: true,
      says: expect.stringContaining("by a user's access key that never ends"),
    })
    expect((await run('doctor')).out).toMatch(/^warn credentials +arn:aws:iam::999988887777:user\/ada/m)
  })

  it('whose role cannot be assumed is told which, and to look at its trust policy', async () => {
    const run = await aDeployment({ mayAssume: false })
    expect(await credentialsOf(run)).toMatchObject({
      ok: false,
      says: expect.stringMatching(
        /cannot assume the role .*marketplace-seller \(AccessDenied.*same external id as aws\.assumeRole\.externalId/,
      ),
    })
    const { err, code } = await run('subscription', 'sync')
    expect(err).toContain(`cannot assume the role ${ROLE}`)
    expect(code).toBe(1)
  })

  it('of another account does not begin', async () => {
    const run = await aDeployment({ accountId: '111122223333' })
    const { err, code } = await run('usage', 'submit')
    expect(err).toContain(`aws.assumeRole is of account ${SELLER}, aws.accountId says 111122223333`)
    expect(code).toBe(1)
    const ambient = await aDeployment({ role: false })
    expect((await ambient('usage', 'submit')).err).toContain(
      'the AWS credentials are of account 999988887777',
    )
  })
})
