import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import { aClock, aStillClock, turns } from '../clock.fixture.ts'
import type { UsageEvent } from '../generated/api.gen.ts'
import { addedLine, readJournal, settledLine } from '../journal/journal-lines.ts'
import { accepted, CALL, failing, type Reply, start, unreachable } from './usage-buffer.fixture.ts'
import { createUsageBuffer, type UsageBufferOptions } from './usage-buffer.ts'
import type { UsageJournal } from './usage-journal.ts'

describe('a usage buffer', () => {
  it('gives an event its id and time when it is added, and sends those that come together together', async () => {
    const { buffer, server } = await start()
    const ids = await Promise.all([
      buffer.add(CALL),
      buffer.add(CALL),
      buffer.add({ ...CALL, correlationId: 'own' }),
    ])
    expect(new Set(ids).size).toBe(3)
    expect(ids[2]).toBe('own')
    await buffer.flush()
    expect(server.ids()).toEqual([ids])
    expect(server.requests[0]![0]).toMatchObject({ ...CALL, usageTime: '2026-11-21T10:00:00.000Z' })
    expect(buffer.pending).toBe(0)
  })

  it('sends again with the same ids and times until it is answered, waiting longer each time', async () => {
    const { buffer, server, clock, errors } = await start({
      replies: [unreachable, failing(500, 'server.failed'), failing(401, 'key.unknown')],
    })
    const id = await buffer.add(CALL)
    expect(await buffer.close({ timeoutMs: 600_000 })).toEqual([])
    expect(server.ids()).toEqual([[id], [id], [id], [id]])
    expect(new Set(server.requests.map(([event]) => event!.usageTime)).size).toBe(1)
    expect(clock.slept).toEqual(expect.arrayContaining([100, 200, 400]))
    expect(errors).toHaveLength(3)
  })

  it('sends when the interval is over, or a batch is full, and no earlier', async () => {
    const clock = aStillClock()
    const { buffer, server } = await start({ clock, batchEventsMax: 3 })
    await buffer.add(CALL)
    await buffer.add(CALL)
    await turns()
    expect(server.requests).toHaveLength(0)
    clock.pass()
    await turns()
    expect(server.ids().map(({ length }) => length)).toEqual([2])
    for (let n = 0; n < 3; n++) await buffer.add(CALL)
    await turns()
    expect(server.ids().map(({ length }) => length)).toEqual([2, 3])
  })

  it('does not press a server that fails, however much is added', async () => {
    const clock = aStillClock()
    const { buffer, server } = await start({ clock, batchEventsMax: 2, replies: [unreachable] })
    for (let n = 0; n < 20; n++) await buffer.add(CALL)
    await turns()
    expect(server.requests).toHaveLength(1)
    clock.pass()
    await turns()
    expect(server.requests).toHaveLength(11)
  })

  it('waits as long as the server asks, also where somebody wants it sent', async () => {
    const clock = aStillClock()
    const { buffer, server } = await start({ clock, replies: [failing(503, 'server.overloaded', 5_000)] })
    await buffer.add(CALL)
    await expect(buffer.flush()).rejects.toMatchObject({ code: 'server.overloaded' })
    const flushed = buffer.flush()
    await turns()
    expect(server.requests).toHaveLength(1)
    clock.pass()
    await flushed
    expect(server.requests).toHaveLength(2)
  })

  it('keeps batches within what the server takes', async () => {
    const { buffer, server } = await start({ batchBytesMax: 1_000 })
    const big = { ...CALL, value: 'x'.repeat(300) }
    for (let n = 0; n < 5; n++) await buffer.add(big)
    await buffer.flush()
    expect(server.requests.length).toBeGreaterThan(1)
    for (const events of server.requests) expect(JSON.stringify(events).length).toBeLessThanOrEqual(1_000)
    await expect(buffer.add({ ...CALL, value: 'x'.repeat(1_000) })).rejects.toMatchObject({
      code: 'buffer.event_too_large',
    })
  })

  it('sends less at once where that was too large', async () => {
    const { buffer, server } = await start({ replies: [failing(413, 'client.unreadable_answer')] })
    for (let n = 0; n < 4; n++) await buffer.add({ ...CALL, value: 'x'.repeat(200_000) })
    await buffer.close({ timeoutMs: 600_000 })
    expect(server.ids().map(({ length }) => length)).toEqual([4, 2, 2])
  })

  it('tells what is refused or in conflict, and counts it as answered', async () => {
    const { buffer, refused } = await start({
      replies: [
        ([one, two, three]) => ({
          outcomes: [
            { id: one!.correlationId, status: 'refused', code: 'dimension_unknown' },
            { id: two!.correlationId, status: 'late' },
            { id: three!.correlationId, status: 'conflict' },
          ],
        }),
      ],
    })
    for (const correlationId of ['one', 'two', 'three']) await buffer.add({ ...CALL, correlationId })
    await buffer.flush()
    expect(refused).toMatchObject([
      { event: { correlationId: 'one' }, outcome: { code: 'dimension_unknown' } },
      { event: { correlationId: 'three' }, outcome: { status: 'conflict' } },
    ])
    expect(buffer.pending).toBe(0)
  })

  it('keeps what was refused until its listener took it', async () => {
    let told = 0
    const refusing: Reply = ([event]) => ({ outcomes: [{ id: event!.correlationId, status: 'refused' }] })
    const { buffer, errors } = await start({
      replies: [refusing, refusing],
      onRefused: () => {
        told += 1
        if (told === 1) throw new Error('the listener is ill')
      },
    })
    await buffer.add(CALL)
    await buffer.close()
    expect(told).toBe(2)
    expect(errors).toMatchObject([{ message: 'the listener is ill' }])
  })

  it('finds the one event for which a batch cannot be read', async () => {
    const unreadable: Reply = (events) =>
      events.some(({ correlationId }) => correlationId === 'bad')
        ? failing(400, 'request.invalid')(events)
        : accepted(events)
    const { buffer, refused } = await start({ replies: Array(20).fill(unreadable) })
    for (const correlationId of ['a', 'b', 'bad', 'c', 'd']) await buffer.add({ ...CALL, correlationId })
    await buffer.flush()
    expect(refused.map(({ event }) => event.correlationId)).toEqual(['bad'])
  })

  it('takes a proxy’s refusal for no refusal of the events', async () => {
    const { buffer, refused, server } = await start({ replies: [failing(400, 'client.unreadable_answer')] })
    await buffer.add(CALL)
    await buffer.close()
    expect(refused).toEqual([])
    expect(server.requests).toHaveLength(2)
  })

  it('makes whoever adds wait for room, in turn', async () => {
    const clock = aStillClock()
    const { buffer, server } = await start({ clock, pendingEventsMax: 2 })
    const order: number[] = []
    const added = [1, 2, 3, 4].map((n) => buffer.add(CALL).then(() => order.push(n)))
    await turns()
    expect(order).toEqual([1, 2])
    await buffer.flush()
    await Promise.all(added)
    expect(order).toEqual([1, 2, 3, 4])
    await buffer.flush()
    expect(server.requests.flat()).toHaveLength(4)
  })

  it('or says that it is full', async () => {
    const { buffer } = await start({ clock: aStillClock(), pendingEventsMax: 1, whenFull: 'reject' })
    await buffer.add(CALL)
    await expect(buffer.add(CALL)).rejects.toMatchObject({ code: 'buffer.full' })
    await buffer.flush()
    await buffer.add(CALL)
  })

  it('sends what is left when it is closed, takes nothing more, and hands back what could not be sent', async () => {
    const { buffer } = await start({ replies: [unreachable] })
    await buffer.add(CALL)
    expect(await buffer.close()).toEqual([])
    await expect(buffer.add(CALL)).rejects.toMatchObject({ code: 'buffer.closed' })

    const offline = await start({ replies: Array(1_000).fill(unreachable) })
    const id = await offline.buffer.add(CALL)
    expect(await offline.buffer.close({ timeoutMs: 60_000 })).toMatchObject([{ correlationId: id }])
  })

  it('changes nothing that its caller changes later', async () => {
    const { buffer, server } = await start()
    const event = { ...CALL, quantity: 1 }
    await buffer.add(event)
    event.quantity = 9
    await buffer.flush()
    expect(server.requests[0]).toMatchObject([{ quantity: 1 }])
  })
})

