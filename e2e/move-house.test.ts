import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import type { Stores } from '../packages/server/src/domain/stores.ts'
import { startPostgresServer } from '../packages/server/src/storage/sql/postgres-server.fixture.ts'
import { openPostgresStores } from '../packages/server/src/storage/sql/postgres-stores.ts'
import { openSqliteStores } from '../packages/server/src/storage/sql/sqlite-stores.ts'
import { aFolder } from './a-folder.ts'
import { marketplaceAt } from './marketplace.ts'
import {
  ask,
  BARE_ENVIRONMENT,
  eventually,
  type Finished,
  MAIN,
  NODE,
  type Running,
  startTollkeeper,
  tollkeeper,
} from './processes.ts'

const BUYERS = ['Acme', 'Globex']
const EVENTS = 3_000
const BATCH = 500
const HOURS_MAX = 30

const configOn = (url: string) => `mode: simulated
log: { level: warn }
store: { url: "${url}" }
jobs: { intervalSeconds: 1 }
products:
  - id: demo
    productCode: demoapi0tollkeeper0000000
    graceMinutes: 5
    dimensions:
      - { key: api_requests, aggregation: count }
      - { key: scans, aggregation: sum }
`

/** A seller's deployment with its simulated AWS, which moves from store to store. */
function aSeller() {
  const folder = aFolder()
  const place = { cwd: folder }
  /** Units by license and dimension that the server acknowledged. */
  const sent = new Map<string, number>()
  let server: Running | undefined
  const addresses = () => server!.ready as { url: string; storefront: string; key: string }
  const marketplace = () => marketplaceAt(addresses().storefront)
  return {
    folder,
    place,
    sent,
    marketplace,
    addresses,
    async start(store: string): Promise<void> {
      writeFileSync(join(folder, 'tollkeeper.yaml'), configOn(store))
      server = await startTollkeeper(
        ['dev', '--port', '0', '--simulator-port', '0', '--data', folder, '--json'],
        place,
      )
      const started = server
      onTestFinished(() => started.stop('SIGKILL'))
      // Right after its start, a server on a busy machine may say that it is overloaded.
      await eventually('it takes requests', () =>
        ask<Status>(`${addresses().url}/usage/status`, addresses()).catch(() => undefined),
      )
    },
    stop: () => server!.stop(),
    async report(events: readonly UsageEvent[]): Promise<string[]> {
      const statuses: string[] = []
      for (let at = 0; at < events.length; at += BATCH) {
        const slice = events.slice(at, at + BATCH)
        const { url, key } = addresses()
        const { outcomes } = await ask<{ outcomes: { status: string }[] }>(`${url}/usage`, {
          body: { events: slice },
          key,
        })
        for (const [index, { status }] of outcomes.entries()) {
          statuses.push(status)
          if (status !== 'accepted' && status !== 'late') continue
          const { licenseArn, quantity } = slice[index]!
          sent.set(licenseArn, (sent.get(licenseArn) ?? 0) + quantity)
        }
      }
      return statuses
    },
    /** Lets hours pass until AWS has all. */
    async settle(): Promise<void> {
      const { url, key } = addresses()
      for (let hour = 0; hour < HOURS_MAX; hour++) {
        await marketplace().advance('1h')
        const { openBuckets } = await eventually('the jobs have run in that hour', async () => {
          const status = await ask<Status>(`${url}/usage/status`, { key })
          return status.records.ready + status.records.sent === 0 && status.oldest === undefined && status
        })
        if (openBuckets === 0) return
      }
    },
    async billed(): Promise<Map<string, number>> {
      const billed = new Map<string, number>()
      for (const { licenseArn, quantity } of await marketplace().ledger())
        billed.set(licenseArn, (billed.get(licenseArn) ?? 0) + quantity)
      return billed
    },
  }
}

interface UsageEvent {
  readonly dimension: 'scans'
  readonly quantity: number
  readonly usageTime: string
  readonly correlationId: string
  readonly licenseArn: string
}

