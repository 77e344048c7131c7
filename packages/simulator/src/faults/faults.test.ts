import { describe, expect, it } from 'vitest'
import { aProduct, aRecord, aSimulator, call, meter, statuses, utc } from '../test-values.ts'
import type { FaultOrder } from './faults.ts'

async function aBuyer(options: Parameters<typeof aSimulator>[0] = {}) {
  const simulator = await aSimulator(options)
  const subscription = simulator.marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('00:00') })
  const record = (overrides = {}) => aRecord(subscription, overrides)
  const send = () => {
    const body = JSON.stringify({ UsageRecords: [record()] })
    return simulator.handleAws({ target: 'AWSMPMeteringService.BatchMeterUsage', body, region: 'us-east-1' })
  }
  return { simulator, subscription, record, send, marketplace: simulator.marketplace }
}

describe('faults to order', () => {
  const cases: [FaultOrder, object, boolean][] = [
    [{ kind: 'throttle' }, { status: 400, body: expect.stringContaining('ThrottlingException') }, false],
    [{ kind: 'cutBefore' }, { kind: 'cut' }, false],
    [{ kind: 'cutAfter' }, { kind: 'cut' }, true],
    [{ kind: 'html503' }, { status: 503, headers: { 'content-type': 'text/html' } }, false],
    [{ kind: 'internalError' }, { status: 500 }, false],
    [{ kind: 'internalError', taken: true }, { status: 500 }, true],
    [{ kind: 'slow', delayMs: 5 }, { status: 200, delayMs: 5 }, true],
    [{ kind: 'slow', taken: false }, { status: 500, delayMs: 1_000 }, false],
    [{ kind: 'refuse' }, { status: 400, body: expect.stringContaining('DisabledApiException') }, false],
    [
      { kind: 'refuse', error: 'InvalidTagException' },
      { body: expect.stringContaining('InvalidTagException') },
      false,
    ],
    [{ kind: 'truncatedBody' }, { status: 200 }, true],
    [{ kind: 'unprocessed' }, { status: 200, body: expect.stringContaining('"Results":[]') }, false],
  ]

  it.each(cases)('%j', async (order, expected, isTaken) => {
    const { simulator, marketplace, send } = await aBuyer()
    simulator.faults.order({ ...order, times: 1 })
    const reply = await send()
    expect(reply).toMatchObject(expected)
    expect(marketplace.recordCount).toBe(isTaken ? 1 : 0)
    expect(await send()).toMatchObject({ status: 200, body: expect.stringContaining('"Success"') })
    expect(marketplace.recordCount).toBe(1)
    expect(simulator.calls()[1]).toMatchObject({ fault: order.kind, operation: 'BatchMeterUsage' })
  })

  it('a truncated body is none that can be read', async () => {
    const { simulator, send } = await aBuyer()
    simulator.faults.order({ kind: 'truncatedBody', times: 1 })
    const reply = await send()
    expect(() => JSON.parse(reply.kind === 'answer' ? String(reply.body) : '')).toThrow()
  })

  it('leaves about the ordered share of records unprocessed, the same ones for the same seed', async () => {
    const run = async () => {
      const { simulator, record } = await aBuyer()
      simulator.faults.order({ kind: 'unprocessed', share: 0.4 })
      const records = Array.from({ length: 20 }, (_, hour) =>
        record({ Timestamp: (utc('12:30') - hour * 1_800_000) / 1000 }),
      )
      const { body } = await meter(simulator, records)
      expect(body.Results.length + body.UnprocessedRecords.length).toBe(20)
      return body.UnprocessedRecords.map((unprocessed: { Timestamp: number }) => unprocessed.Timestamp)
    }
    const first = await run()
    expect(first.length).toBeGreaterThan(2)
    expect(first.length).toBeLessThan(15)
    expect(await run()).toEqual(first)
  })

  it('hits only the operation, product and virtual time it was ordered for', async () => {
    const { simulator, subscription, record, marketplace } = await aBuyer()
    marketplace.addProduct(aProduct({ productCode: 'other' }))
    const other = marketplace.subscribe({ productCode: 'other', startAt: utc('00:00') })
    const aimed = {
      operation: 'BatchMeterUsage',
      productCode: 'other',
      from: '2026-11-20T13:00:00Z',
      until: '2026-11-20T14:00:00Z',
    } as const
    simulator.faults.order({ kind: 'throttle', ...aimed })
    expect(await statuses(simulator, [aRecord(other)])).toEqual(['Success'])
    simulator.clock.set(utc('13:00'))
    expect((await meter(simulator, [aRecord(other)])).status).toBe(400)
    expect(await statuses(simulator, [record()])).toEqual(['Success'])
    expect((await call(simulator, 'ResolveCustomer', { RegistrationToken: other.token })).status).toBe(200)
    simulator.clock.set(utc('14:00'))
    expect(await statuses(simulator, [aRecord(other)])).toEqual(['Success'])
    expect(subscription.productCode).toBe('prodcode1')
  })

  it('are used up one after the other, in the order in which they came', async () => {
    const { simulator, send } = await aBuyer()
    simulator.faults.order({ kind: 'throttle', times: 2 })
    simulator.faults.order({ kind: 'cutBefore', times: 1 })
    for (let calls = 0; calls < 4; calls++) await send()
    const outcomes = simulator.calls().map((made) => made.outcome)
    expect(outcomes.reverse()).toEqual(['ThrottlingException', 'ThrottlingException', 'cut', 'ok'])
    expect(simulator.faults.list()).toEqual([])
  })

  it.each([
    [{ kind: 'explode' }, 'kind of a fault must be one of'],
    [{ kind: 'throttle', times: 0 }, 'times of a fault'],
    [{ kind: 'throttle', share: 2 }, 'share of a fault'],
    [{ kind: 'throttle', from: 'soon' }, 'from of a fault'],
    [{ kind: 'throttle', often: true }, 'a fault has no often'],
    [{ kind: 'unprocessed', operation: 'ResolveCustomer' }, 'BatchMeterUsage and PutEvents only'],
    [{}, 'kind of a fault'],
    [null, 'must be an object'],
  ])('refuses the order %j', async (order, message) => {
    const { simulator } = await aBuyer()
    expect(() => simulator.faults.order(order as FaultOrder)).toThrow(message)
  })
})

describe('quotas', () => {
  it('let 10 batches a second through for each region, on the virtual clock', async () => {
    const { simulator, record } = await aBuyer({ settings: { throttling: true } })
    const errorsOf = async (times: number, region?: string) => {
      let errors = 0
      for (let calls = 0; calls < times; calls++) {
        if ((await meter(simulator, [record()], {}, region)).body.__type === 'ThrottlingException') errors++
      }
      return errors
    }
    expect(await errorsOf(12)).toBe(2)
    expect(await errorsOf(10, 'eu-west-1')).toBe(0)
    simulator.clock.advance(100)
    expect(await errorsOf(2)).toBe(1)
    simulator.clock.set(utc('12:00'))
    expect(await errorsOf(10)).toBe(0)
  })
})
