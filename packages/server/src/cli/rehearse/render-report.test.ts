import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildReport } from './bill.ts'
import { parseDimensionPlan } from './dimension-spec.ts'
import { createProgress } from './progress.ts'
import { type RehearsalView, renderReport } from './render-report.ts'
import { createTally } from './tally.ts'
import { displayWidth, escapeControls, fit, wantsColor } from './terminal-text.ts'
import { drawUsage } from './usage-picture.ts'

const { specs } = parseDimensionPlan({
  dimensions: ['requests=count', 'egress_mb=sum:bytes/1000000'],
  prices: ['requests=0.002'],
})
const dimensions = specs.map((spec) => spec.dimension)

function aView(over: { buyers?: string[]; excerpt?: string } = {}): RehearsalView {
  const { buyers = ['acme'], excerpt = 'GET' } = over
  const tally = createTally(specs)
  for (const [index, buyer] of buyers.entries()) {
    const at = { id: String(index), time: Date.UTC(2015, 4, 17, 10 + index) }
    tally.line({
      line: index + 1,
      fields: {},
      truncated: true,
      reason: 'its last quote is not closed',
      excerpt,
    })
    tally.use(
      {
        kind: 'use',
        line: index + 1,
        buyer,
        refused: [],
        reports: [{ dimension: 'requests', ...at }],
        ...at,
      },
      [{ status: 'accepted' }],
    )
  }
  tally.line({ line: 99, fields: {}, truncated: false })
  tally.refusedLine({ kind: 'refused', line: 99, reason: 'no field "who"', value: excerpt })
  const summary = tally.summary()
  const records = buyers.map((buyer, index) => ({
    buyer,
    dimension: 'requests',
    units: BigInt(5000 - index),
  }))
  const report = buildReport({
    summary,
    dimensions,
    buyers: buyers.length,
    records,
    balances: new Map(),
    faults: { throttled: 3 },
  })
  return { log: 'access.log.gz', report, summary, dimensions, keep: ['Look: http://127.0.0.1:4000'] }
}

describe('the report for a person', () => {
  it('shows buyers, dimensions, bill, audit, faults and damaged lines', () => {
    const text = renderReport(aView(), { color: false })
    for (const part of [
      /Rehearsal of access\.log\.gz/,
      /lines +2 read \(1 truncated, counted\)/,
      /events +1 accepted · 1 refused/,
      /buyer +requests +egress_mb +USD\n +acme +5,000 +0 +10\.00\n/,
      /requests +1 +1 +0 +5,000 +0\.002 +10\.00/,
      /Bill {3}10\.00 USD\n +without egress_mb: give a price, e\.g\. --price egress_mb=0\.002/,
      /✗ NOT balanced\n +requests: the log has 1 base units, the ledger measured 0/,
      /throttled +3/,
      /line 1: its last quote is not closed \(counted\)\n +GET/,
      /1 event: no field "who" \(line 99\)/,
      /Look: http:\/\/127\.0\.0\.1:4000\n$/,
    ])
      expect(text).toMatch(part)
  })

  it('shows ten buyers and what the others come to', () => {
    const buyers = Array.from({ length: 12 }, (_, index) => `buyer-${String(index).padStart(2, '0')}`)
    const text = renderReport(aView({ buyers }), { color: false })
    expect(text).toContain('buyer-09')
    expect(text).not.toContain('buyer-10')
    expect(text).toMatch(/and 2 more +9,979 +0 +19\.958\n/)
    expect(text).toContain('and 2 more\n')
  })

  it('lets no log steer the terminal', () => {
    const evil = '\x1b[2Jx\u202e\u0000\r\n'
    const text = renderReport(aView({ buyers: [evil], excerpt: evil }), { color: false })
    expect(text).toContain('\\x1b[2Jx\\u202e\\x00\\x0d\\x0a')
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (any) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: it is these that must not be there
        const unsafe = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/
        expect(renderReport(aView({ buyers: [any], excerpt: any }), { color: false })).not.toMatch(unsafe)
      }),
      { numRuns: 30 },
    )
  })

  it('fits the terminal, leaving out columns before cutting figures', () => {
    for (const width of [48, 60, 80, 120, 400]) {
      const lines = renderReport(aView({ buyers: ['x'.repeat(100), '語'.repeat(60)] }), {
        color: false,
        width,
      }).split('\n')
      const tables = lines.filter(
        (line) => line.startsWith('  ') && !/UTC|ledger|without|line 1|line 2|line 99/.test(line),
      )
      expect(tables.length).toBeGreaterThan(8)
      for (const line of tables) expect(displayWidth(line)).toBeLessThanOrEqual(Math.min(width, 120))
    }
  })

  it('has color only when asked', () => {
    expect(renderReport(aView(), { color: true })).toContain('\x1b[')
    expect(wantsColor({ isTTY: true }, {})).toBe(true)
    expect(wantsColor({ isTTY: true }, { NO_COLOR: '1' })).toBe(false)
    expect(wantsColor({ isTTY: true }, { TERM: 'dumb' })).toBe(false)
    expect(wantsColor({}, {})).toBe(false)
  })
})