interface Status {
  readonly records: Readonly<Record<string, number>> & { ready: number; sent: number }
  readonly oldest?: object
  readonly openBuckets: number
}

/**
 * Moves the ledger, killed on its way again and again until it has gone through once.
 *
 * @param openTarget - to see when it is being filled: the first kill comes then
 */
async function move(
  cwd: string,
  from: string,
  to: string,
  openTarget: () => Promise<Stores>,
): Promise<Record<string, unknown>> {
  const args = ['db', 'copy', from, to, '--json']
  for (let kills = 0; ; kills++) {
    const child = spawn(NODE, [MAIN, ...args], { cwd, env: BARE_ENVIRONMENT })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text
    })
    const exited = once(child, 'exit') as Promise<[number | null]>
    // The first has to see for three seconds that nobody uses the source; those that follow begin at once.
    if (kills === 0) {
      const { copy, close } = await openTarget()
      while (child.exitCode === null && (await copy.filling()) === undefined) await pause(10)
      child.kill('SIGKILL')
      await close()
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), 500 * 1.5 ** kills)
    const [code] = await exited
    clearTimeout(timer)
    if (code === null) continue
    if (code !== 0) throw new Error(`db copy: ${code} ${err}${out}`)
    return JSON.parse(out) as Record<string, unknown>
  }
}

async function balanced(audit: Promise<Finished>): Promise<void> {
  const { out, code } = await audit
  expect(JSON.parse(out)).toMatchObject({ balanced: true, discrepancies: [] })
  expect(code).toBe(0)
}

it('moves from SQLite to PostgreSQL and back, killed on the way, and bills each unit once', async () => {
  const postgres = await startPostgresServer()
  onTestFinished(() => postgres.stop())
  const seller = aSeller()
  const { folder, place, report, marketplace, settle, billed, sent } = seller
  const first = `sqlite:${join(folder, 'first.db')}`
  const second = await postgres.createEmpty()
  const third = `sqlite:${join(folder, 'third.db')}`

  await seller.start(first)
  const licenses: string[] = []
  for (const buyer of BUYERS) licenses.push((await marketplace().subscribe(buyer)).licenseArn)
  await marketplace().advance('2m')
  const now = await marketplace().now()
  const event = (id: string, index: number, time: number): UsageEvent => ({
    dimension: 'scans',
    quantity: (index % 7) + 1,
    usageTime: new Date(time).toISOString(),
    correlationId: `${id}-${index}`,
    licenseArn: licenses[index % licenses.length]!,
  })
  const events = Array.from({ length: EVENTS }, (_, index) => event('a', index, now + index))
  await report(events)
  await marketplace().advance('90m')
  await eventually('an hour is billed', async () => (await billed()).size === BUYERS.length)
  // Open when the house is moved.
  const open = [event('b', 0, await marketplace().now())]
  await report(open)
  await seller.stop()

  // Else it was never cut while it copied.
  const moved = { resumed: true, verified: true, differences: [] }
  expect(await move(folder, first, second, () => openPostgresStores(second))).toMatchObject(moved)
  const status = await tollkeeper(['usage', 'status'], place)
  expect(status.out).toContain('was moved to')

  await seller.start(second)
  expect(new Set(await report([...events.slice(0, BATCH), ...open]))).toEqual(new Set(['duplicate']))
  expect(await report([event('late', 1, now)])).toEqual(['late'])
  await settle()
  expect(await billed()).toEqual(sent)
  await report([event('c', 3, await marketplace().now())])
  await seller.stop()
  await balanced(tollkeeper(['usage', 'audit', '--json'], place))

  const home = join(folder, 'third.db')
  expect(await move(folder, second, third, () => openSqliteStores(home))).toMatchObject(moved)
  await seller.start(third)
  expect(new Set(await report(events.slice(-BATCH)))).toEqual(new Set(['duplicate']))
  await settle()
  expect(await billed()).toEqual(sent)
  await seller.stop()
  await balanced(tollkeeper(['usage', 'audit', '--json'], place))
})
