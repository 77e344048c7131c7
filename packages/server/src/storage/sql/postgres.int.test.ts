import { expect, it } from 'vitest'
import { usePostgres } from './postgres.fixture.ts'

const postgres = usePostgres()

it('takes values of every kind, and gives whole numbers back as such, whatever their size', async () => {
  const database = await postgres.open()
  const row = await database.get(
    `SELECT ?1::bigint AS big, ?2::text AS word, ?3::bytea AS bytes, 1 = 1 AS yes, 1 = 2 AS no, NULL AS nothing, COUNT(*) AS n,
       (SELECT SUM(x) FROM (VALUES (9223372036854775807), (1)) AS v (x)) AS sum`,
    9_223_372_036_854_775_807n,
    "it's",
    new Uint8Array([0, 255]),
  )
  expect(row).toEqual({
    big: 9_223_372_036_854_775_807n,
    word: "it's",
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
