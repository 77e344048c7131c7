import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { aFolder } from './a-folder.ts'
import { marketplaceAt } from './marketplace.ts'
import {
  ask,
  BARE_ENVIRONMENT,
  eventually,
  MAIN,
  NODE,
  Refusal,
  type Running,
  startTollkeeper,
  tollkeeper,
} from './processes.ts'
import { createRandom } from './simulation/random.ts'

const KILLS = 24
/** Of these, as many die before they are ready: while they open, migrate or recover. */
const KILLS_WHILE_STARTING = 6
const CLIENTS = 8
const BUYERS = ['Acme', 'Globex', 'Initech']
const BATCH_MAX = 60
const QUANTITY_MAX = 1_000
/** Hours until AWS must have everything, once nobody reports any more. */
const HOURS_MAX = 30

const CONFIG = `mode: simulated
log: { level: warn }
store: { url: "sqlite:./ledger.db" }
jobs: { intervalSeconds: 1 }
products:
  - id: demo
    productCode: demoapi0tollkeeper0000000
    graceMinutes: 5
    dimensions:
      - { key: api_requests, aggregation: count }
      - { key: scans, aggregation: sum }
`

interface UsageEvent {
  readonly dimension: 'api_requests' | 'scans'
  readonly quantity?: number
  readonly usageTime: string
  readonly correlationId: string
  readonly licenseArn: string
}