/** A disk that outlives the machines that write to it. */
interface Disk {
  text: string
}

/** What happens to the next write, or to the next call. */
const fates = fc.array(
  fc.constantFrom(
    'well',
    'well',
    'well',
    'lost before',
    'lost after',
    'half',
    'short',
    'dies before',
    'dies after',
  ),
  { maxLength: 30 },
)
const steps = fc.array(fc.constantFrom('add', 'add', 'add', 'turn', 'flush', 'crash', 'close'), {
  maxLength: 40,
})

/** A process on that disk: once it is dead, nothing of it goes on. */
function aMachine(disk: Disk, ledger: Map<string, string[]>, next: () => string) {
  let isDead = false
  const never = new Promise<never>(() => {})
  const orDead = async <T>(value: T): Promise<T> => (isDead ? await never : value)
  const clock = aClock()
  const diskFails = async (line: string) => {
    if (isDead) await never
    const fate = next()
    if (fate === 'lost before') throw new Error('disk full')
    if (fate === 'dies before') isDead = true
    else disk.text += line
    // A crash while it is written leaves half a line.
    if (fate === 'half') {
      disk.text = disk.text.slice(0, -Math.ceil(line.length / 2))
      isDead = true
    }
    if (fate === 'dies after') isDead = true
    return orDead(undefined)
  }
  const journal: UsageJournal = {
    async open() {
      const { entries, goodBytes } = readJournal(new TextEncoder().encode(disk.text), 'disk')
      disk.text = disk.text.slice(0, goodBytes)
      return [...entries.values()]
    },
    append: (entry) => diskFails(addedLine(entry)),
    settle: (keys) => diskFails(settledLine(keys)),
    close: async () => {},
  }
  const client = {
    async reportUsage(body: readonly UsageEvent[] | { readonly events: readonly UsageEvent[] }) {
      if (isDead) await never
      const events = 'events' in body ? body.events : body
      const fate = next()
      if (fate === 'dies before') isDead = true
      if (fate === 'lost before' || isDead) {
        await orDead(undefined)
        throw new TollkeeperError('reportUsage', { status: 0, code: 'client.unreachable' })
      }
      // The ledger knows a repeat by its id.
      const answered = fate === 'half' ? events.slice(0, Math.ceil(events.length / 2)) : events
      for (const event of answered) {
        const seen = ledger.get(event.correlationId) ?? []
        ledger.set(event.correlationId, [...seen, JSON.stringify(event)])
      }
      if (fate === 'dies after') isDead = true
      await orDead(undefined)
      if (fate === 'lost after')
        throw new TollkeeperError('reportUsage', { status: 0, code: 'client.timeout' })
      return accepted(fate === 'short' ? answered.slice(1) : answered)
    },
  }
  return {
    kill: () => {
      isDead = true
    },
    options: {
      client,
      journal,
      clock: {
        now: clock.now,
        sleep: async (ms: number, signal?: AbortSignal) => orDead(await clock.sleep(ms, signal)),
      },
      onRefused: () => {},
      batchEventsMax: 3,
      pendingEventsMax: 5,
    } satisfies UsageBufferOptions,
  }
}

