import { inspect } from 'node:util'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { aSink } from '../contract/outbox-harness.ts'
import { appendDomainEvent } from './domain-events.ts'
import { createSqlOutboxStore } from './outbox-store.ts'
import { aGate, usePostgres, waits } from './postgres.fixture.ts'
import { openPostgres, type PostgresDatabase } from './postgres.ts'
import { migratePostgres } from './postgres-migrations.ts'
import { startCuttingProxy } from './postgres-proxy.fixture.ts'
import { int, text } from './rows.ts'

// What this engine does otherwise than SQLite: several writers at once, and a network in between.

const postgres = usePostgres()

const COUNT = `SELECT value FROM ledger WHERE name = 'readings'`
const setCount = `UPDATE ledger SET value = ? WHERE name = 'readings'`

async function countOf(database: PostgresDatabase): Promise<number> {
  return int((await database.get(COUNT))!.value)
}

it('takes values of every kind, and gives whole numbers back as such, whatever their size', async () => {
  const database = await postgres.open()
  const row = await database.get(
    `SELECT ?1::bigint AS big, ?2::text AS word, ?3::bytea AS bytes, 1 = 1 AS yes, 1 = 2 AS no, NULL AS nothing, COUNT(*) AS n,
       (SELECT SUM(x) FROM (VALUES (9223372036854775807), (1)) AS v (x)) AS sum`,
    9_223_372_036_854_775_807n,
    "it's 👋\0",
    new Uint8Array([0, 255]),
  )
  expect(row).toEqual({
    big: 9_223_372_036_854_775_807n,
    // A text of PostgreSQL's has no NUL.
    word: "it's 👋\uFFFD",
    bytes: Buffer.from([0, 255]),
    yes: 1n,
    no: 0n,
    nothing: null,
    n: 1n,
    sum: 9_223_372_036_854_775_808n,
  })
})

it('does alone what others undo again and again', async () => {
  const url = await postgres.createLedger()
  const [mine, theirs] = [await postgres.open(url), await postgres.open(url)]
  const touch = `UPDATE ledger SET value = value WHERE name = 'epoch'`
  let isDone = false
  const busy = (async () => {
    while (!isDone) await theirs.transaction((sql) => sql.run(touch))
  })()
  let tries = 0
  await mine.transaction(async (sql) => {
    tries++
    await sql.get(`SELECT value FROM ledger WHERE name = 'epoch'`)
    await sql.get('SELECT pg_sleep(0.1)')
    await sql.run(touch)
  })
  isDone = true
  await busy
  expect(tries).toBe(4)
})

