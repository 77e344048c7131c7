import { describe, expect, it, onTestFinished } from 'vitest'
import { aDimension, aProduct } from '../contract/fixtures.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { aGate, usePostgres, waits } from './postgres.fixture.ts'
import type { PostgresDatabase } from './postgres.ts'
import { BEGIN_INGEST } from './postgres-ingest-statements.ts'
import { migratePostgres } from './postgres-migrations.ts'
import { openPostgresStores } from './postgres-stores.ts'
import { int } from './rows.ts'

// Which steps wait for each other, which do not, and what they leave behind.

const postgres = usePostgres()

const setCount = `UPDATE ledger SET value = ? WHERE name = 'readings'`
const fails = (code: string) => `DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '${code}'; END $$`
const AGAIN = fails('40001')

async function countOf(database: PostgresDatabase): Promise<number> {
  return int((await database.get(`SELECT value FROM ledger WHERE name = 'readings'`))!.value)
}

describe('a dump of the database that runs', () => {
  it('holds up neither a step that is run alone nor one that excludes ingest', async () => {
    const url = await postgres.createLedger()
    const database = await postgres.open(url, { lockTimeoutMs: 1_000 })
    const dump = await database.connect()
    onTestFinished(() => dump.end())
    await dump.query('BEGIN; LOCK TABLE ingest_gate, rate IN ACCESS SHARE MODE')
    let tries = 0
    await database.transaction(async (sql) => {
      if (++tries <= 3) await sql.run(AGAIN)
      await sql.run(setCount, '5')
    })
    await database.transaction((sql) => sql.run(setCount, '6'), { excludesIngest: true })
    expect([tries, await countOf(database)]).toEqual([4, 6])
  })
})

describe('a step that is run alone', () => {
  const write = `INSERT INTO rate VALUES ('a', 7)`

  it.each([
    [
      'ingest',
      async (database: PostgresDatabase, { open, opened }: ReturnType<typeof aGate>) => {
        const client = await database.connect()
        await client.query(BEGIN_INGEST)
        await client.query(write)
        open()
        await opened
        return async () => {
          await client.query('COMMIT')
          await client.end()
        }
      },
    ],
    [
      'a step beside it',
      async (database: PostgresDatabase, { open, opened }: ReturnType<typeof aGate>) => {
        const end = aGate()
        const step = database.transaction(async (sql) => {
          await sql.run(write)
          open()
          await end.opened
        })
        await opened
        return () => {
          end.open()
          return step
        }
      },
    ],
  ])('waits for %s, and sees what it did', async (_, begin) => {
    const database = await postgres.open()
    const end = await begin(database, aGate())
    let tries = 0
    let isOver = false
    const step = database
      .transaction(async (sql) => {
        if (++tries <= 3) await sql.run(AGAIN)
        return (await sql.get('SELECT next_at FROM rate'))?.next_at
      })
      .finally(() => {
        isOver = true
      })
    expect(await waits(database, () => isOver)).toBe(true)
    await end()
    expect([await step, tries]).toEqual([7n, 4])
  })
})

it('runs a step alone after all else failed, also where the last that failed was a duplicate', async () => {
  const database = await postgres.open()
  const obstacles = [AGAIN, AGAIN, fails('23505')]
  await database.transaction(async (sql) => {
    const obstacle = obstacles.shift()
    if (obstacle !== undefined) await sql.run(obstacle)
    await sql.run(setCount, '5')
  })
  expect(await countOf(database)).toBe(5)
  let tries = 0
  const step = database.transaction((sql) => {
    tries++
    return sql.run(fails('23505'))
  })
  await expect(step).rejects.toMatchObject({ code: '23505' })
  expect(tries).toBe(3)
})

it('leaves tables as they are that a later version brings further in the meantime', async () => {
  const database = await postgres.open(await postgres.server().createEmpty())
  await migratePostgres(database)
  const later = await database.connect()
  onTestFinished(() => later.end())
  // Kysely's own, which is taken after this version has looked.
  await later.query('SELECT pg_advisory_lock(3853314791062309107)')
  let isOver = false
  const migrated = migratePostgres(database).finally(() => {
    isOver = true
  })
  expect(await waits(database, () => isOver)).toBe(true)
  await later.query(`INSERT INTO kysely_migration VALUES ('2999-01-01-later', '2999-01-01T00:00:00Z')`)
  await later.query('SELECT pg_advisory_unlock(3853314791062309107)')
  expect(await migrated).toEqual([])
})

it('uses up no number of a meter for an hour that is silent', async () => {
  const url = await postgres.createLedger()
  const stores = await openPostgresStores(url)
  onTestFinished(() => stores.close())
  const product = aProduct({ dimensions: [aDimension({ reportZero: true })] })
  const ledger = await startLedger(async () => stores, product)
  const silentHours = async () => {
    await ledger.subscribe({ accessStart: ledger.clock.now() - 3 * 3_600_000 })
    ledger.clock.set(ledger.clock.now() + 3 * 3_600_000)
    expect(await ledger.silence()).toBeGreaterThan(2)
  }
  await silentHours()
  await silentHours()
  const database = await postgres.open(url)
  const row = await database.get('SELECT COUNT(*) AS meters, MAX(seq) - MIN(seq) AS apart FROM meter')
  expect(row).toEqual({ meters: 2n, apart: 1n })
})

it('says that a database is busy that was made read-only, and changes it again once it may', async () => {
  const url = await postgres.server().createEmpty()
  const database = await postgres.open(url)
  await migratePostgres(database)
  const admin = await postgres.open(postgres.server().url('postgres'))
  const readOnly = (value: string) =>
    admin.pool.query(
      `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_read_only = ${value}`,
    )
  await readOnly('on')
  const limited = await postgres.open(url)
  const change = () => limited.transaction((sql) => sql.run(setCount, '5'))
  await expect(change()).rejects.toMatchObject({ code: 'ledger.busy' })
  await readOnly('off')
  await change()
  expect(await countOf(database)).toBe(5)
})

it('uses up no number of a meter for a successor that has it', async () => {
  const url = await postgres.createLedger()
  const stores = await openPostgresStores(url)
  onTestFinished(() => stores.close())
  const ledger = await startLedger(async () => stores)
  const { subscribe, report, end, clock } = ledger
  const heir = await subscribe()
  await report(heir, 'own', 1)
  for (const id of ['first', 'second']) {
    const old = await subscribe()
    await report(old, id, 2)
    await end(old, clock.now() - 60_000, heir)
  }
  const { items } = await stores.usage.listBuckets({ status: 'open', limit: 10 })
  expect(items.map(({ subscription, quantity }) => [subscription, quantity])).toContainEqual([heir.id, 5n])
  const database = await postgres.open(url)
  const row = await database.get('SELECT COUNT(*) AS meters, MAX(seq) - MIN(seq) AS apart FROM meter')
  expect(row).toEqual({ meters: 3n, apart: 2n })
})
