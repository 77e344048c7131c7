import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { createSimulator, createVirtualClock } from '@tollkeeper/simulator'
import { describe, expect, it, onTestFinished } from 'vitest'
import { aFolder } from './a-folder.ts'
import { tollkeeper } from './processes.ts'

const DATA = join(import.meta.dirname, 'data/import')
const HOUR = 3_600_000
const LEGACY = '{ id: demo, productCode: n0123456789012345678901234, metering: legacy'
const LICENSED = '{ id: demo, productCode: 74az0btybm649octamy0sktos, productId: prod-demo'
const DIMENSIONS = 'dimensions: [{ key: users }, { key: requests }] }'

/** A seller's folder with a ledger that nobody is in yet. */
async function aSeller(product: string, endpoint?: string) {
  const cwd = aFolder()
  const aws = endpoint === undefined ? '' : `aws: { endpoint: "${endpoint}" }\n`
  writeFileSync(
    join(cwd, 'tollkeeper.yaml'),
    `mode: simulated\nstore: { url: "sqlite:./ledger.db" }\n${aws}products: [${product}, ${DIMENSIONS}]\n`,
  )
  await tollkeeper(['db', 'migrate'], { cwd })
  const subscription = (...args: readonly string[]) => tollkeeper(['subscription', ...args], { cwd })
  return {
    cwd,
    subscription,
    json: async (...args: readonly string[]) => JSON.parse((await subscription(...args, '--json')).out),
    list: async () => JSON.parse((await subscription('list', '--json')).out).subscriptions as Row[],
    /** A table of the fixtures, with its times filled in. */
    put(name: string, as = name) {
      const text = readFileSync(join(DATA, name), 'utf8').replace(/\{\{hoursAgo:(\d+)\}\}/g, (_, hours) =>
        String(Date.now() - Number(hours) * HOUR),
      )
      writeFileSync(join(cwd, as), as.endsWith('.gz') ? gzipSync(text) : text)
      return as
    },
  }
}

interface Row {
  readonly id: string
  readonly status: string
  readonly successor?: string
  readonly licenseArn?: string
  readonly customerIdentifier?: string
  readonly customerAwsAccountId?: string
  readonly tenantId?: string
}

const statuses = (rows: readonly Row[]) =>
  Object.fromEntries(
    rows.map(({ status, licenseArn, customerIdentifier }) => [
      customerIdentifier ?? licenseArn?.slice(-2),
      status,
    ]),
  )