describe('two writers at once', () => {
  it('run again what got in each other’s way: nothing is lost', async () => {
    const url = await postgres.createLedger()
    const nodes = [await postgres.open(url), await postgres.open(url)]
    let runs = 0
    const increment = (database: PostgresDatabase) =>
      database.transaction(async (sql) => {
        runs++
        const count = int((await sql.get(COUNT))!.value)
        await sql.run(setCount, String(count + 1))
      })
    await Promise.all(Array.from({ length: 12 }, (_, number) => increment(nodes[number % 2]!)))
    expect(await countOf(nodes[0]!)).toBe(12)
    expect(runs).toBeGreaterThan(12)
  })

  it('see what they only read of each other, too', async () => {
    const database = await postgres.open()
    await database.pool.query(`INSERT INTO rate VALUES ('a', 1), ('b', 1)`)
    // Each takes its own away only while the other one is there.
    const leave = (own: string) =>
      database.transaction(async (sql) => {
        const { n } = (await sql.get('SELECT COUNT(*) AS n FROM rate WHERE next_at = 1'))!
        if (n === 2n) await sql.run('UPDATE rate SET next_at = 0 WHERE region = ?', own)
      })
    await Promise.all([leave('a'), leave('b')])
    expect((await database.get('SELECT SUM(next_at) AS sum FROM rate'))!.sum).toBe(1n)
  })

  it('run again after a deadlock', async () => {
    const database = await postgres.open()
    await database.pool.query(`INSERT INTO rate VALUES ('a', 0), ('b', 0)`)
    const both = [aGate(), aGate()]
    const add = (first: string, second: string, own: number) =>
      database.transaction(async (sql) => {
        await sql.run('UPDATE rate SET next_at = next_at + 1 WHERE region = ?', first)
        both[own]!.open()
        await both[1 - own]!.opened
        await sql.run('UPDATE rate SET next_at = next_at + 1 WHERE region = ?', second)
      })
    await Promise.all([add('a', 'b', 0), add('b', 'a', 1)])
    expect((await database.get('SELECT SUM(next_at) AS sum FROM rate'))!.sum).toBe(4n)
  })

  it('are told that the ledger is busy when it never ends', async () => {
    const database = await postgres.open()
    const real = performance.now.bind(performance)
    const start = real()
    vi.spyOn(performance, 'now').mockImplementation(() => start + (real() - start) * 100)
    onTestFinished(() => void vi.restoreAllMocks())
    const step = database.transaction(async (sql) => {
      await sql.run(`DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$`)
    })
    await expect(step).rejects.toMatchObject({ code: 'ledger.busy' })
  })

  it('tell of events in the order in which they are committed: a cursor passes none by', async () => {
    const database = await postgres.open()
    const outbox = createSqlOutboxStore(database)
    const sink = aSink('webhook:crm')
    await outbox.register([sink], 0)
    const event = (id: string) => {
      const about = { type: 'subscription.changed', at: 0, product: 'demo', buyer: 'buy_1' } as const
      return { id, subscription: `sub of ${id}`, ...about, data: {} }
    }
    const gate = aGate()
    const written = aGate()
    const first = database.transaction(async (sql) => {
      await appendDomainEvent(sql, event('evt_1'))
      written.open()
      await gate.opened
    })
    await written.opened
    let isOver = false
    const second = database
      .transaction((sql) => appendDomainEvent(sql, event('evt_2')))
      .then(() => {
        isOver = true
      })
    await waits(database, () => isOver)
    await outbox.fanOut([sink], 0, 10)
    gate.open()
    await Promise.all([first, second])
    await outbox.fanOut([sink], 0, 10)
    const { items } = await outbox.list({ limit: 10 })
    expect(items.map(({ event: id }) => id)).toEqual(['evt_2', 'evt_1'])
  })

  it('tell listeners once what they wait for is there to be seen', async () => {
    const database = await postgres.open()
    const seen: Promise<bigint>[] = []
    const end = database.listen(() => {
      seen.push(database.get('SELECT COUNT(*) AS n FROM rate').then((row) => row!.n as bigint))
    })
    await database.transaction(async (sql) => {
      await sql.run(`INSERT INTO rate VALUES ('a', 0)`)
      sql.announce()
    })
    await expect(
      database.transaction(async (sql) => {
        sql.announce()
        throw new Error('undone')
      }),
    ).rejects.toThrow('undone')
    end()
    expect(await Promise.all(seen)).toEqual([1n])
  })
})

describe('a step that excludes ingest', () => {
  it('waits for what is being taken in, and sees it', async () => {
    const database = await postgres.open()
    const ingest = await database.connect()
    onTestFinished(() => ingest.end())
    await ingest.query('BEGIN; LOCK TABLE ingest_gate IN SHARE MODE')
    await ingest.query(`INSERT INTO rate VALUES ('a', 7)`)
    let isOver = false
    const step = database
      .transaction(async (sql) => (await sql.get('SELECT next_at FROM rate'))?.next_at, {
        excludesIngest: true,
      })
      .finally(() => {
        isOver = true
      })
    expect(await waits(database, () => isOver)).toBe(true)
    await ingest.query('COMMIT')
    expect(await step).toBe(7n)
  })
})

describe('a connection that is lost', () => {
  it('in the middle of a step leaves nothing of it, and the next one has another', async () => {
    const database = await postgres.open()
    const admin = await database.connect()
    onTestFinished(() => admin.end())
    let runs = 0
    const step = database.transaction(async (sql) => {
      runs++
      await sql.run(setCount, '5')
      const { pid } = (await sql.get('SELECT pg_backend_pid() AS pid'))!
      await admin.query('SELECT pg_terminate_backend($1, 5000)', [Number(pid)])
      await sql.run(setCount, '6')
    })
    await expect(step).rejects.toMatchObject({
      code: 'ledger.busy',
      message: expect.stringContaining('nothing was changed'),
    })
    expect(runs).toBe(1)
    expect(await countOf(database)).toBe(0)
    await database.transaction((sql) => sql.run(setCount, '7'))
    expect(await countOf(database)).toBe(7)
  })

  it.each([
    ['answer', 9],
    ['request', 0],
  ] as const)(
    'while it commits (%s): says that nobody knows, and does not do it again',
    async (cut, count) => {
      const url = await postgres.createLedger()
      const proxy = await startCuttingProxy(url)
      onTestFinished(() => proxy.stop())
      const database = await postgres.open(proxy.url)
      await countOf(database)
      proxy.cutNext(cut)
      let runs = 0
      const step = database.transaction(async (sql) => {
        runs++
        await sql.run(setCount, '9')
      })
      await expect(step).rejects.toMatchObject({
        code: 'ledger.busy',
        message: expect.stringContaining('may or may not be there'),
      })
      expect(runs).toBe(1)
      expect(await countOf(database)).toBe(count)
    },
  )

  it('is one that never was: says where, and nothing of the password', async () => {
    const database = openPostgres('postgres://me:s3cret@127.0.0.1:1/ledger')
    onTestFinished(() => database.close())
    const error = await database.get('SELECT 1').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'ledger.busy',
      message: expect.stringContaining('postgres://127.0.0.1:1/ledger'),
    })
    const url = new URL(await postgres.createLedger())
    url.password = 's3cret'
    const refused = await (await postgres.open(url.href)).get('SELECT 1').catch((thrown: unknown) => thrown)
    expect(refused).toMatchObject({ message: expect.stringMatching(/does not let us in: .*store\.url$/) })
    expect(inspect([error, refused], { depth: 9 })).not.toContain('s3cret')
  })
})

