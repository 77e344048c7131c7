import { readFileSync } from 'node:fs'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { aSubscription } from '../contract/fixtures.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { usePostgres } from './postgres.fixture.ts'
import { openPostgresStores } from './postgres-stores.ts'

const postgres = usePostgres()
const page = readFileSync(new URL('../../../../../docs/postgresql.md', import.meta.url), 'utf8')
/** The statements of the page, in its order: the roles, what they may, and a report. */
const [roles, grants, report] = [...page.matchAll(/```sql\n(.*?)```/gs)].map(([, block]) => block!)

async function run(url: string, statements: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await client.query(statements)
  } finally {
    await client.end()
  }
}

it('the page on PostgreSQL says how to set it up: its roles can do their work, and no more', async () => {
  const server = postgres.server()
  for (const statement of roles!.split(/;\s*/))
    if (statement !== '') await run(server.url('postgres'), statement)
  const as = (role: string) => {
    const url = new URL(server.url('tollkeeper'))
    url.username = role
    url.password = 'change me'
    return url.href
  }
  const owner = await openPostgresStores(as('tollkeeper_owner'))
  await owner.close()
  await run(as('tollkeeper_owner'), grants!)

  const stores = await openPostgresStores(as('tollkeeper_server'))
  onTestFinished(() => stores.close())
  await stores.claimLedger({ mode: 'simulated', accountId: undefined })
  const ledger = await startLedger(async () => stores)
  const guard = await stores.guardLedger(ledger.clock.now())
  await guard.beat(ledger.clock.now())
  const { subscription } = await stores.subscriptions.create(aSubscription(), 'test')
  expect(await ledger.report(subscription, 'one', 3)).toMatchObject({ status: 'accepted' })
  ledger.clock.set(ledger.clock.now() + 3_600_000)
  await ledger.close()
  await ledger.submit()
  expect(await ledger.audit()).toMatchObject({ balanced: true })
  for (const statement of ['DELETE FROM transfer', 'DROP TABLE bucket', 'TRUNCATE audit_entry'])
    await expect(run(as('tollkeeper_server'), statement)).rejects.toThrow(/permission denied|must be owner/)

  const { rows } = await run(as('tollkeeper_analyst'), report!)
  expect(rows).toMatchObject([{ product: 'demo', dimension: 'requests', units: '3' }])
  for (const table of ['ledger', 'buyer_contact', 'service_key', 'bucket'])
    await expect(run(as('tollkeeper_analyst'), `SELECT * FROM ${table}`)).rejects.toThrow('permission denied')
  await expect(run(as('tollkeeper_analyst'), 'DELETE FROM meter_usage')).rejects.toThrow('cannot delete')
})

it('names every column of meter_usage', async () => {
  const { rows } = await run(await postgres.createLedger(), 'SELECT * FROM meter_usage LIMIT 0').then(
    ({ fields }) => ({ rows: fields.map(({ name }) => name) }),
  )
  expect(rows.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
})

it('warns of a server that does not wait for its disk', async () => {
  const stores = await openPostgresStores(await postgres.createLedger())
  onTestFinished(() => stores.close())
  expect(stores.warnings).toEqual([
    expect.stringContaining('fsync is off in postgres://127.0.0.1'),
    expect.stringContaining('full_page_writes is off'),
  ])
})
