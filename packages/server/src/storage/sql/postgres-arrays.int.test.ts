import { expect, it } from 'vitest'
import { usePostgres } from './postgres.fixture.ts'
import { byteaArray, int8Array, textArray } from './postgres-arrays.ts'

const postgres = usePostgres()

it('gives the server the very values', async () => {
  const { pool } = await postgres.open()
  const integers = [0, 1, -1, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, -(2 ** 32), 2 ** 53 - 1, -(2 ** 53) + 1, null]
  const large = [9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n]
  const bytes = [new Uint8Array([0, 255, 92]), new Uint8Array(0), null]
  const texts = ['plain', '', null, `"{,}\\' \u00e9\u20ac\u{1f600}`]
  const { rows } = await pool.query(
    'SELECT to_json($1::bigint[])::text AS integers, $2::bytea[] AS bytes, to_json($3::text[])::text AS texts, cardinality($4::bigint[]) AS none',
    [int8Array([...integers, ...large]), byteaArray(bytes), textArray(texts), int8Array([])],
  )
  expect(rows).toEqual([
    {
      integers: `[${[...integers, ...large].map(String).join(',')}]`,
      bytes: '{"\\\\x00ff5c","\\\\x",NULL}',
      texts: JSON.stringify(texts),
      none: 0n,
    },
  ])
})
