import { expect, it } from 'vitest'
import { toPostgres } from './postgres-text.ts'

it.each([
  ['SELECT a FROM t WHERE b = ? AND c = ? LIMIT ?', 'SELECT a FROM t WHERE b = $1 AND c = $2 LIMIT $3'],
  ['UPDATE t SET a = ?2 WHERE b = ?1 AND c > ?2', 'UPDATE t SET a = $2 WHERE b = $1 AND c > $2'],
  ['SELECT 1 FROM t WHERE (?1 IS NULL OR a = ?1)', 'SELECT 1 FROM t WHERE ($1::text IS NULL OR a = $1)'],
  [
    'FROM bucket b INDEXED BY bucket_open CROSS JOIN meter m ON m.seq = b.meter CROSS JOIN s INDEXED BY i ON s.seq = m.s',
    'FROM bucket b JOIN meter m ON m.seq = b.meter JOIN s ON s.seq = m.s',
  ],
  [
    `SELECT json_extract(e.event, '$.agreementId') FROM e WHERE instr(a, '.') > ?`,
    `SELECT (e.event ->> 'agreementId') FROM e WHERE strpos(a, '.') > $1`,
  ],
])('%s', (text, expected) => {
  expect(toPostgres(text)).toBe(expected)
})
