import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCombinedParser, parseClfTime } from './combined-parser.ts'
import type { LogLine } from './log-line.ts'

const LINE =
  '83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a.png HTTP/1.1" 200 203023 "http://example.com/" "Mozilla/5.0 (X11)"'

function read(text: string, options: { end?: '\n' | ''; cut?: boolean } = {}): LogLine {
  return createCombinedParser().push({ number: 7, text, end: '\n', cut: false, ...options })[0]!
}

function readAll(...texts: string[]): readonly LogLine[] {
  const parser = createCombinedParser()
  return texts.flatMap((text, index) =>
    parser.push({ number: index + 1, text, end: index === texts.length - 1 ? '' : '\n', cut: false }),
  )
}

describe('the combined format', () => {
  it('is read into fields, with the time in UTC', () => {
    expect(read(LINE.replace('+0000', '+0230').replace(' - - ', ' - jane '))).toEqual({
      line: 7,
      truncated: false,
      fields: {
        remote_addr: '83.149.9.216',
        remote_user: 'jane',
        time: '2015-05-17T07:35:03.000Z',
        request: 'GET /a.png HTTP/1.1',
        method: 'GET',
        path: '/a.png',
        protocol: 'HTTP/1.1',
        status: '200',
        bytes: '203023',
        referer: 'http://example.com/',
        user_agent: 'Mozilla/5.0 (X11)',
      },
    })
  })

  it('has a size of 0 where it says "-"', () => {
    expect(read(LINE.replace('203023', '-'))).toMatchObject({ fields: { bytes: '0' }, truncated: false })
  })

  it('may be the common format, without referer and user agent', () => {
    const line = read(LINE.slice(0, LINE.indexOf(' "http')))
    expect(line).toMatchObject({ truncated: false, fields: { bytes: '203023' } })
    expect(line).not.toHaveProperty('fields.referer')
  })

  it('may have more values at its end, and a virtual host at its beginning', () => {
    expect(read(`www.example.com:443 ${LINE} "10.0.0.1, 10.0.0.2" 0.004`)).toMatchObject({
      truncated: false,
      fields: {
        vhost: 'www.example.com:443',
        remote_addr: '83.149.9.216',
        extra_1: '10.0.0.1, 10.0.0.2',
        extra_2: '0.004',
      },
    })
  })

  it('may have a user with spaces, an IPv6 address, and a request that is none', () => {
    expect(read(`2001:db8::1 - jane doe [17/May/2015:10:05:03 +0000] "-" 408 -`)).toMatchObject({
      fields: {
        remote_addr: '2001:db8::1',
        remote_user: 'jane doe',
        request: '-',
        status: '408',
        bytes: '0',
      },
    })
  })

  it('may have escaped quotes; other escapes stay as they are written', () => {
    const line = read(
      LINE.replace('/a.png', '/\\"x\\" 200 1 "'.slice(0, -2)).replace('X11', 'a\\"b\\\\ \\xe4'),
    )
    expect(line).toMatchObject({
      truncated: false,
      fields: { path: '/"x" 200 1', bytes: '203023', user_agent: 'Mozilla/5.0 (a"b\\\\ \\xe4)' },
    })
  })
})

describe('a damaged line', () => {
  it('counts when only its last quote is missing', () => {
    expect(read(LINE.slice(0, -1))).toMatchObject({
      truncated: true,
      reason: 'its last quote is not closed',
      fields: { remote_addr: '83.149.9.216', bytes: '203023', user_agent: 'Mozilla/5.0 (X11)' },
    })
  })

  it('counts when it was cut for its length after the size', () => {
    expect(read(LINE, { cut: true })).toMatchObject({ truncated: true, fields: { bytes: '203023' } })
  })

  it('counts when its server does not escape quotes', () => {
    expect(read(LINE.replace('/a.png', '/a"b.png'))).toMatchObject({
      truncated: true,
      reason: 'a quote in its request is not escaped',
      fields: { path: '/a"b.png', status: '200', bytes: '203023' },
    })
    expect(read(LINE.replace(' HTTP/1.1"', '\\"'))).toMatchObject({
      truncated: true,
      fields: { bytes: '203023' },
    })
  })

  it('is malformed where it ends within its size: digits may be missing', () => {
    const torn = LINE.slice(0, LINE.indexOf('023 "http'))
    const malformed = 'stops within or after its size, which may lack digits'
    expect(readAll(LINE, torn)[1]).toMatchObject({ line: 2, malformed })
    expect(read(torn, { cut: true })).toMatchObject({ malformed })
    expect(read(torn, { end: '' })).toMatchObject({ fields: { bytes: '203' } }) // all its lines may end so
    expect(readAll(LINE, torn.replace('203', '-'))[1]).toMatchObject({
      truncated: true,
      fields: { bytes: '0' },
    })
  })

  it('never lends its address to the figures of another line', () => {
    for (let cut = 1; cut < LINE.length; cut++) {
      const other = LINE.replace('83.149.9.216', '10.9.8.7').replace('203023', '555')
      const line = read(LINE.slice(0, cut) + other)
      if ('malformed' in line) continue
      // Where the address itself was cut nothing shows it; else the figures are those of the address.
      if (cut <= '83.149.9.216'.length) expect(line.fields.bytes).toBe('555')
      else {
        expect(line.fields.bytes).toBe('203023')
        expect(line).toMatchObject({ truncated: true })
      }
    }
  })

  it.each([
    ['hello', 'does not begin with address, user, [time] and "request"'],
    [LINE.replace(' - -', ' -'), 'has other words before its time than address, identity and user'],
    [`www.example.com ${LINE}`, 'has other words before its time than address, identity and user'],
    [LINE.replace('17/May', '31/Apr'), 'its time is not like 17/May/2015:10:05:03 +0000'],
    [LINE.replace(' 200 203023', ''), 'no status and size after its request'],
    [LINE.replace('203023', '203o23'), 'no status and size after its request'],
  ])('is malformed: %s', (text, malformed) => {
    expect(read(text)).toMatchObject({ line: 7, malformed })
  })

  it('is read or malformed wherever it is cut, and its size is never a guess', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: LINE.length }), (cut) => {
        const line = readAll(LINE, LINE.slice(0, cut))[1]!
        if ('fields' in line) expect(line.fields.bytes).toBe('203023')
      }),
    )
  })
})

describe('a time', () => {
  it.each([
    ['17/May/2015:10:05:03 +0000', '2015-05-17T10:05:03.000Z'],
    ['01/Jan/2015:00:30:00 +0100', '2014-12-31T23:30:00.000Z'],
    ['29/Feb/2016:23:59:60 -0800', '2016-03-01T07:59:59.000Z'],
    ['17/may/2015:10:05:03.1239 -0030', '2015-05-17T10:35:03.123Z'],
  ])('%s is %s', (text, iso) => {
    expect(new Date(parseClfTime(text)!).toISOString()).toBe(iso)
  })

  it.each(['29/Feb/2015:10:00:00 +0000', '17/Mai/2015:10:00:00 +0000', '17/May/2015:24:00:00 +0000', ''])(
    '%s is none',
    (text) => {
      expect(parseClfTime(text)).toBeUndefined()
    },
  )
})
