import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LogLine } from './log-line.ts'
import { type LogFormat, openLog, parseLines, readLog } from './log-reader.ts'
import { decode, LINE_BYTES_MAX, splitLines } from './physical-lines.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rehearse-test-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function aFile(content: string | Uint8Array): Promise<string> {
  const file = join(folder, createHash('sha256').update(content).digest('hex'))
  await writeFile(file, content)
  return file
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function* inPieces(bytes: Uint8Array, size = bytes.length || 1): AsyncIterable<Uint8Array> {
  // One buffer for all pieces, as a stream may do.
  const shared = new Uint8Array(size)
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size)
    shared.set(piece)
    yield shared.subarray(0, piece.length)
  }
}

function parse(text: string | Uint8Array, format: LogFormat, pieceSize?: number): Promise<LogLine[]> {
  return collect(parseLines(inPieces(Buffer.from(text), pieceSize), format))
}

async function linesOf(text: string | Uint8Array, lineBytesMax?: number) {
  return (await collect(splitLines(inPieces(Buffer.from(text)), lineBytesMax))).flat()
}

describe('a file', () => {
  const text = '{"id":"a"}\n{"id":"b"}\n'

  it('is unpacked when its content is gzip, whatever its name says, and keeps its digest', async () => {
    const plain = await openLog({ file: await aFile(text), format: 'ndjson' })
    const zipped = await openLog({ file: await aFile(gzipSync(text)), format: 'ndjson' })
    expect(zipped.digest).toBe(plain.digest)
    expect(zipped.digest).toBe(createHash('sha256').update(text).digest('hex'))
    expect(zipped.bytes).toBe(text.length)
    expect(await collect(zipped.lines())).toEqual(await collect(plain.lines()))
    await plain.close()
    await zipped.close()
  })

  it('is unpacked to its end when it is several gzip archives in a row', async () => {
    const file = await aFile(Buffer.concat([gzipSync('{"id":1}\n'), gzipSync('{"id":2}\n')]))
    expect(await collect(readLog({ file, format: 'ndjson' }))).toHaveLength(2)
  })

  it('can be read again', async () => {
    const log = await openLog({ file: await aFile(text), format: 'ndjson' })
    expect(await collect(log.lines())).toEqual(await collect(log.lines()))
    await log.close()
  })

  it('may grow meanwhile: what is appended is left out', async () => {
    const file = await aFile(`${text}{"id":"c"}\n`)
    const log = await openLog({ file, format: 'ndjson' })
    await writeFile(file, '{"id":"d"}\n', { flag: 'a' })
    expect(await collect(log.lines())).toHaveLength(3)
    await log.close()
  })

  it('must not change meanwhile: ids are made of its digest', async () => {
    const file = await aFile(`${text} `)
    const log = await openLog({ file, format: 'ndjson' })
    await writeFile(file, text.replace('a', 'z'))
    await expect(collect(log.lines())).rejects.toThrow('changed while it was read: rehearse a copy of it')
    await log.close()
  })

  it('may be empty, or one byte', async () => {
    expect(await collect(readLog({ file: await aFile(''), format: 'combined' }))).toEqual([])
    expect(await collect(readLog({ file: await aFile('\n'), format: 'combined' }))).toEqual([])
  })

  it('that is cut, missing or a folder is one line of error that says so', async () => {
    const cut = gzipSync(text.repeat(1000)).subarray(0, 60)
    await expect(openLog({ file: await aFile(cut), format: 'ndjson' })).rejects.toThrow(
      'its gzip data ends too early',
    )
    await expect(openLog({ file: join(folder, 'nope'), format: 'ndjson' })).rejects.toThrow(
      'there is no such file: check the path',
    )
    await expect(openLog({ file: folder, format: 'ndjson' })).rejects.toThrow('is a folder')
  })
})

describe('standard input', () => {
  it('is kept until closed, and is the same log as the file', async () => {
    const text = '{"id":"a"}\r\n{"id":"b"}'
    const log = await openLog({ file: '-', format: 'ndjson', stdin: Readable.from([gzipSync(text)]) })
    expect(log.digest).toBe(createHash('sha256').update(text).digest('hex'))
    expect(await collect(log.lines())).toHaveLength(2)
    expect(await collect(log.lines())).toHaveLength(2)
    await log.close()
  })

  it('is not waited for on a terminal', async () => {
    const stdin = Object.assign(Readable.from([]), { isTTY: true })
    await expect(openLog({ file: '-', format: 'csv', stdin })).rejects.toThrow('pipe one in')
  })
})

