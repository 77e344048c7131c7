import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { utc } from '../contract/fixtures.ts'
import { createSqlLedgerGuard } from './ledger-guard.ts'
import { claimLedger } from './ledger-identity.ts'
import { openPostgres } from './postgres.ts'
import { createPostgresPlace } from './postgres-place.ts'
import { startPostgresServer } from './postgres-server.fixture.ts'

const NOW = utc('2026-11-21T10:00')

it('stays with no standby that its connections lead to, and goes on with the server that took over', async () => {
  const server = await startPostgresServer()
  onTestFinished(() => server.stop())
  const url = await server.createLedger()
  const database = openPostgres(url)
  onTestFinished(() => database.close())
  await claimLedger(database, { mode: 'simulated', accountId: undefined })
  const guard = await createSqlLedgerGuard(database, createPostgresPlace(database), NOW)
  await guard.beat(NOW)

  await server.becomeStandby()
  const busy = { code: 'ledger.busy', message: expect.stringContaining('57P03') }
  await expect(database.get('SELECT 1')).rejects.toMatchObject(busy)
  await expect(database.read((sql) => sql.get('SELECT 1'))).rejects.toMatchObject(busy)
  await expect(database.transaction((sql) => sql.get('SELECT 1'))).rejects.toMatchObject(busy)
  await expect(database.connect()).rejects.toMatchObject(busy)
  expect(database.pool.totalCount).toBe(0)

  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query('SELECT pg_promote()')
  await admin.end()
  await guard.beat(NOW + 60_000)
  expect(guard.waiting()).toBeUndefined()
  const alarms = await database.read((sql) => sql.all('SELECT kind FROM alarm'))
  expect(alarms).toEqual([{ kind: 'failover' }])
})
