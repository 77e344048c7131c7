import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { aSubscription, utc } from '../contract/fixtures.ts'
import { createSqlLedgerGuard } from './ledger-guard.ts'
import { claimLedger } from './ledger-identity.ts'
import { usePostgres } from './postgres.fixture.ts'
import { openPostgres, type PostgresDatabase } from './postgres.ts'
import { createPostgresPlace } from './postgres-place.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

const NOW = utc('2026-11-21T10:00')
const HOUR = 3_600_000
const MINUTE = 60_000
const postgres = usePostgres()

async function aLedger() {
  const database = await postgres.open()
  await claimLedger(database, { mode: 'simulated', accountId: undefined })
  const guard = await createSqlLedgerGuard(database, createPostgresPlace(database), NOW)
  await guard.beat(NOW)
  return { database, guard }
}

/** As the same ledger is found after something happened to its server. */
async function foundWith(mark: string, value: string, now: number) {
  const { database, guard } = await aLedger()
  await setMark(database, mark, value)
  await guard.beat(now)
  return { database, guard }
}

async function setMark(database: PostgresDatabase, mark: string, value: string): Promise<void> {
  await database.transaction(async (sql) => {
    const row = await sql.get(`SELECT value FROM ledger WHERE name = 'place'`)
    const marks = { ...JSON.parse(String(row!.value)), [mark]: value }
    await sql.run(`UPDATE ledger SET value = ? WHERE name = 'place'`, JSON.stringify(marks))
  })
}

it('does not hold up a ledger that is opened again in its place', async () => {
  const { database, guard } = await aLedger()
  await guard.beat(NOW + HOUR)
  const again = await createSqlLedgerGuard(database, createPostgresPlace(database), NOW + 5 * HOUR)
  expect(again.waiting()).toBeUndefined()
})

it('makes a database that was copied wait until a person lets it go on', async () => {
  const url = await postgres.createLedger()
  const original = openPostgres(url)
  await claimLedger(original, { mode: 'simulated', accountId: undefined })
  await (await createSqlLedgerGuard(original, createPostgresPlace(original), NOW)).beat(NOW)
  await original.close()
  const name = original.name.split('/').at(-1)
  const copy = `${name}_copy`
  const admin = new pg.Client({ connectionString: postgres.server().url('postgres') })
  await admin.connect()
  onTestFinished(() => admin.end())
  await admin.query(`CREATE DATABASE ${copy} TEMPLATE ${name}`)
  const copied = openPostgres(postgres.server().url(copy))
  onTestFinished(() => copied.close())
  const guard = await createSqlLedgerGuard(copied, createPostgresPlace(copied), NOW + 2 * HOUR)
  expect(guard.waiting()).toMatchObject({ from: NOW / HOUR, to: NOW / HOUR + 2 })
  await guard.beat(NOW + 2 * HOUR)
  expect(guard.waiting()).toBeDefined()
  await guard.release('test', NOW + 2 * HOUR)
  const again = await createSqlLedgerGuard(copied, createPostgresPlace(copied), NOW + 3 * HOUR)
  expect(again.waiting()).toBeUndefined()
})

it.each([
  ['system', 'from elsewhere'],
  ['table', 'from a backup'],
])('makes a ledger wait whose %s is another', async (mark, reason) => {
  const { guard } = await foundWith(mark, '7', NOW + MINUTE)
  expect(guard.waiting()).toMatchObject({ reason: expect.stringContaining(reason) })
})

it('goes on after a standby took over, with what may have been lost in doubt', async () => {
  const { database, guard } = await foundWith('timeline', '00000007', NOW + 2 * MINUTE)
  expect(guard.waiting()).toBeUndefined()
  const alarms = await database.read((sql) => sql.all('SELECT kind FROM alarm'))
  expect(alarms.map(({ kind }) => kind)).toEqual(['failover'])
  const doubt = await database.read((sql) => sql.get(`SELECT value FROM ledger WHERE name = 'doubt'`))
  expect(JSON.parse(String(doubt!.value))).toEqual({ from: NOW / HOUR, to: NOW / HOUR })
  // Once: from here on it is the place.
  await guard.beat(NOW + 3 * MINUTE)
  const raised = await database.read((sql) => sql.get('SELECT raised FROM alarm'))
  expect(raised!.raised).toBe(1n)
})

it('believes nothing that was resolved by what a standby lacks that took over', async () => {
  const { database, guard } = await aLedger()
  const [mine, others] = [createSqlSubscriptionStore(database), createSqlSubscriptionStore(database)]
  const { id, tenantId } = (await mine.create(aSubscription(), 'test')).subscription
  const find = () => mine.findMatching('demo', { tenantId: tenantId! })
  await mine.change(id, () => ({ plan: 'lost' }), 'test', NOW)
  expect(await find()).toMatchObject([{ plan: 'lost' }])
  await database.transaction(async (sql) => {
    await sql.run('UPDATE subscription SET plan = NULL')
    await sql.run(`UPDATE ledger SET value = '1' WHERE name = 'epoch'`)
  })
  await setMark(database, 'timeline', '00000007')
  await guard.beat(NOW + 2 * MINUTE)
  await others.change(id, () => ({ plan: 'gold' }), 'test', NOW + 2 * MINUTE)
  expect(await find()).toMatchObject([{ plan: 'gold' }])
})

it('waits where the server was set back to a time when nobody was alive', async () => {
  const { guard } = await foundWith('timeline', '00000007', NOW + 6 * MINUTE)
  expect(guard.waiting()).toMatchObject({ reason: expect.stringContaining('set back') })
})

it('says once what the server does not tell, and goes on', async () => {
  const { database } = await aLedger()
  await database.transaction(async (sql) => {
    await sql.run("CREATE ROLE of_few_words LOGIN PASSWORD 'few'")
    await sql.run('GRANT ALL ON ALL TABLES IN SCHEMA public TO of_few_words')
    await sql.run('REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC')
  })
  const url = new URL(postgres.server().url(database.name.split('/').at(-1)!))
  url.username = 'of_few_words'
  url.password = 'few'
  const limited = openPostgres(url.href)
  onTestFinished(() => limited.close())
  const warnings: string[] = []
  const place = createPostgresPlace(limited, (message) => warnings.push(message))
  const guard = await createSqlLedgerGuard(limited, place, NOW + MINUTE)
  await guard.beat(NOW + 2 * MINUTE)
  expect(guard.waiting()).toBeUndefined()
  expect(warnings).toEqual([expect.stringContaining('tollkeeper db restored')])
})