describe('tollkeeper subscription import', () => {
  it('shows what a table of 2025 would bring, brings it, and brings nothing a second time', async () => {
    const { put, json, list, subscription } = await aSeller(LEGACY)
    const args = [put('sample-2025-scan.json'), '--metering', put('metering-2025-scan.json')]
    const dry = await json('import', ...args, '--dry-run')
    expect(dry).toMatchObject({ dryRun: true, rows: 8, known: 0, contacts: 6 })
    expect(dry.imported).toHaveLength(7)
    expect(await list()).toEqual([])

    const done = await subscription('import', ...args)
    expect(done.code).toBe(2)
    expect(done.out).toContain(
      '8 subscribers read: 7 imported (2 active, 2 cancelled, 1 pending, 1 failed, 1 expired), 0 known already',
    )
    expect(done.out).toMatch(
      /11 metering rows: 1 taken by AWS, 5 never sent and reported as 6 events: 3 accepted, 3 refused, 5 of unknown fate, never sent again\./,
    )
    expect(done.out).toMatch(
      /row 7: ifAPi5AcF3, used 2025-07-01T10:00:00.000Z, users=5: was sent, and AWS or the network answered ThrottlingException$/m,
    )
    expect(done.out).not.toMatch(/@|Ada|Acme/)
    expect(statuses(await list())).toEqual({
      ifAPi5AcF3: 'active',
      kg7BolTx92: 'cancelled',
      pqCorpSA11: 'pending',
      zzDuoInc44: 'failed',
      eeEchoAB55: 'cancelled',
      foxNoReg66: 'active',
      ggGolfBV77: 'expired',
    })

    const again = await json('import', ...args)
    expect(again).toMatchObject({ imported: [], completed: [], known: 7, differs: [], contacts: 0 })
    expect(again.metering.pending.outcomes).toEqual({ duplicate: 3, refused: 3 })
  })

  it('brings one that waits for AWS’s word, until a person lets it start', async () => {
    const { put, subscription, list, json } = await aSeller(LEGACY)
    await subscription('import', put('sample-2025-scan.json'))
    const waiting = (await list()).find(({ status }) => status === 'pending')!
    const active = await json('activate', waiting.id, '--at', '2026-01-01T00:00:00Z')
    expect(active).toMatchObject({ status: 'active', grantedAt: Date.parse('2026-01-01T00:00:00Z') })
    const ended = await subscription('end', waiting.id)
    expect(ended.out).toContain('is cancelling; AWS takes its final usage until')
  })

  it('reads a folder of an export to S3, packed, with its manifests', async () => {
    const { cwd, put, json, list } = await aSeller(LICENSED)
    mkdirSync(join(cwd, 'export/data'), { recursive: true })
    writeFileSync(join(cwd, 'export/manifest-summary.json'), '{"version":"2020-06-30"}')
    put('sample-2026-export.jsonl', 'export/data/abcdef.json.gz')
    const { problems } = await json('import', 'export')
    expect(problems.map(({ where }: { where: string }) => where)).toEqual(['line 7', 'line 5, line 6'])
    expect(statuses(await list())).toEqual({ a1: 'active', a2: 'active', b1: 'expired' })
  })

  it.each([
    ['sample-esc.json', LICENSED, { e1: 'active' }],
    [
      'yawl-subscribers.json',
      LEGACY,
      { ifAPi5AcF3: 'active', yyGone2222: 'cancelled', yyLeave333: 'cancelled' },
    ],
    ['buyers.csv', LICENSED, { d1: 'active', d2: 'expired' }],
  ])('reads %s', async (name, product, expected) => {
    const { put, subscription, list } = await aSeller(product)
    await subscription('import', put(name))
    expect(statuses(await list())).toEqual(expected)
  })

  it('reads a table of DynamoDB, all of its pages', async () => {
    const { Items } = JSON.parse(readFileSync(join(DATA, 'sample-2025-scan.json'), 'utf8'))
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        const { TableName, ExclusiveStartKey } = JSON.parse(body)
        const from = ExclusiveStartKey === undefined ? 0 : 4
        const last = from === 0 && { LastEvaluatedKey: { customerIdentifier: Items[3].customerIdentifier } }
        response
          .writeHead(TableName === 'Subscribers' ? 200 : 400, {
            'content-type': 'application/x-amz-json-1.0',
          })
          .end(JSON.stringify({ Items: Items.slice(from, from + 4), ...last }))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const { json } = await aSeller(LEGACY)
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const report = await json('import', `dynamodb://Subscribers?region=eu-west-1&endpoint=${endpoint}`)
    expect(report).toMatchObject({ rows: 8, contacts: 6 })
    expect(report.imported).toHaveLength(7)
  })

  it('reads what AWS itself knows, asks it for licenses, and heals what its notifications did not say', async () => {
    const simulator = await createSimulator({
      clock: createVirtualClock({ start: Date.parse('2026-11-20T12:00:00Z'), running: false }),
      products: [
        {
          productCode: '74az0btybm649octamy0sktos',
          productId: 'prod-demo',
          title: 'Demo',
          metering: 'license',
          pricing: 'usage',
          fulfillmentUrl: 'http://127.0.0.1:4000/register',
          dimensions: [{ key: 'users', price: '1' }],
        },
      ],
      settings: { licenseDelayMs: 0 },
    })
    onTestFinished(() => simulator.close())
    const { url } = await simulator.listen()
    const { marketplace, clock } = simulator
    const { put, json, list, subscription } = await aSeller(LICENSED, url)

    const zwei = marketplace.subscribe({
      productCode: '74az0btybm649octamy0sktos',
      accountId: '222233334444',
    })
    clock.advance(HOUR)
    const esc = await json('import', put('sample-esc.json'), '--ask-aws')
    expect(esc.imported).toMatchObject([
      { where: 'row 1' },
      { where: 'row 2', licenseArn: zwei.licenseArn, accessStart: '2026-11-20T12:00:00.000Z' },
    ])

    const neun = marketplace.subscribe({
      productCode: '74az0btybm649octamy0sktos',
      accountId: '999988887777',
    })
    clock.advance(HOUR)
    const agreements = await json('import', 'agreements')
    expect(agreements).toMatchObject({
      imported: [{ customerAwsAccountId: '999988887777' }],
      known: 1,
      problems: [],
    })

    const renewed = marketplace.renew(neun.id)
    marketplace.cancel(zwei.id)
    clock.advance(10 * 60_000)
    const synced = await subscription('sync')
    expect(synced.out).toContain('ended')
    const ended = (await list()).find(({ customerAwsAccountId }) => customerAwsAccountId === '222233334444')
    expect(ended?.status).toBe('cancelling')
    expect((await subscription('sync')).out).toContain('nothing of it was news')

    const old = (await list()).find(({ status }) => status === 'superseded')
    const shown = await subscription('show', old!.id)
    expect(shown.out).toMatch(/AWS’s reason +RENEWED/)
    expect(shown.out).toMatch(/also +sub_\S+, aws, active, agmt-/)
    const heir = await json('show', old!.successor!)
    expect(heir.subscription).toMatchObject({ status: 'active', licenseArn: renewed.licenseArn })
    const chosen = await subscription('successor', old!.id, renewed.agreementId)
    expect(chosen.out).toContain(`its successor is ${old!.successor}`)
  })

  it('says what is wrong, in one line', async () => {
    const { cwd, subscription } = await aSeller(LEGACY)
    writeFileSync(join(cwd, 'part.json'), '{"Items": [], "NextToken": "more"}')
    writeFileSync(join(cwd, 'cut.json.gz'), gzipSync('[]').subarray(0, 12))
    writeFileSync(join(cwd, 'prose.txt'), 'Dear buyer')
    const mistakes: readonly (readonly [readonly string[], RegExp])[] = [
      [['none.json'], /none\.json is not there: name a file, a folder of files, dynamodb:/],
      [['part.json'], /part\.json is only a part of the table .*scan it without --max-items/],
      [['cut.json.gz'], /cut\.json\.gz cannot be unpacked/],
      [['prose.txt'], /prose\.txt is neither JSON nor CSV/],
      [['part.json', '--product', 'other'], /--product must be one of demo, not "other"/],
      [['dynamodb://T?regio=x'], /a table is named as dynamodb:\/\/TABLE\?region=us-east-1/],
      [['dynamodb://Subscribers'], /simulated mode reads no table of AWS/],
      [['agreements'], /say productId \(prod-…\) of each product/],
    ]
    for (const [args, says] of mistakes) {
      const { code, err } = await subscription('import', ...args)
      expect(err).toMatch(says)
      expect(err.trim().split('\n')).toHaveLength(1)
      expect(code).toBe(1)
    }
  })
})
