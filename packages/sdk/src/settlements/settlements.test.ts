import { describe, expect, it } from 'vitest'
import { memoryJournal, type UsageJournal } from '../buffer/usage-journal.ts'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import { aClock, START, turns } from '../clock.fixture.ts'
import type { KeptSettlement, Unsettled } from './settlement.ts'
import { createSettlements, type SettlementsOptions } from './settlements.ts'

type Answer = {
  readonly settled?: boolean
  readonly state?: string
  readonly billed?: boolean
  readonly recordId?: string
  readonly reason?: string
}
type Reply = () => Answer | Promise<Answer>

const SETTLED: Reply = () => ({ settled: true, state: 'settled' })
const DAY_MS = 86_400_000

function failing(status: number, code = 'server.failed', retryAfterMs?: number): Reply {
  return () => {
    throw new TollkeeperError('settleReservation', { status, code, detail: 'no' }, { retryAfterMs })
  }
}

/** Tollkeeper, which answers each reservation as the lists say, then always well. */
function aServer(replies: Readonly<Record<string, Reply[]>>) {
  const asked: string[] = []
  let running = 0
  let runningMost = 0
  return {
    asked,
    runningMost: () => runningMost,
    client: {
      async settleReservation(
        { reservationId }: { reservationId: string },
        { quantity }: { quantity: unknown },
      ) {
        asked.push(`${reservationId} ${quantity}`)
        running += 1
        runningMost = Math.max(runningMost, running)
        try {
          await turns(1)
          return (await (replies[reservationId]?.shift() ?? SETTLED)()) as never
        } finally {
          running -= 1
        }
      },
    },
  }
}

/** What is in it outlives the process. */
function aJournal(
  kept = new Map<number, KeptSettlement>(),
): UsageJournal<KeptSettlement> & { kept: typeof kept } {
  return {
    kept,
    open: async () => [...kept].map(([key, event]) => ({ key, event })),
    append: async ({ key, event }) => void kept.set(key, event),
    settle: async (keys) => {
      for (const key of keys) kept.delete(key)
    },
    close: async () => {},
  }
}

async function start(
  replies: Readonly<Record<string, Reply[]>> = {},
  options: Partial<SettlementsOptions> = {},
) {
  const server = aServer(replies)
  const unsettled: Unsettled[] = []
  const errors: unknown[] = []
  const clock = aClock()
  const settlements = await createSettlements({
    client: server.client,
    onUnsettled: (all) => void unsettled.push(...all),
    onError: (error, about) => errors.push({ error, about }),
    clock,
    random: () => 0,
    ...options,
  })
  return { ...server, settlements, unsettled, errors, clock }
}

const used = (reservation: string, quantity: number | string = 2) => ({ reservation, quantity })