describe('the picture', () => {
  const plain = { width: 80, paint: (text: string) => text, formatCount: String }
  const hour = (day: number, hours: number) => Date.UTC(2015, 4, day) / 3_600_000 + hours

  it('is a row per day with a bar per hour, scaled to the highest', () => {
    const lines = drawUsage(
      new Map([
        [hour(17, 10), 8],
        [hour(17, 12), 1],
        [hour(18, 0), 4],
      ]),
      { ...plain, width: 46 },
    )
    expect(lines).toEqual([
      'Events per hour, UTC  highest 8',
      '            00h   06h   12h   18h',
      `${' '.repeat(22)}█`,
      `${' '.repeat(22)}█`,
      `Sun 17 May  ${' '.repeat(10)}█·▃${'·'.repeat(11)}  9`,
      '',
      '            ▄',
      `Mon 18 May  █${' '.repeat(23)}  4`,
    ])
  })

  it('is a row per month with a bar per day for a long log', () => {
    const lines = drawUsage(
      new Map([
        [hour(1, 0), 3],
        [hour(60, 5), 1],
      ]),
      plain,
    )
    expect(lines[0]).toBe('Events per day, UTC  highest 3')
    expect(lines.filter((line) => /2015/.test(line))).toHaveLength(2)
  })

  it('is bounded for a log of a hundred years, and nothing for an empty one', () => {
    const hours = new Map(Array.from({ length: 1_000 }, (_, index) => [hour(1, index * 800), 1]))
    const lines = drawUsage(hours, plain)
    expect(lines.length).toBeLessThan(45)
    expect(lines.at(-1)).toMatch(/earlier months not drawn/)
    expect(drawUsage(new Map(), plain)).toEqual([])
  })

  it('shows something for everything that is there', () => {
    const counts = fc.array(fc.nat({ max: 100_000 }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(counts, fc.integer({ min: 48, max: 120 }), (all, width) => {
        const hours = new Map(
          all.flatMap((count, index) => (count > 0 ? [[hour(1, index), count] as const] : [])),
        )
        const lines = drawUsage(hours, { ...plain, width })
        for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(width)
        const bars = lines
          .filter((line) => /^\w{3} .\d/.test(line))
          .join('')
          .replace(/[^▁▂▃▄▅▆▇█]/g, '')
        const cell = Math.max(1, bars.length / Math.max(1, hours.size))
        expect(bars.length).toBe(hours.size * cell)
      }),
    )
  })
})

describe('text on a terminal', () => {
  it('is measured in columns and cut with an ellipsis', () => {
    expect(displayWidth('e\u0301語')).toBe(3)
    expect(fit('語語語', 5)).toBe('語語…')
    expect(fit('abc', 3)).toBe('abc')
  })

  it('shows what cannot be seen', () => {
    expect(escapeControls(`a\u200bb${String.fromCharCode(0xd800)} \u{e0001}`)).toBe(
      'a\\u200bb\\ud800 \\u{e0001}',
    )
  })
})

describe('progress', () => {
  function aRun(isTTY: boolean, json = false) {
    let now = 0
    let written = ''
    const write = (text: string) => {
      written += text
    }
    const progress = createProgress({ stream: { isTTY, columns: 40, write }, json, now: () => now })
    for (let done = 0; done <= 200; done++) {
      progress.update('metering 17 May 11:00', done, 200)
      now += 150
    }
    progress.end()
    return written
  }

  it('is one line drawn over on a terminal, no wider than it, and taken away at the end', () => {
    const frames = aRun(true).split('\r\x1b[2K')
    expect(frames.at(-1)).toBe('')
    expect(frames.at(-2)).toMatch(/^█+ 100 % metering/)
    expect(Math.max(...frames.map((frame) => frame.length))).toBeLessThan(40)
  })

  it('is a line now and then elsewhere, and nothing with --json', () => {
    expect(aRun(false)).toMatch(/^33 % metering 17 May 11:00\n67 % .*\n(100 % .*\n)?$/)
    expect(aRun(true, true)).toBe('')
  })
})
