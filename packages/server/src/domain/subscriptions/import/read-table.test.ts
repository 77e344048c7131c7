import { describe, expect, it } from 'vitest'
import { readTable } from './read-table.ts'

const plain = { customerIdentifier: 'ifAPi5AcF3', ok: true, many: [{ a: '1' }] }
const typed = {
  customerIdentifier: { S: 'ifAPi5AcF3' },
  ok: { BOOL: true },
  many: { L: [{ M: { a: { N: '1' } } }] },
}
const read = (value: unknown) => readTable(typeof value === 'string' ? value : JSON.stringify(value), 'file')

describe('a table', () => {
  it.each([
    ['a plain array', [plain]],
    ['an array of typed items', [typed]],
    ['the answer of a scan', { Items: [typed], Count: 1, ScannedCount: 1 }],
    ['lines of an export', `${JSON.stringify({ Item: typed })}\n`],
    ['lines of plain objects', `\n${JSON.stringify(plain)}\n\n`],
    ['one object', plain],
    ['a file with a byte order mark', `\uFEFF${JSON.stringify([plain])}`],
  ])('is read from %s', (_, value) => {
    const { rows, problems } = read(value)
    expect(problems).toEqual([])
    expect(rows.map(({ attributes }) => attributes)).toEqual([plain])
  })

  it('keeps the digits of long numbers', () => {
    const { rows } = read(
      '[{"create_timestamp": 1763634471636562122}, {"create_timestamp": {"N": "1763634471636562122"}}]',
    )
    expect(rows.map(({ attributes }) => attributes.create_timestamp)).toEqual(
      Array(2).fill('1763634471636562122'),
    )
  })

  it('names rows by where they are, and sets unreadable ones aside', () => {
    const lines = `${JSON.stringify({ Item: typed })}\nnot json\n${JSON.stringify({ Item: typed })}`
    expect(read(lines)).toMatchObject({
      rows: [{ where: 'line 1' }, { where: 'line 3' }],
      problems: [{ where: 'line 2' }],
    })
    expect(read([plain, 7, {}, null])).toMatchObject({
      rows: [{ where: 'row 1' }],
      problems: [{ where: 'row 2' }, { where: 'row 3' }, { where: 'row 4' }],
    })
  })

  it.each([
    ['half a scan', { Items: [typed], NextToken: 'more' }, 'only a part'],
    ['half a scan of the API', { Items: [typed], LastEvaluatedKey: { a: { S: '1' } } }, 'only a part'],
    ['nothing', ' \n', 'is empty'],
    ['cut JSON', '[{"a": 1}', 'begins like JSON'],
    ['cut lines', '{"Item": {\n"a"', 'begins like JSON'],
    ['prose', 'Dear buyer', 'neither JSON nor CSV'],
  ])('is not read from %s', (_, value, says) => {
    expect(() => read(value)).toThrow(says)
  })

  it('is read from CSV with quotes, any common separator, and any ends of lines', () => {
    const rows = (text: string) => read(text).rows.map(({ attributes }) => attributes)
    expect(rows('a,b\r\n1,"x, ""y""\nz"\r\n\r\n2,\r\n')).toEqual([
      { a: '1', b: 'x, "y"\nz' },
      { a: '2', b: '' },
    ])
    expect(rows('a;b\n1;2,3')).toEqual([{ a: '1', b: '2,3' }])
    expect(rows('a\tb\n1\t2')).toEqual([{ a: '1', b: '2' }])
  })

  it('of CSV says which line has too few or too many fields', () => {
    expect(read('a,b\n"1\n1",2\n1\n1,2,3\n')).toMatchObject({
      rows: [{ where: 'line 2' }],
      problems: [{ where: 'line 4' }, { where: 'line 5' }],
    })
    expect(() => read('a,b\n1,"2\n3,4')).toThrow('line 2 opens a quote')
    expect(() => read('a,a\n1,2')).toThrow('two columns of the same name')
  })
})
