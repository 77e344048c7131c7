import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { aProduct, aRecord, aSimulator, meter, utc } from '../test-values.ts'
import { add, formatDecimal, multiply, parseDecimal } from './decimal.ts'

const PRICES: Record<string, bigint> = { api_requests: 2n, users: 4_000n } // thousandths of a dollar

describe('the ledger and the bill', () => {
  it('are what a fold over all Success answers makes; failed requests leave no trace', async () => {
    const aLine = fc.record({
      buyer: fc.nat(2),
      dimension: fc.constantFrom('api_requests', 'users', 'users', 'api_requests', 'poison'),
      minutesAgo: fc.nat(12 * 60),
      quantity: fc.oneof(fc.nat(3), fc.constant(2_147_483_647)),
    })
    const aCall = fc.record({
      lines: fc.array(aLine, { maxLength: 6 }),
      region: fc.constantFrom('us-east-1', 'eu-west-1'),
      cut: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(aCall, { maxLength: 12 }), async (calls) => {
        const simulator = await aSimulator()
        const buyers = [0, 1, 2].map((n) =>
          simulator.marketplace.subscribe({
            productCode: 'prodcode1',
            accountId: `00000000000${n}`,
            startAt: utc('00:00'),
          }),
        )
        const expected = new Map<string, bigint>()
        for (const { lines, region, cut } of calls) {
          const records = lines.map(({ buyer, dimension, minutesAgo, quantity }) =>
            aRecord(buyers[buyer]!, {
              Dimension: dimension,
              Timestamp: (utc('12:30') - minutesAgo * 60_000) / 1000,
              Quantity: quantity,
            }),
          )
          const before = simulator.marketplace.ledger().records
          if (cut) simulator.faults.order({ kind: 'cutBefore', times: 1 })
          const answer = await meter(simulator, records, {}, region).catch(() => undefined)
          if (answer?.status !== 200) {
            expect(simulator.marketplace.ledger().records).toEqual(before)
            continue
          }
          for (const { Status, MeteringRecordId, UsageRecord } of answer.body.Results) {
            if (Status !== 'Success') continue
            expected.set(
              `${MeteringRecordId} ${UsageRecord.CustomerAWSAccountId} ${UsageRecord.Dimension}`,
              BigInt(UsageRecord.Quantity),
            )
          }
        }
        const { lines, total, accounts } = simulator.marketplace.bill()
        let thousandths = 0n
        for (const [key, quantity] of expected) thousandths += quantity * (PRICES[key.split(' ')[2]!] ?? 0n)
        expect(thousandthsOf(total)).toBe(thousandths)
        expect(simulator.marketplace.recordCount).toBe(expected.size)
        const sum = (amounts: string[]) => amounts.reduce((all, amount) => all + thousandthsOf(amount), 0n)
        expect(sum(lines.map((line) => line.amount))).toBe(thousandths)
        expect(sum(accounts.map((account) => account.amount))).toBe(thousandths)
      }),
      { numRuns: 150 },
    )
  })

  it('keeps months apart, by the time of the usage', async () => {
    const simulator = await aSimulator()
    const subscription = simulator.marketplace.subscribe({ productCode: 'prodcode1' })
    simulator.clock.set(Date.parse('2026-12-01T01:00:00Z'))
    const at = (time: string) => aRecord(subscription, { Timestamp: Date.parse(time) / 1000 })
    await meter(simulator, [at('2026-11-30T23:59:59Z'), at('2026-12-01T00:00:00Z')])
    expect(simulator.marketplace.bill()).toMatchObject({
      total: '0.02',
      currency: 'USD',
      lines: [
        { month: '2026-11', units: '5', unitPrice: '0.002', amount: '0.01' },
        { month: '2026-12', units: '5', amount: '0.01' },
      ],
    })
  })

  it('bills nothing for a dimension without a price', async () => {
    const simulator = await aSimulator({
      products: [aProduct({ pricing: 'free', dimensions: [{ key: 'api_requests' }] })],
    })
    const subscription = simulator.marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('00:00') })
    await meter(simulator, [aRecord(subscription)])
    expect(simulator.marketplace.bill()).toMatchObject({ total: '0', lines: [{ units: '5', amount: '0' }] })
  })
})

describe('decimals', () => {
  it.each([
    ['0.002', 1_753n, '3.506'],
    ['4', 3n, '12'],
    ['0.10', 10n, '1'],
    ['0.000000000001', 1n, '0.000000000001'],
    ['1.5', 9_007_199_254_740_993n, '13510798882111489.5'],
  ])('%s times %s is %s', (price, units, amount) => {
    expect(formatDecimal(multiply(parseDecimal(price)!, units))).toBe(amount)
  })

  it('add up across scales', () => {
    expect(formatDecimal(add(parseDecimal('0.1')!, parseDecimal('0.02')!))).toBe('0.12')
  })

  it.each(['', '.5', '1e3', '-1', '1.', '0x1', ' 1', '1,5'])('%j is none', (text) => {
    expect(parseDecimal(text)).toBeUndefined()
  })
})

function thousandthsOf(amount: string): bigint {
  const [whole = '0', fraction = ''] = amount.split('.')
  return BigInt(whole) * 1000n + BigInt(fraction.padEnd(3, '0'))
}