it('loses nothing and counts nothing twice when it is killed under load, again and again', async () => {
  const seed = Number(process.env.TOLLKEEPER_SEED ?? randomInt(2 ** 31))
  console.log(`seed ${seed}: repeat with TOLLKEEPER_SEED=${seed}`)
  const random = createRandom(seed)
  const folder = aFolder()
  writeFileSync(join(folder, 'tollkeeper.yaml'), CONFIG)
  const place = { cwd: folder }
  const args = ['dev', '--port', '0', '--simulator-port', '0', '--data', folder, '--json']

  // Server, ledger and simulated AWS are one process with one virtual clock: all of it dies, all must recover.
  let server: Running = await startTollkeeper(args, place)
  onTestFinished(() => server.stop('SIGKILL'))
  const addresses = () => server.ready as { url: string; storefront: string; key: string }
  const marketplace = () => marketplaceAt(addresses().storefront)

  const licenses: string[] = []
  for (const buyer of BUYERS) licenses.push((await marketplace().subscribe(buyer)).licenseArn)
  await marketplace().advance('2m')
  const start = await marketplace().now()

  /** Units that the server acknowledged, by license and dimension. */
  const sent = new Map<string, number>()
  let stopping = false
  let repeats = 0
  const load = [
    ...Array.from({ length: CLIENTS }, (_, client) => report(client)),
    // Hours pass meanwhile, so that the server also dies while it seals and sends.
    passTime(),
  ]
  for (let kill = 0; kill < KILLS; kill++) {
    if (kill % (KILLS / KILLS_WHILE_STARTING) === 1) await killWhileStarting()
    await pause(random.int(50, 1_500))
    await server.stop('SIGKILL')
    server = await startTollkeeper(args, place)
    await marketplace().orderFault({ kind: 'cutAfter', share: 0.2, operation: 'BatchMeterUsage' })
  }
  stopping = true
  await Promise.all(load)

  await marketplace().clearFaults()
  const { key, url } = addresses()
  for (let hour = 0; hour < HOURS_MAX; hour++) {
    await marketplace().advance('1h')
    await eventually('the jobs have run in that hour', async () => {
      const { records, oldest } = await ask<Status>(`${url}/usage/status`, { key })
      return records.ready + records.sent === 0 && oldest === undefined
    })
    if ((await ask<Status>(`${url}/usage/status`, { key })).openBuckets === 0) break
  }
  const status = await ask<Status>(`${url}/usage/status`, { key })
  const { accepted, ...others } = status.records
  expect(accepted).toBeGreaterThan(0)
  expect(Object.values(others), JSON.stringify(status)).toEqual(Object.values(others).map(() => 0))

  const billed = new Map<string, number>()
  for (const { licenseArn, dimension, quantity } of await marketplace().ledger()) {
    add(billed, `${licenseArn} ${dimension}`, quantity)
  }
  expect(sorted(billed), `seed ${seed}`).toEqual(sorted(sent))
  const units = [...sent.values()].reduce((sum, amount) => sum + amount, 0)
  console.log(
    `${KILLS + KILLS_WHILE_STARTING} kills, ${units} units, ${accepted} records, ${repeats} repeats`,
  )
  expect(sent.size).toBe(BUYERS.length * 2)
  expect(repeats, 'some answers were lost, so some events were sent again').toBeGreaterThan(0)

  await server.stop()
  const audit = await tollkeeper(['usage', 'audit', '--json'], place)
  expect(JSON.parse(audit.out)).toMatchObject({ balanced: true, discrepancies: [] })
  expect(audit.code).toBe(0)

  /** One client: reports, and repeats each report until it has an answer. */
  async function report(client: number): Promise<void> {
    for (let turn = 0; !stopping; turn++) {
      const time = await untilAnswered(() => marketplace().now())
      const single = random.chance(0.4)
      const events = Array.from({ length: single ? 1 : random.int(1, BATCH_MAX) }, (_, index) =>
        anEvent(`${client}-${turn}-${index}`, time - random.int(0, 600_000)),
      )
      const outcomes = await untilAnswered(async () => {
        if (single)
          return [await ask<Outcome>(`${addresses().url}/meter`, { body: events[0], key: addresses().key })]
        const body = { events }
        return (
          await ask<{ outcomes: Outcome[] }>(`${addresses().url}/usage`, { body, key: addresses().key })
        ).outcomes
      })
      for (const [index, { status, reason }] of outcomes.entries()) {
        if (!['accepted', 'late', 'duplicate'].includes(status)) throw new Error(`${status}: ${reason}`)
        const { licenseArn, dimension, quantity } = events[index]!
        add(sent, `${licenseArn} ${dimension}`, quantity ?? 1)
      }
    }
  }

  function anEvent(correlationId: string, time: number): UsageEvent {
    const about = {
      usageTime: new Date(Math.max(time, start)).toISOString(),
      correlationId,
      licenseArn: random.pick(licenses),
    }
    return random.chance(0.5)
      ? { dimension: 'api_requests', ...about }
      : { dimension: 'scans', quantity: random.int(1, QUANTITY_MAX), ...about }
  }

  async function passTime(): Promise<void> {
    while (!stopping) {
      await pause(random.int(20, 200))
      // Nobody there: the next one goes on from where time stood.
      await marketplace()
        .advance(`${random.int(1, 40)}m`)
        .catch(() => undefined)
    }
  }

  async function untilAnswered<T>(exchange: () => Promise<T>): Promise<T> {
    return eventually('the server is back', async () => {
      try {
        return await exchange()
      } catch (error) {
        // The connection broke, or nobody listens: what a client cannot know the outcome of, it repeats.
        // The same for one who is told to come back: right after its start the server may be overloaded.
        const isBusy = error instanceof Refusal && error.status === 503
        if (!(error instanceof TypeError) && !isBusy) throw error
        repeats++
        return undefined
      }
    })
  }

  async function killWhileStarting(): Promise<void> {
    await server.stop('SIGKILL')
    const child = spawn(NODE, [MAIN, ...args], { cwd: folder, env: BARE_ENVIRONMENT, stdio: 'ignore' })
    await pause(random.int(100, 700))
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    server = await startTollkeeper(args, place)
  }
})

interface Outcome {
  readonly status: string
  readonly reason?: string
}

interface Status {
  readonly records: Readonly<Record<string, number>> & { accepted: number; ready: number; sent: number }
  readonly oldest?: object
  readonly openBuckets: number
}

function add(totals: Map<string, number>, name: string, amount: number): void {
  totals.set(name, (totals.get(name) ?? 0) + amount)
}

function sorted(totals: ReadonlyMap<string, number>): [string, number][] {
  return [...totals].sort(([a], [b]) => a.localeCompare(b))
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
