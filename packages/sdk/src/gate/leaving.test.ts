import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import type { Client } from '../client/create-client.ts'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import { aClock, turns } from '../clock.fixture.ts'
import { createSettlements } from '../settlements/settlements.ts'
import { anApiKey } from './api-key.fixture.ts'
import { admittedOf, fetchGate, honoGate } from './fetch.ts'
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

describe('a handler that streams', () => {
  const request = (method = 'GET') =>
    new Request('https://product.example.com/', { method, headers: { 'x-api-key': anApiKey() } })

  /** Before fetch, and before Hono, with a body that is made of the request. */
  const GATES = {
    fetch: (options: GateOptions<unknown>, answer: (asked: Request) => Response) =>
      fetchGate(options, answer),
    hono: (options: GateOptions<unknown>, answer: (asked: Request) => Response) => {
      const app = new Hono()
      app.use(honoGate(options))
      app.all('/', (context) => answer(context.req.raw))
      return async (asked: Request) => app.fetch(asked)
    },
  }

  /** Five chunks; at its end, or where it is cancelled, it is known what they took. */
  function aStream(asked: Request): Response {
    let sent = 0
    const use = () => admittedOf(asked)?.use(sent)
    const body = new ReadableStream({
      pull(controller) {
        if (sent === 5) {
          use()
          return controller.close()
        }
        sent += 1
        controller.enqueue(new TextEncoder().encode(`${sent} `))
      },
      async cancel() {
        await turns(1)
        use()
      },
    })
    return new Response(body, { status: 201, headers: { 'content-type': 'text/event-stream' } })
  }

  describe.each(Object.keys(GATES) as (keyof typeof GATES)[])('behind %s', (name) => {
    it('says at its end what it used, and that is settled when the answer has ended', async () => {
      const { gateOptions, settled, errors } = await aReservingGate()
      const response = await GATES[name](gateOptions, aStream)(request())
      expect([response.status, response.headers.get('content-type')]).toEqual([201, 'text/event-stream'])
      expect([await response.text(), settled, errors]).toEqual(['1 2 3 4 5 ', [5], []])
    })

    it('says what it used until it was cancelled', async () => {
      const { gateOptions, settled, errors } = await aReservingGate()
      const response = await GATES[name](gateOptions, aStream)(request())
      const reader = response.body!.getReader()
      await reader.read()
      await reader.cancel()
      expect(settled).toHaveLength(1)
      expect(settled[0]).toBeLessThan(5)
      expect(errors).toEqual([])
    })

    it('is waited for no longer than the gate’s time, where it hangs or its caller is gone', async () => {
      const never = () => new Promise<never>(() => {})
      const { gateOptions, settled } = await aReservingGate([], { timeoutMs: 700 })
      const hanging = () => new Response(new ReadableStream({ pull: never, cancel: never }))
      const response = await GATES[name](gateOptions, hanging)(request())
      await response.body!.cancel()
      expect(settled).toEqual([10])
      const caller = new AbortController()
      const asked = new Request(request(), { signal: caller.signal })
      await GATES[name](gateOptions, hanging)(asked)
      await turns()
      expect(settled).toEqual([10])
      caller.abort()
      await turns()
      expect(settled).toEqual([10, 10])
    })

    it('has used all that was held where it breaks, or is not read', async () => {
      const { gateOptions, settled } = await aReservingGate()
      const broken = () =>
        new Response(
          new ReadableStream({
            pull() {
              throw new Error('broken')
            },
          }),
        )
      const response = await GATES[name](gateOptions, broken)(request())
      await expect(response.text()).rejects.toThrow('broken')
      expect(settled).toEqual([10])
      await GATES[name](gateOptions, () => new Response('short'))(request())
      await turns()
      expect(settled).toEqual([10, 10])
      for (const [method, answer] of [
        ['HEAD', aStream],
        ['GET', () => new Response(null, { status: 204 })],
      ] as const)
        await GATES[name](gateOptions, answer)(request(method))
      expect(settled).toEqual([10, 10, 10, 10])
    })
  })

  it('is told where it says too late what it used', async () => {
    const { enter, settled, errors } = await aReservingGate()
    const { admitted, leave } = await enter()
    await leave(200)
    admitted.use('10.0')
    expect(errors).toEqual([])
    admitted.use(3)
    expect(settled).toEqual([10])
    expect(errors).toMatchObject([
      {
        error: {
          message: expect.stringContaining('use(3) came after the answer had ended, and 10 are settled'),
        },
        about: { reservation: 'rsv_1', quantity: 3 },
      },
    ])
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