it('loses nothing and never changes an id, whatever fails, answers half or dies in between', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fates, async (todo, fateList) => {
      const disk: Disk = { text: '' }
      const ledger = new Map<string, string[]>()
      const left = [...fateList]
      const next = () => left.shift() ?? 'well'
      const kept: string[] = []
      const rejected: string[] = []
      let count = 0
      let machine = aMachine(disk, ledger, next)
      let buffer = await createUsageBuffer(machine.options)
      const restart = async () => {
        machine.kill()
        machine = aMachine(disk, ledger, next)
        buffer = await createUsageBuffer(machine.options)
      }
      for (const step of todo) {
        if (step === 'add') {
          count += 1
          const value = `use ${count}`
          buffer.add({ ...CALL, value }).then(
            () => kept.push(value),
            () => rejected.push(value),
          )
        }
        if (step === 'flush') buffer.flush().catch(() => {})
        if (step === 'close') void buffer.close({ timeoutMs: 1_000 }).then(() => {})
        if (step === 'turn') await turns()
        if (step === 'crash') await restart()
      }
      await turns()
      left.length = 0 // all is well again
      await restart()
      expect(await buffer.close({ timeoutMs: 10_000_000 })).toEqual([])

      const idsOf = new Map<string, string[]>()
      for (const [id, contents] of ledger) {
        expect(new Set(contents).size).toBe(1)
        const { value } = JSON.parse(contents[0]!)
        idsOf.set(value, [...(idsOf.get(value) ?? []), id])
      }
      for (const value of kept) expect(idsOf.get(value), value).toHaveLength(1)
      // Who was told no may add it again, as another event.
      for (const value of rejected) expect(idsOf.get(value), value).toBeUndefined()
      for (const ids of idsOf.values()) expect(ids).toHaveLength(1)
    }),
    { numRuns: 300 },
  )
})
