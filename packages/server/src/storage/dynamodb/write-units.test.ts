import { expect, it } from 'vitest'
import { toWire } from './attributes.ts'
import { writeUnits } from './write-units.ts'

const item = (values: Parameters<typeof toWire>[0]) => toWire({ pk: 'p', sk: 's', ...values })
const ALONE = { inTransaction: false }
const TRANSACTION = { inTransaction: true }
const listed = (listed: string, bytes = 0) => item({ list: 'L', listed, text: 'x'.repeat(bytes) })

it.each([
  ['a small item', undefined, item({}), ALONE, 1],
  ['a small item in a transaction', undefined, item({}), TRANSACTION, 2],
  ['an item of just more than 1 KB', undefined, item({ text: 'x'.repeat(1024) }), ALONE, 2],
  ['an item that shrinks', item({ text: 'x'.repeat(3000) }), item({}), TRANSACTION, 6],
  ['a deletion', item({}), undefined, ALONE, 1],
  ['an item that an index has', undefined, listed('a'), TRANSACTION, 3],
  ['a change of what no index has', listed('a'), listed('a', 100), TRANSACTION, 2],
  ['a change of its place in an index', listed('a'), listed('b'), TRANSACTION, 4],
  ['an item that leaves an index', listed('a'), item({}), ALONE, 2],
  ['an item with half of an index’s key', undefined, item({ list: 'L' }), ALONE, 1],
])('%s costs what AWS says', (_, before, after, options, units) => {
  expect(writeUnits(before, after, options)).toBe(units)
})