describe('a settlement', () => {
  it('is tried at once, and done when it is settled', async () => {
    const journal = aJournal()
    const { settlements, asked, unsettled } = await start({}, { journal })
    await settlements.add(used('r1', '1.25'), { tryForMs: 1_000 })
    expect(asked).toEqual(['r1 1.25'])
    expect([settlements.pending, journal.kept.size, unsettled]).toEqual([0, 0, []])
  })

  it('of what nobody pays by use for is done: it is recorded, and there is no bill to miss', async () => {
    const free = { settled: true, state: 'settled', recordId: 'rec_1', billed: false, reason: 'free' }
    const { settlements, unsettled } = await start({ r1: [() => free] })
    await settlements.add(used('r1'))
    await settlements.close()
    expect([settlements.pending, unsettled]).toEqual([0, []])
  })

  it.each([
    [{ settled: false, state: 'expired' }, 'reservation.expired'],
    [{ settled: true, state: 'settled', billed: false, reason: 'ended' }, 'reservation.unbillable'],
    [failing(400, 'request.invalid'), 'request.invalid'],
    [failing(404, 'reservation.not_found'), 'reservation.not_found'],
    [failing(409, 'reservation.ended'), 'reservation.ended'],
  ])('that never will be is told, before it is forgotten: %j %s', async (reply, reason) => {
    const journal = aJournal()
    let kept = 0
    const { settlements, asked } = await start(
      { r1: [typeof reply === 'function' ? reply : () => reply] },
      {
        journal,
        onUnsettled: (all) => {
          kept = journal.kept.size
          expect(all).toMatchObject([{ reservation: 'r1', quantity: 2, reason }])
        },
      },
    )
    await settlements.add(used('r1'))
    await settlements.close()
    expect([kept, journal.kept.size, asked.length]).toEqual([1, 0, 1])
  })

  it.each([
    [0, 'client.unreachable'],
    [302, 'client.unreadable_answer'],
    [400, 'client.unreadable_answer'],
    [401, 'key.unknown'],
    [403, 'key.scope_missing'],
    [404, 'request.not_found'],
    [408, 'request.timeout'],
    [413, 'request.too_large'],
    [429, 'request.too_many'],
    [503, 'ledger.busy'],
  ])('waits where time may change it: %i %s', async (status, code) => {
    const { settlements, asked, unsettled, errors } = await start({ r1: [failing(status, code)] })
    await settlements.add(used('r1'))
    expect(await settlements.close({ timeoutMs: 60_000 })).toEqual([])
    expect([asked.length, unsettled]).toEqual([2, []])
    expect(errors).toMatchObject([{ error: { status }, about: { reservation: 'r1', quantity: 2 } }])
  })

  it('waits where something else answers', async () => {
    const { settlements, asked } = await start({ r1: [() => ({})] })
    await settlements.add(used('r1'))
    await settlements.close({ timeoutMs: 60_000 })
    expect(asked).toHaveLength(2)
  })

  it('that nobody took when it was told is told again', async () => {
    let told = 0
    const ended = failing(409, 'reservation.ended')
    const { settlements } = await start(
      { r1: [ended, ended] },
      {
        onUnsettled: () => {
          told += 1
          if (told === 1) throw new Error('the listener is ill')
        },
      },
    )
    await settlements.add(used('r1'))
    expect(await settlements.close({ timeoutMs: 60_000 })).toEqual([])
    expect(told).toBe(2)
  })

  it('is given up after a week, and told', async () => {
    const journal = aJournal(new Map([[1, { ...used('r1'), at: START - 7 * DAY_MS + 3_600_000 }]]))
    const { settlements, unsettled, clock, asked } = await start(
      { r1: Array(1_000).fill(failing(503)) },
      { journal },
    )
    while (settlements.pending > 0) await turns(100)
    expect(unsettled).toMatchObject([{ reservation: 'r1', reason: 'settlement.too_old' }])
    expect(asked.length).toBeGreaterThan(10)
    expect(asked.length).toBeLessThan(50)
    expect(clock.now()).toBeGreaterThan(START + 3_600_000)
  })

  it('must be of a reservation, and a quantity', async () => {
    const { settlements } = await start()
    await expect(settlements.add(used('r1', 77 / 60))).rejects.toThrow(RangeError)
    await expect(settlements.add(used(''))).rejects.toThrow(TypeError)
  })
})

