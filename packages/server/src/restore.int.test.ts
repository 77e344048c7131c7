import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSimulator, createVirtualClock } from '@tollkeeper/simulator'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { backUpStore, composeEngine, createLogger, openLedger } from './compose.ts'
import { readStoreUrl, type StoreConfig, sqliteStore } from './config/store.ts'
import { demoConfig } from './config.ts'
import { auditUsage } from './domain/usage/audit-usage.ts'
import { aDimension, aProduct, aSubscription } from './storage/contract/fixtures.ts'
import { usePostgres } from './storage/sql/postgres.fixture.ts'

const MINUTE = 60_000
const START = Date.UTC(2026, 10, 21, 10, 5)

/** A store whose ledger is backed up as docs/backup.md says, and put back. */
interface Drill {
  readonly store: StoreConfig
  backUp(): Promise<void>
  /** @returns where the ledger is now */
  restore(): Promise<StoreConfig>
}

const product = aProduct({
  id: 'acme',
  productCode: 'acme0code0of0twenty0five0',
  listing: 'acme',
  graceMs: 5 * MINUTE,
  dimensions: [aDimension({ key: 'requests' })],
})

/** A seller with a simulated AWS, which stays while the ledger is put back. */
async function aSeller() {
  const virtual = createVirtualClock({ start: START, running: false })
  const clock = { now: () => virtual.now(), sleep: async (ms: number) => virtual.advance(Math.ceil(ms)) }
  const simulator = await createSimulator({
    clock: virtual,
    seed: 1,
    settings: { licenseDelayMs: 0, createdDelayMs: 0 },
    products: [
      {
        productCode: product.productCode,
        title: 'Acme',
        metering: 'license',
        pricing: 'usage',
        fulfillmentUrl: 'http://127.0.0.1:4000/',
        dimensions: [{ key: 'requests', types: ['ExternallyMetered'] }],
      },
    ],
  })
  onTestFinished(() => simulator.close())
  const endpoint = (await simulator.listen()).url
  const { licenseArn, accountId } = simulator.marketplace.subscribe({
    productCode: product.productCode,
    accountId: '123456789012',
    buyerName: 'Ada',
  })
  virtual.advance(MINUTE)
  const open = async (store: StoreConfig) => {
    const base = demoConfig()
    const config = { ...base, store, aws: { ...base.aws, endpoint }, products: [product] }
    const ledger = await openLedger(config, clock)
    const logger = createLogger({ log: { level: 'silent' } })
    const engine = await composeEngine(ledger, { clock, logger })
    return {
      ledger,
      report: async (id: string, quantity: number, time = clock.now()) =>
        (
          await engine.ingest([
            { reference: { licenseArn }, product: 'acme', dimension: 'requests', id, time, quantity },
          ])
        )[0],
      run: () => engine.jobs.runOnce(),
      close: async () => {
        await engine.jobs.stop()
        await ledger.close()
      },
    }
  }
  return {
    clock,
    open,
    until: (time: string) => virtual.advance(Date.parse(`2026-11-21T${time}Z`) - clock.now()),
    subscription: () =>
      aSubscription({
        product: 'acme',
        licenseArn,
        customerAwsAccountId: accountId,
        accessStart: clock.now(),
        createdAt: clock.now(),
      }),
    /** Units by hour, as AWS bills them. */
    billed: () => {
      const hours = new Map<string, number>()
      for (const { timestamp, quantity } of simulator.marketplace.ledger().records) {
        const hour = new Date(timestamp).toISOString().slice(11, 13)
        hours.set(hour, (hours.get(hour) ?? 0) + quantity)
      }
      return Object.fromEntries(hours)
    },
  }
}

async function drill({ store, backUp, restore }: Drill): Promise<void> {
  const seller = await aSeller()
  const { open, until, billed, clock } = seller
  let server = await open(store)
  await server.ledger.subscriptions.create(seller.subscription(), 'test')
  await server.report('a', 100)
  until('11:30')
  await server.run()
  expect(billed()).toEqual({ 10: 100 })
  await server.report('b', 50)
  await backUp()

  // It goes on, and what is not in the backup is sent.
  until('11:45')
  await server.report('c', 7)
  until('12:30')
  await server.report('d', 9)
  await server.run()
  expect(billed()).toEqual({ 10: 100, 11: 57 })
  await server.close()

  server = await open(await restore())
  until('12:40')
  await expect(server.report('e', 1)).rejects.toMatchObject({ code: 'ledger.waiting_for_release' })
  until('13:20')
  expect((await server.run()).submit.calls).toBe(0)
  expect(billed()).toEqual({ 10: 100, 11: 57 })

  const wait = await server.ledger.guard.release('cli:somebody', clock.now())
  expect(wait?.reason).toMatch(/restored|copied/)
  expect(await server.report('a', 100, START + MINUTE)).toMatchObject({ status: 'duplicate' })
  // What came after the backup is gone: its product still has it, and reports it again.
  expect(await server.report('d', 9, Date.parse('2026-11-21T12:30Z'))).toMatchObject({ status: 'accepted' })
  await server.run()
  // The hour that was sent by the ledger that is no more is AWS's already: it is taken for our own.
  expect(billed()).toEqual({ 10: 100, 11: 57, 12: 9 })
  const { items } = await server.ledger.usage.listRecords({ limit: 10 })
  expect(items.map(({ quantity, state }) => [quantity, state]).sort()).toEqual([
    [100, 'accepted'],
    [50, 'assumed'],
    [9, 'accepted'],
  ])
  expect(await auditUsage(server.ledger.usage)).toMatchObject({ balanced: true, discrepancies: [] })
  await server.close()
}

function aFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-restore-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

it('bills each hour once after a SQLite ledger was restored in its place', async () => {
  const folder = aFolder()
  const [file, backup] = [join(folder, 'ledger.db'), join(folder, 'backup.db')]
  await drill({
    store: sqliteStore(file),
    backUp: () => backUpStore(sqliteStore(file), backup),
    async restore() {
      for (const suffix of ['-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true })
      copyFileSync(backup, file)
      return sqliteStore(file)
    },
  })
})

it('bills each hour once after a SQLite ledger was restored elsewhere', async () => {
  const folder = aFolder()
  const [file, backup, elsewhere] = ['ledger.db', 'backup.db', 'elsewhere.db'].map((name) =>
    join(folder, name),
  )
  await drill({
    store: sqliteStore(file!),
    backUp: () => backUpStore(sqliteStore(file!), backup!),
    async restore() {
      copyFileSync(backup!, elsewhere!)
      return sqliteStore(elsewhere!)
    },
  })
})

const postgres = usePostgres()

it('bills each hour once after a PostgreSQL database was restored', async () => {
  const url = await postgres.createLedger()
  const name = new URL(url).pathname.slice(1)
  const store = readStoreUrl(url, '/') as StoreConfig
  const admin = new pg.Client({ connectionString: postgres.server().url('postgres') })
  await admin.connect()
  onTestFinished(() => admin.end())
  await drill({
    store,
    async backUp() {
      // Nobody may be connected to what is copied; whoever is comes back.
      await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name])
      await admin.query(`CREATE DATABASE ${name}_backup TEMPLATE ${name}`)
    },
    async restore() {
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
      await admin.query(`ALTER DATABASE ${name}_backup RENAME TO ${name}`)
      return store
    },
  })
})
