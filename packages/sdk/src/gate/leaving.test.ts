import { describe, expect, it } from 'vitest'
import type { Client } from '../client/create-client.ts'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import { aClock, turns } from '../clock.fixture.ts'
import { createSettlements } from '../settlements/settlements.ts'
import { anApiKey } from './api-key.fixture.ts'
import { fetchGate } from './fetch.ts'
import { createGate, type Entered, type GateOptions } from './gate.ts'

type Settling = (quantity: unknown) => object | Promise<object>

const SETTLED: Settling = () => ({ settled: true, state: 'settled' })

/** A gate that holds 10, before a server that settles as the test says. */
async function aReservingGate(
  settle: Settling[] = [],
  options: Partial<GateOptions<string>> = {},
  state = 'held',
) {
  const settled: unknown[] = []
  const released: string[] = []
  const errors: unknown[] = []
  const client = {
    validateQuota: () => Promise.reject(new Error('it reserves')),
    reserveQuota: async () => ({
      allowed: true,
      dimension: 'minutes',
      quantity: 10,
      limits: [],
      reservation: { id: 'rsv_1', state, expiresAt: '2026-11-21T11:00:00Z' },
    }),
    async settleReservation(_: object, { quantity }: { quantity: unknown }) {
      settled.push(quantity)
      return (await (settle.shift() ?? SETTLED)(quantity)) as never
    },
    async releaseReservation({ reservationId }: { reservationId: string }) {
      released.push(reservationId)
      return {} as never
    },
  } as unknown as Pick<Client, 'validateQuota' | 'reserveQuota' | 'settleReservation' | 'releaseReservation'>
  const gateOptions: GateOptions<unknown> = {
    client,
    dimension: 'minutes',
    quantity: 10,
    reserve: true,
    clock: aClock(),
    onError: (error, about) => errors.push({ error, about }),
    ...(options as Partial<GateOptions<unknown>>),
  }
  const gate = createGate(gateOptions)
  const header = (name: string) => (name === 'x-api-key' ? anApiKey() : undefined)
  const seen = { method: 'GET', path: '/', header, address: undefined }
  const enter = async () => (await gate.enter('request', seen)) as Entered
  return { enter, settled, released, errors, client, gateOptions }
}

describe('what a handler says that it used', () => {
  it.each([Number.NaN, -1, 77 / 60, 1.1 * 3, 'much'])('is no %s', async (quantity) => {
    const { enter, settled } = await aReservingGate()
    const { admitted, leave } = await enter()
    admitted.use(4)
    expect(() => admitted.use(quantity)).toThrow(RangeError)
    await leave(200)
    expect(settled).toEqual([4])
  })

  it('is billed up to what was reserved, and the rest told', async () => {
    const { enter, settled, errors } = await aReservingGate()
    const { admitted, leave } = await enter()
    admitted.use('12.5')
    await leave(200)
    expect(settled).toEqual([10])
    expect(errors).toMatchObject([
      {
        error: { message: expect.stringContaining('2.5 are not billed') },
        about: { reservation: 'rsv_1', quantity: '2.5' },
      },
    ])
  })

  it('is let go of where it is nothing, or the handler failed', async () => {
    const { enter, settled, released } = await aReservingGate()
    const { leave } = await enter()
    await leave(500)
    const second = await enter()
    second.admitted.use(0)
    await second.leave(200)
    expect([settled, released]).toEqual([[], ['rsv_1', 'rsv_1']])
  })

  it('is not settled again where the same use was, before', async () => {
    const { enter, settled, released } = await aReservingGate([], {}, 'settled')
    await (await enter()).leave(200)
    await (await enter()).leave(500)
    expect([settled, released]).toEqual([[], []])
  })
})

describe('a reservation of a gate', () => {
  it('that expired, or cannot be settled, is told with its quantity', async () => {
    const refused = () => {
      throw new TollkeeperError('settleReservation', { status: 409, code: 'reservation.ended' })
    }
    const { enter, errors } = await aReservingGate([() => ({ settled: false, state: 'expired' }), refused])
    await (await enter()).leave(200)
    const second = await enter()
    second.admitted.use('1.5')
    await second.leave(200)
    expect(errors).toMatchObject([
      {
        error: { message: expect.stringContaining('reservation.expired') },
        about: { reservation: 'rsv_1', quantity: 10 },
      },
      {
        error: { message: expect.stringContaining('reservation.ended') },
        about: { reservation: 'rsv_1', quantity: '1.5' },
      },
    ])
  })

  it('is settled later where Tollkeeper could not be asked, and its listener throws', async () => {
    const down = () => {
      throw new TollkeeperError('settleReservation', { status: 0, code: 'client.unreachable' })
    }
    const { enter, settled } = await aReservingGate([down, down], {
      onError: () => {
        throw new Error('the listener is ill')
      },
    })
    await (await enter()).leave(200)
    await turns(200)
    expect(settled).toEqual([10, 10, 10])
  })

  it('goes to the settlements that the gate was given; where they do not take it, it is tried at once', async () => {
    const { client, ...first } = await aReservingGate()
    const settlements = await createSettlements({ client, onUnsettled: () => {}, clock: aClock() })
    const { enter, errors, settled } = await aReservingGate([], { client, settlements })
    await (await enter()).leave(200)
    expect([first.settled, settlements.pending]).toEqual([[10], 0])
    await settlements.close()
    await (await enter()).leave(200)
    expect(first.settled).toEqual([10, 10])
    expect([errors.length, settled]).toEqual([1, []])
    expect(errors).toMatchObject([{ error: { code: 'settlements.closed' }, about: { quantity: 10 } }])
  })

  it.each(['that the gate keeps', 'that nobody keeps'])(
    'whose subscription ended too long ago is told: it is settled, and never billed; one %s',
    async (which) => {
      const { client, ...first } = await aReservingGate([
        () => ({ settled: true, state: 'settled', billed: false, reason: 'it ended' }),
      ])
      const settlements = await createSettlements({ client, onUnsettled: () => {}, clock: aClock() })
      await settlements.close()
      const isKept = which === 'that the gate keeps'
      const { enter, errors } = await aReservingGate([], { client, ...(!isKept && { settlements }) })
      await (await enter()).leave(200)
      expect(first.settled).toEqual([10])
      expect(errors.at(-1)).toMatchObject({
        error: { message: expect.stringContaining('10 are not billed: it ended (reservation.unbillable)') },
        about: { reservation: 'rsv_1', quantity: 10 },
      })
    },
  )

  it('holds up no answer longer than the gate’s time', async () => {
    const never = () => new Promise<never>(() => {})
    const { gateOptions, settled } = await aReservingGate([never], { timeoutMs: 700 })
    const handle = fetchGate(gateOptions, () => new Response('done'))
    const response = await handle(
      new Request('https://product.example.com/', { headers: { 'x-api-key': anApiKey() } }),
    )
    expect([await response.text(), settled]).toEqual(['done', [10]])
  })
})