describe('limits', () => {
  it('end a statement, a wait for a lock and a wait for a connection, each as busy', async () => {
    const url = await postgres.createLedger()
    const database = await postgres.open(url, { statementTimeoutMs: 300, lockTimeoutMs: 100 })
    const busy = (message: string) => ({ code: 'ledger.busy', message: expect.stringContaining(message) })
    await expect(database.get('SELECT pg_sleep(5)')).rejects.toMatchObject(busy('took too long'))
    const other = await database.connect()
    onTestFinished(() => other.end())
    await other.query('BEGIN; LOCK TABLE rate')
    await expect(database.get('SELECT * FROM rate')).rejects.toMatchObject(busy('another process holds'))
    const narrow = await postgres.open(url, { poolMax: 1, connectTimeoutMs: 1_000 })
    const gate = aGate()
    const begun = aGate()
    const holder = narrow.transaction(() => {
      begun.open()
      return gate.opened
    })
    await begun.opened
    await expect(narrow.get('SELECT 1')).rejects.toMatchObject(busy('is not reached'))
    gate.open()
    await holder
    // A long read has a connection of its own, and no limit.
    expect(await database.snapshot((sql) => sql.get('SELECT pg_sleep(0.4), 1 AS one'))).toMatchObject({
      one: 1n,
    })
    const { rows } = await database.pool.query(
      `SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()`,
    )
    expect(rows).toEqual([{ application_name: 'tollkeeper' }])
  })

  it('undo what a process that hangs has begun', async () => {
    const database = await postgres.open(undefined, { idleInTransactionTimeoutMs: 100 })
    const step = database.transaction(async (sql) => {
      await sql.run(setCount, '5')
      const { pid } = (await sql.get('SELECT pg_backend_pid() AS pid'))!
      for (;;) {
        const { rows } = await database.pool.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [
          Number(pid),
        ])
        if (rows.length === 0) break
      }
      await sql.run(setCount, '6')
    })
    await expect(step).rejects.toMatchObject({ code: 'ledger.busy' })
    expect(await countOf(database)).toBe(0)
  })
})

describe('tables', () => {
  it('are made once by processes that start at once', async () => {
    const url = await postgres.server().createEmpty()
    const nodes = await Promise.all([1, 2, 3, 4].map(() => postgres.open(url)))
    const migrated = await Promise.all(nodes.map((node) => migratePostgres(node)))
    expect(migrated.filter((names) => names.length > 0)).toHaveLength(1)
    expect(await countOf(nodes[0]!)).toBe(0)
  })

  it('of a later version are left as they are', async () => {
    const url = await postgres.server().createEmpty()
    const database = await postgres.open(url)
    await migratePostgres(database)
    await database.pool.query(
      `INSERT INTO kysely_migration VALUES ('2999-01-01-later', '2999-01-01T00:00:00Z')`,
    )
    expect(await migratePostgres(database)).toEqual([])
  })

  it('say of themselves what an analyst reads in them', async () => {
    const database = await postgres.open()
    const { rows } = await database.pool.query(
      `SELECT c.relname || COALESCE('.' || a.attname, '') AS name FROM pg_class c
       LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
       WHERE c.relname = 'meter_usage' AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)`,
    )
    expect(rows).toEqual([])
    const journal = await database.get(`SELECT obj_description('transfer'::regclass, 'pg_class') AS about`)
    expect(text(journal!.about)).toContain('double entry')
  })

  it.each([
    ['UPDATE transfer SET amount = 2', 'transfers are never changed'],
    ['DELETE FROM transfer', 'transfers are never changed'],
    ['TRUNCATE audit_entry', 'audit trail are never changed'],
  ])('that are final refuse: %s', async (statement, message) => {
    const database = await postgres.open()
    await expect(database.transaction((sql) => sql.run(statement))).rejects.toThrow(message)
  })
})
