import { expect, it } from 'vitest'
import { createNdjsonParser } from './ndjson-parser.ts'

function read(text: string) {
  return createNdjsonParser().push({ number: 3, text, end: '\n', cut: false })
}

it('makes nested values fields by dotted path', () => {
  expect(read('{"id":"a","request":{"bytes":5,"tags":["x",{"y":true}]},"gone":null}')).toEqual([
    {
      line: 3,
      truncated: false,
      fields: { id: 'a', 'request.bytes': '5', 'request.tags.0': 'x', 'request.tags.1.y': 'true' },
    },
  ])
})

it('keeps every digit of a number as it was written', () => {
  expect(read('{"a":9007199254740993,"b":1.10,"c":1E3,"d":0.1234567890123456789012}')).toMatchObject([
    { fields: { a: '9007199254740993', b: '1.10', c: '1E3', d: '0.1234567890123456789012' } },
  ])
})

it('has no fields but its own', () => {
  const [line] = read('{"__proto__":{"x":1}}')
  expect(line && 'fields' in line && [line.fields.constructor, line.fields['__proto__.x']]).toEqual([
    undefined,
    '1',
  ])
})

it.each([
  ['{"id":', 'is not JSON'],
  ['[1]', 'is not a JSON object'],
  ['null', 'is not a JSON object'],
  ['{"a":NaN}', 'is not JSON'],
])('is malformed: %s', (text, malformed) => {
  expect(read(text)).toEqual([{ line: 3, malformed, excerpt: text }])
})

it('has no line where the line is blank', () => {
  expect(read(' \t')).toEqual([])
})
