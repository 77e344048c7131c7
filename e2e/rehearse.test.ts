import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RehearsalReport } from '../packages/server/src/cli/rehearse/bill.ts'
import { describeOnDynamo, dynamoEndpoint } from '../packages/server/src/storage/dynamodb/dynamodb.fixture.ts'
import { startPostgresServer } from '../packages/server/src/storage/sql/postgres-server.fixture.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '../packages/server/src/cli/main.ts')
const ACCESS_LOG = join(import.meta.dirname, 'data/access.log.gz')
const ACCESS_LOG_OPTIONS = [
  '--format',
  'combined',
  '--buyer',
  'remote_addr',
  '--dimension',
  'requests=count',
  '--dimension',
  'egress_mb=sum:bytes/1000000',
]

async function rehearse(log: string, ...options: string[]): Promise<RehearsalReport> {
  const { stdout } = await run(process.execPath, [MAIN, 'rehearse', log, ...options, '--json'], {
    maxBuffer: 64e6,
  })
  return JSON.parse(stdout)
}

/** Tables of rehearsals: those of other tests come and go. */
async function listTables(endpoint: string): Promise<string[]> {
  const client = new DynamoDBClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })
  const { TableNames = [] } = await client.send(new ListTablesCommand({}))
  return TableNames.filter((name) => name.startsWith('ledger'))
}

describe('a real access log', () => {
  let plain: RehearsalReport
  beforeAll(async () => {
    plain = await rehearse(ACCESS_LOG, ...ACCESS_LOG_OPTIONS)
  })

  it('is billed to the last request and byte', () => {
    expect(plain.lines).toEqual({ read: 10_000, malformed: 0, truncated: 1 })
    expect(plain.events).toEqual({ accepted: 10_000, duplicate: 0, refused: 0, late: 0 })
    expect(plain.buyers).toBe(1_753)
    expect(plain.dimensions.requests).toMatchObject({ billed: 10_000, carried: '0', records: 3_052 })
    const { billed, carried } = plain.dimensions.egress_mb!
    expect(BigInt(billed) * 1_000_000n + BigInt(carried)).toBe(2_747_282_740n)
    expect(plain.audit).toMatchObject({ balanced: true, findings: [] })
  })

  it('has the same bill, to the unit, when all that can go wrong goes wrong', async () => {
    const faulted = await rehearse(ACCESS_LOG, ...ACCESS_LOG_OPTIONS, '--faults')
    expect(Object.keys(faulted.faults).sort()).toEqual([
      'cutAfter',
      'cutBefore',
      'html503',
      'internalError',
      'refuse',
      'slow',
      'throttle',
      'truncatedBody',
      'unprocessed',
    ])
    expect({ ...faulted, faults: {} }).toEqual(plain)
  })

  it('says what is in doubt after an outage that crosses AWS’s window, and stays balanced', async () => {
    const outage = await rehearse(ACCESS_LOG, ...ACCESS_LOG_OPTIONS, '--faults=outage')
    expect(outage.audit.balanced).toBe(true)
    const accounts = outage.audit.accounts.requests!
    expect(BigInt(accounts.in_doubt!)).toBeGreaterThan(0n)
    expect(BigInt(accounts.accepted!) + BigInt(accounts.in_doubt!)).toBe(10_000n)
    // What AWS took is at most what was accepted or is in doubt: nothing is billed twice.
    expect(Number(outage.dimensions.requests!.billed)).toBeGreaterThanOrEqual(Number(accounts.accepted))
    expect(Number(outage.dimensions.requests!.billed)).toBeLessThanOrEqual(10_000)
  })
})

describe('a part of it', () => {
  let directory = ''
  let log = ''
  let onSqlite: RehearsalReport
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tollkeeper-e2e-'))
    log = join(directory, 'part.log')
    const lines = gunzipSync(await readFile(ACCESS_LOG))
      .toString()
      .split('\n')
    await writeFile(log, lines.slice(0, 150).join('\n'))
    onSqlite = await rehearse(log, ...ACCESS_LOG_OPTIONS)
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  it('has the same bill on PostgreSQL when all goes wrong there, and leaves nothing behind', async () => {
    const server = await startPostgresServer()
    try {
      const store = ['--store', await server.createEmpty()]
      const before = await server.databases()
      const faulted = await rehearse(log, ...ACCESS_LOG_OPTIONS, '--faults', ...store)
      expect({ ...faulted, faults: {} }).toEqual(onSqlite)
      expect(await server.databases()).toEqual(before)
    } finally {
      await server.stop()
    }
  })

  describeOnDynamo('on DynamoDB', () => {
    it('has the same bill when all goes wrong there, and leaves nothing behind', async () => {
      const endpoint = await dynamoEndpoint()
      const tables = () => listTables(endpoint)
      const before = await tables()
      const store = ['--store', `dynamodb://us-east-1/ledger?endpoint=${endpoint}`]
      const faulted = await rehearse(log, ...ACCESS_LOG_OPTIONS, '--faults', ...store)
      expect({ ...faulted, faults: {} }).toEqual(onSqlite)
      expect(await tables()).toEqual(before)
    })
  })

  it('is not rehearsed beyond this machine', async () => {
    const store = 'postgres://me@db.example.com/ledger'
    await expect(rehearse(log, ...ACCESS_LOG_OPTIONS, '--store', store)).rejects.toMatchObject({
      stderr: expect.stringContaining('--store must be on this machine'),
    })
  })
})

describe('a usage log', () => {
  let directory = ''
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tollkeeper-e2e-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  it('bills five users of 720 hours as 5, and a gauge of 25 GB as 25', async () => {
    const lines: string[] = []
    for (let hour = 0; hour < 720; hour++) {
      const time = new Date(Date.UTC(2026, 10, 1, hour, 10)).toISOString()
      for (let user = 0; user < 5; user++)
        lines.push(
          JSON.stringify({ id: `${hour}-${user}`, time, buyer: 'acme', user: `user-${user}`, gb: 25 }),
        )
    }
    const log = join(directory, 'month.ndjson')
    await writeFile(log, lines.join('\n'))
    const report = await rehearse(
      log,
      '--format',
      'ndjson',
      '--buyer',
      'buyer',
      '--dimension',
      'users=unique:user',
      '--dimension',
      'storage_gb=max:gb',
    )
    expect(report.dimensions.users).toMatchObject({ billed: 5, carried: '0' })
    expect(report.dimensions.storage_gb).toMatchObject({ billed: 25, carried: '0' })
    expect(report.audit.balanced).toBe(true)
  })

  it('counts a repeated id once and says that it was a duplicate', async () => {
    const log = join(directory, 'repeats.csv')
    await writeFile(
      log,
      'id,time,buyer,units\na,2026-11-01T00:10:00Z,acme,3\na,2026-11-01T00:10:00Z,acme,3\nb,2026-11-01T00:20:00Z,acme,4\n',
    )
    const report = await rehearse(
      log,
      '--format',
      'csv',
      '--buyer',
      'buyer',
      '--dimension',
      'units=sum:units',
      '--price',
      'units=0.10',
    )
    expect(report.events).toEqual({ accepted: 2, duplicate: 1, refused: 0, late: 0 })
    expect(report.bill).toMatchObject({ currency: 'USD', total: '0.70' })
  })
})
