import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCsvParser, RECORD_LINES_MAX } from './csv-parser.ts'
import type { LogLine } from './log-line.ts'
import type { PhysicalLine } from './physical-lines.ts'

function read(text: string): LogLine[] {
  const parser = createCsvParser()
  const lines = [...text.matchAll(/([^\n]*?)(\r\n|\n|$)/g)]
    .filter(([all]) => all !== '')
    .map(
      ([, content, end], index): PhysicalLine => ({
        number: index + 1,
        text: content!,
        end: end as PhysicalLine['end'],
        cut: false,
      }),
    )
  return [...lines.flatMap((line) => parser.push(line)), ...parser.end()]
}

function fieldsOf(lines: readonly LogLine[]) {
  return lines.map((line) => ('fields' in line ? { ...line.fields } : line.malformed))
}

describe('a CSV file', () => {
  it.each([',', ';', '\t'])('may be separated by %j', (separator) => {
    const text = 'id,time\na,"x, y"\n'.replaceAll(',', separator)
    expect(fieldsOf(read(text))).toEqual([{ id: 'a', time: `x${separator} y` }])
  })

  it('has quotes, separators and newlines within quotes; a record is named by its first line', () => {
    expect(read('id,note\r\na,"1 ""x""\r\n2"\r\n\r\nb,\r\n')).toEqual([
      { line: 2, fields: { id: 'a', note: '1 "x"\r\n2' }, truncated: false },
      { line: 5, fields: { id: 'b', note: '' }, truncated: false },
    ])
  })

  it('says what it was written with', () => {
    const anyCell = fc.string({
      unit: fc.constantFrom('"', ',', ';', '\t', '\n', '\r\n', ' ', '1', 'é'),
      maxLength: 8,
    })
    const anyRows = fc.array(fc.tuple(anyCell, anyCell, anyCell), { maxLength: 8 })
    const write = (separator: string) => (cells: readonly string[]) =>
      cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(separator)
    fc.assert(
      fc.property(
        anyRows,
        fc.constantFrom(',', ';', '\t'),
        fc.constantFrom('\n', '\r\n'),
        (rows, separator, end) => {
          const text = [['a', 'b', 'c'], ...rows].map(write(separator)).join(end) + end
          expect(fieldsOf(read(text))).toEqual(rows.map(([a, b, c]) => ({ a, b, c })))
        },
      ),
    )
  })

  it('costs one line for one stray quote, not the lines after it', () => {
    expect(fieldsOf(read('id,n\na,"1\nb,2\nc,3\n'))).toEqual([
      'a quote is opened and never closed',
      { id: 'b', n: '2' },
      { id: 'c', n: '3' },
    ])
    expect(fieldsOf(read('id,n\na,"1\nb,2\nc,"3"\n'))).toEqual([
      'text follows a closing quote',
      { id: 'b', n: '2' },
      { id: 'c', n: '3' },
    ])
    expect(fieldsOf(read('id,n\na,"1\nb,2"\nc,3\n'))).toEqual([
      { id: 'a', n: '1\nb,2' },
      { id: 'c', n: '3' },
    ])
    const rows = Array.from({ length: RECORD_LINES_MAX + 5 }, (_, index) => `${index},1\n`).join('')
    const lines = read(`id,n\n"a,1\n${rows}`)
    expect(lines).toHaveLength(RECORD_LINES_MAX + 6)
    expect(lines.filter((line) => 'malformed' in line)).toHaveLength(1)
  })

  it('costs one line where two quotes make a record with the wrong number of fields', () => {
    expect(fieldsOf(read('id,n\n"a,1\nb,2\nc,3"\nd,4\n'))).toEqual([
      'has 1 fields where the header has 2',
      { id: 'b', n: '2' },
      { id: 'c', n: '3"' },
      { id: 'd', n: '4' },
    ])
  })

  it('has a malformed line where fields are missing or too many', () => {
    expect(fieldsOf(read('id,n\na\nb,1,2\nc,3'))).toEqual([
      'has 1 fields where the header has 2',
      'has 3 fields where the header has 2',
      { id: 'c', n: '3' },
    ])
  })

  it('names columns without a name, and refuses two of the same name', () => {
    expect(fieldsOf(read(' id ,,\na,b,c'))).toEqual([{ id: 'a', 'column 2': 'b', 'column 3': 'c' }])
    expect(() => read('id,n,id\n')).toThrow('line 1: two columns are named "id": rename one of them')
    expect(() => read('id,"n\n1,2\n')).toThrow('line 1: the header cannot be read')
  })
})
