import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addAmounts, compareAmounts, priceOf } from '../../domain/money.ts'
import { ACCOUNTS, type Account, type Balances } from '../../domain/usage/account.ts'
import { type AcceptedRecord, buildReport, type ReportInput } from './bill.ts'
import { parseDimensionPlan } from './dimension-spec.ts'
import { createTally } from './tally.ts'
import type { LineUse } from './to-usage-reports.ts'

const { specs } = parseDimensionPlan({
  dimensions: ['requests=count', 'egress=sum:bytes/1000'],
  prices: ['requests=0.002'],
})

function balances(some: Partial<Record<Account, bigint>>): Balances {
  return { ...(Object.fromEntries(ACCOUNTS.map((name) => [name, 0n])) as Record<Account, bigint>), ...some }
}

function aUse(line: number, bytes: string): LineUse {
  const at = { id: String(line), time: Date.UTC(2015, 4, 17, 10) }
  const reports = [
    { dimension: 'requests', ...at },
    { dimension: 'egress', quantity: bytes, ...at },
  ]
  return { kind: 'use', line, buyer: 'acme', refused: [], reports, ...at }
}

function anInput(over: Partial<ReportInput> = {}): ReportInput {
  const tally = createTally(specs)
  for (const [line, bytes] of [
    [1, '1200'],
    [2, '900'],
  ] as const) {
    tally.line({ line, fields: {}, truncated: false })
    tally.use(aUse(line, bytes), [{ status: 'accepted' }, { status: 'accepted' }])
  }
  return {
    summary: tally.summary(),
    dimensions: specs.map((spec) => spec.dimension),
    buyers: 1,
    records: [
      { buyer: 'acme', dimension: 'requests', units: 2n },
      { buyer: 'acme', dimension: 'egress', units: 2n },
    ],
    balances: new Map([
      ['requests', balances({ measured: -2n, accepted: 2n })],
      ['egress', balances({ measured: -2100n, accepted: 2000n, carry: 100n })],
    ]),
    faults: { throttled: 3 },
    ...over,
  }
}

describe('the report', () => {
  it('has exactly the shape that is promised', () => {
    const all = { accepted: 2, duplicate: 0, refused: 0, late: 0 }
    expect(JSON.parse(JSON.stringify(buildReport(anInput())))).toEqual({
      lines: { read: 2, malformed: 0, truncated: 0 },
      events: all,
      buyers: 1,
      dimensions: {
        requests: { billed: 2, carried: '0', records: 1, events: all },
        egress: { billed: 2, carried: '100', records: 1, events: all },
      },
      bill: {
        currency: 'USD',
        total: '0.004',
        buyers: [{ buyer: 'acme', amount: '0.004', units: { requests: 2, egress: 2 } }],
      },
      audit: {
        balanced: true,
        findings: [],
        accounts: {
          requests: { measured: '-2', accepted: '2' },
          egress: { measured: '-2100', accepted: '2000', carry: '100' },
        },
      },
      faults: { throttled: 3 },
    })
  })

  it('adds up to the units of its records, for every buyer and all of them', () => {
    const aRecord = fc.record({
      buyer: fc.constantFrom('a', 'b', 'c', '__proto__'),
      dimension: fc.constantFrom('requests', 'egress'),
      units: fc.bigInt({ min: 0n, max: 2_147_483_647n }),
    })
    fc.assert(
      fc.property(fc.array(aRecord), (records: AcceptedRecord[]) => {
        const report = buildReport(anInput({ records }))
        const requests = records.reduce((sum, r) => sum + (r.dimension === 'requests' ? r.units : 0n), 0n)
        expect(report.dimensions.requests!.billed).toBe(Number(requests))
        expect(report.bill.total).toBe(priceOf(requests, '0.002'))
        expect(report.bill.total).toBe(addAmounts(report.bill.buyers.map(({ amount }) => amount)))
        expect(report.bill.buyers).toHaveLength(new Set(records.map(({ buyer }) => buyer)).size)
      }),
    )
  })

  it('says units as a string where a number would not be exact', () => {
    const records = [{ buyer: 'a', dimension: 'requests', units: 2n ** 53n + 1n }]
    expect(buildReport(anInput({ records })).dimensions.requests!.billed).toBe('9007199254740993')
  })
})

describe('the audit', () => {
  const findingsWith = (over: Partial<ReportInput>) => buildReport(anInput(over)).audit.findings
  const withRequests = (some: Partial<Record<Account, bigint>>) =>
    findingsWith({ balances: new Map([...anInput().balances, ['requests', balances(some)]]) })

  it('finds a ledger whose accounts do not sum to zero', () => {
    expect(withRequests({ measured: -2n, accepted: 2n, carry: 1n })).toEqual([
      "requests: the ledger's accounts sum to 1, not to 0",
    ])
  })

  it('finds a ledger that measured other than the log says', () => {
    expect(withRequests({ measured: -3n, accepted: 2n, open: 1n })).toEqual([
      'requests: the log has 2 base units, the ledger measured 3',
    ])
  })

  it('finds a ledger that says other than AWS, beyond what is in doubt', () => {
    expect(withRequests({ measured: -2n, accepted: 1n, carry: 1n })).toEqual([
      'requests: the ledger has 1 base units as accepted, AWS has 2',
    ])
    expect(withRequests({ measured: -2n, accepted: 1n, in_doubt: 1n })).toEqual([])
    expect(withRequests({ measured: -2n, assumed: 2n })).toEqual([])
  })

  it('finds lines that came to no end, and passes on what the ledger found', () => {
    const summary = { ...anInput().summary, lines: { read: 3, malformed: 0, truncated: 0 } }
    expect(findingsWith({ summary, findings: ['a bucket differs from its events'] })).toEqual([
      '3 lines were read, but 2 came to an end',
      'a bucket differs from its events',
    ])
  })
})

describe('money', () => {
  it.each([
    [10_000n, '0.002', '20.00'],
    [3n, '0.0001', '0.0003'],
    [0n, '5', '0.00'],
    [9_007_199_254_740_993n, '0.1', '900719925474099.30'],
  ])('%d units at %s are %s', (units, price, amount) => {
    expect(priceOf(units, price)).toBe(amount)
  })

  it('adds and compares without rounding', () => {
    expect(addAmounts(['0.1', '0.2', '0.0005'])).toBe('0.3005')
    expect(addAmounts([])).toBe('0.00')
    expect(compareAmounts('0.10', '0.1')).toBe(0)
    expect(compareAmounts('9', '10.00')).toBeLessThan(0)
  })
})