describe('lines', () => {
  it('end with LF or CRLF, the last one perhaps with nothing', async () => {
    expect(await linesOf('a\r\n\nb\rc\nd')).toEqual([
      { number: 1, text: 'a', end: '\r\n', cut: false },
      { number: 2, text: '', end: '\n', cut: false },
      { number: 3, text: 'b\rc', end: '\n', cut: false },
      { number: 4, text: 'd', end: '', cut: false },
    ])
  })

  it('lose a byte order mark at the very beginning only', async () => {
    expect((await linesOf('\ufeffa\n\ufeffb\n')).map((line) => line.text)).toEqual(['a', '\ufeffb'])
  })

  it('in UTF-16 are an error that names the remedy', async () => {
    await expect(linesOf(Buffer.from('\ufeffid,time\n', 'utf16le'))).rejects.toThrow('iconv -f UTF-16')
  })

  it('keep bytes apart that are no UTF-8: two buyers must not become one', () => {
    expect(decode(Buffer.from([0x61, 0xff, 0x62]))).toBe('a\\xffb')
    expect(decode(Buffer.from([0x61, 0xfe, 0x62]))).toBe('a\\xfeb')
    expect(decode(Buffer.from([0xc3, 0xa9, 0xc3]))).toBe('é\\xc3')
  })

  it('are cut at their bound, and only beyond it', async () => {
    expect(await linesOf('12345\r\n12345\n123456\n1234567890\r\nx', 5)).toEqual([
      { number: 1, text: '12345', end: '\r\n', cut: false },
      { number: 2, text: '12345', end: '\n', cut: false },
      { number: 3, text: '12345', end: '\n', cut: true },
      { number: 4, text: '12345', end: '\n', cut: true },
      { number: 5, text: 'x', end: '', cut: false },
    ])
  })

  it('are the same however the bytes arrive', async () => {
    const anyBytes = fc.array(fc.constantFrom(0x0a, 0x0d, 0x22, 0x2c, 0x61, 0xc3, 0xa9, 0xff), {
      maxLength: 60,
    })
    await fc.assert(
      fc.asyncProperty(anyBytes, fc.integer({ min: 1, max: 7 }), async (bytes, size) => {
        const content = Uint8Array.from(bytes)
        const pieces = (await collect(splitLines(inPieces(content, size)))).flat()
        expect(pieces).toEqual(await linesOf(content))
        const newlines = bytes.filter((byte) => byte === 0x0a).length
        expect(pieces).toHaveLength(newlines + (bytes.length > 0 && bytes.at(-1) !== 0x0a ? 1 : 0))
      }),
    )
  })
})

describe('any text', () => {
  const anyText = fc.string({
    unit: fc.constantFrom(
      '"',
      ',',
      ';',
      '\t',
      '\n',
      '\r',
      ' ',
      '[',
      ']',
      '{',
      '}',
      ':',
      '\\',
      '-',
      '1',
      'a',
      'é',
    ),
    maxLength: 80,
  })

  it.each(['combined', 'ndjson'] as const)(
    'as %s gives one result for each line, and never throws',
    async (format) => {
      await fc.assert(
        fc.asyncProperty(anyText, async (text) => {
          const expected = text.split('\n').flatMap((line, index) => (line.trim() === '' ? [] : [index + 1]))
          expect((await parse(text, format)).map((line) => line.line)).toEqual(expected)
        }),
      )
    },
  )

  it('as csv loses no line after its header, and never throws', async () => {
    await fc.assert(
      fc.asyncProperty(anyText, async (text) => {
        const lines = await parse(`a,b\n${text}`, 'csv')
        const starts = lines.map((line) => line.line)
        expect(starts).toEqual([...new Set(starts)].sort((a, b) => a - b))
        // What does not begin a result is blank, or lies within the quotes of the one before.
        for (const [index, content] of text.split('\n').entries()) {
          if (content.trim() === '' || starts.includes(index + 2)) continue
          const before = lines.findLast((line) => line.line < index + 2)
          expect(
            before !== undefined && 'fields' in before && /\n/.test(Object.values(before.fields).join()),
          ).toBe(true)
        }
      }),
    )
  })

  it('nested too deeply is malformed, not a crash', async () => {
    const deep = '['.repeat(200_000)
    expect(await parse(`${deep}\n{"a":${deep}${']'.repeat(200_000)}}\n{"id":1}`, 'ndjson')).toHaveLength(3)
  })

  it('longer than a line may be is told, and the next line is read', async () => {
    const long = 'x'.repeat(LINE_BYTES_MAX)
    expect(await parse(`{"a":"${long}"}\n{"id":1}`, 'ndjson')).toMatchObject([
      { line: 1, malformed: `is longer than ${LINE_BYTES_MAX} bytes` },
      { line: 2, fields: { id: '1' } },
    ])
    expect(await parse(`a,b\n${long}x,1\n2,3`, 'csv')).toMatchObject([
      { line: 2, malformed: `is longer than ${LINE_BYTES_MAX} bytes` },
      { line: 3, fields: { a: '2', b: '3' } },
    ])
  })
})