describe('settlements', () => {
  it('come back after a restart, with the same quantity, and the time that they were added at', async () => {
    const journal = aJournal()
    const gone = await start({ r1: Array(9).fill(failing(0, 'client.unreachable')) }, { journal })
    await gone.settlements.add(used('r1'))
    expect(await gone.settlements.close({ timeoutMs: 1 })).toEqual([used('r1')])
    expect(gone.unsettled).toEqual([])

    const next = await start({}, { journal })
    expect(await next.settlements.close()).toEqual([])
    expect([next.asked, journal.kept.size]).toEqual([['r1 2'], 0])

    journal.kept.set(1, { ...used('r2'), at: next.clock.now() - 8 * DAY_MS })
    const late = await start({}, { journal })
    await late.settlements.close()
    expect([late.asked, late.unsettled.map(({ reason }) => reason)]).toEqual([[], ['settlement.too_old']])
  })

  it('do not wait for one that always fails', async () => {
    const { settlements, asked } = await start({ bad: Array(10_000).fill(failing(500)) })
    await settlements.add(used('bad'))
    for (let n = 0; n < 100; n++) await settlements.add(used(`r${n}`))
    while (settlements.pending > 1) await turns()
    expect(new Set(asked).size).toBe(101)
    // It is asked about ever more seldom.
    expect(asked.filter((each) => each === 'bad 2').length).toBeLessThan(20)
  })

  it('do not press a server that answers nothing, however many there are', async () => {
    const down = Object.fromEntries(
      Array.from({ length: 200 }, (_, n) => [`r${n}`, [failing(503), failing(503)]]),
    )
    const { settlements, clock, asked } = await start(down)
    for (let n = 0; n < 200; n++) await settlements.add(used(`r${n}`))
    while (settlements.pending > 0) await turns()
    expect(asked).toHaveLength(600)
    // Most of them waited their turn in the pauses that grow up to ten seconds.
    expect(clock.now() - START).toBeGreaterThan(300 * 10_000)
  })

  it('go one by one, in waits as long as the server asks, until one is answered', async () => {
    const { settlements, clock, runningMost } = await start({
      r0: [failing(429, 'request.too_many', 30_000)],
    })
    await settlements.add(used('r0'))
    await turns(3)
    for (let n = 1; n < 50; n++) await settlements.add(used(`r${n}`))
    expect(runningMost()).toBe(1)
    while (settlements.pending > 0) await turns()
    expect(clock.slept).toContain(30_000)
    expect(runningMost()).toBeGreaterThan(1)
    expect(runningMost()).toBeLessThanOrEqual(16)
  })

  it('hold nobody up while the server is known not to answer', async () => {
    const never: Reply = () => new Promise(() => {})
    const { settlements, clock } = await start({ r1: [never], r2: [failing(503)] })
    await settlements.add(used('r1'), { tryForMs: 700 })
    expect(clock.slept).toContain(700)
    await settlements.add(used('r2'), { tryForMs: 1_000 })
    const before = clock.now()
    await settlements.add(used('r3'), { tryForMs: 1_000_000 })
    expect(clock.now()).toBe(before)
    await settlements.close()
  })

  it('are refused where there is no room, or where they are closed', async () => {
    const { settlements } = await start({ r1: Array(99).fill(failing(503)) }, { pendingMax: 1 })
    await settlements.add(used('r1'))
    await expect(settlements.add(used('r2'))).rejects.toMatchObject({ code: 'settlements.full' })
    await settlements.close({ timeoutMs: 1 })
    await expect(settlements.add(used('r3'))).rejects.toMatchObject({ code: 'settlements.closed' })
  })

  it('are not added where the journal does not keep them', async () => {
    const journal = {
      ...aJournal(),
      append: async () => {
        throw new Error('disk full')
      },
    }
    const { settlements, asked } = await start({}, { journal })
    await expect(settlements.add(used('r1'))).rejects.toThrow('disk full')
    expect([settlements.pending, asked]).toEqual([0, []])
  })

  it('are flushed: all are tried now, and the first failure is told', async () => {
    const { settlements, unsettled } = await start({ r1: [failing(503), failing(500)] })
    await settlements.add(used('r1'), { tryForMs: 1_000 })
    await expect(settlements.flush()).rejects.toMatchObject({ status: 500 })
    await settlements.flush()
    expect([settlements.pending, unsettled]).toEqual([0, []])
    await settlements.flush()
  })

  it.each(['a client', 'a listener'])(
    'are closed in time, and hand over what is left without a file, also to %s that never answers',
    async (who) => {
      const never = () => new Promise<never>(() => {})
      const told: Unsettled[] = []
      const { settlements } = await start(
        { r1: [never] },
        {
          onUnsettled: (all) => {
            told.push(...all)
            return who === 'a listener' ? never() : undefined
          },
        },
      )
      await settlements.add(used('r1'))
      expect(await settlements.close({ timeoutMs: 5_000 })).toEqual([used('r1')])
      expect(told).toMatchObject([{ reservation: 'r1', quantity: 2, reason: 'settlements.closed' }])
    },
  )

  it('are tried once more when they are closed, however long the server asked to wait', async () => {
    const { settlements, asked } = await start({ r1: [failing(503, 'server.overloaded', 60_000)] })
    await settlements.add(used('r1'), { tryForMs: 1_000 })
    expect(await settlements.close()).toEqual([])
    expect(asked).toHaveLength(2)
  })

  it.each([undefined, 60_000])(
    'are tried for all the time that closing has, also where the server asks to wait: %j ms',
    async (retryAfterMs) => {
      const clock = aClock()
      const down: Reply = () =>
        (clock.now() - START < 6_000 ? failing(503, 'server.overloaded', retryAfterMs) : SETTLED)()
      const names = Array.from({ length: 16 }, (_, n) => `r${n}`)
      const { settlements, asked } = await start(
        Object.fromEntries(names.map((name) => [name, Array(99).fill(down)])),
        { clock },
      )
      for (const name of names) await settlements.add(used(name))
      while (asked.length < 16) await turns(1)
      expect(await settlements.close()).toEqual([])
    },
  )

  it('wait once, and shortly, where all that were tried together failed', async () => {
    const unreachable = () => [failing(0, 'client.unreachable')]
    const blip = Array.from({ length: 16 }, (_, n) => [`r${n}`, unreachable()])
    const { settlements, clock } = await start(Object.fromEntries(blip))
    for (let n = 0; n < 16; n++) await settlements.add(used(`r${n}`))
    while (settlements.pending > 0) await turns()
    expect(clock.now() - START).toBeLessThan(1_000)
  })

  it('reject a flush that they were closed before, and one that comes later', async () => {
    const { settlements } = await start({
      r1: [failing(503, 'server.overloaded', 60_000), ...Array(99).fill(failing(503))],
    })
    await settlements.add(used('r1'), { tryForMs: 1_000 })
    expect(await settlements.close({ timeoutMs: 1 })).toHaveLength(1)
    await expect(settlements.flush()).rejects.toMatchObject({ code: 'settlements.closed' })
  })

  it('refuse a journal of usage', async () => {
    const journal = {
      ...memoryJournal<KeptSettlement>(),
      open: async () => [{ key: 1, event: { dimension: 'calls' } as unknown as KeptSettlement }],
    }
    await expect(start({}, { journal })).rejects.toThrow('a file of their own')
  })
})
