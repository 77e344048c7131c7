import { describe, expect, it } from 'vitest'
import { aClock, aStillClock, turns } from '../clock.fixture.ts'
import type { UsageEvent, UsageOutcome } from '../generated/api.gen.ts'
import { accepted, CALL, failing, type Reply, start, unreachable } from './usage-buffer.fixture.ts'
import { memoryJournal, type UsageJournal } from './usage-journal.ts'

/** As Tollkeeper answers: what it cannot read is refused by the id as far as it could be read. */
const ID_MAX = 255
const strict: Reply = (events) => ({
  outcomes: events.map(({ correlationId: id }): UsageOutcome => {
    if (typeof id !== 'string') return { id: '', status: 'refused', code: 'invalid' }
    if (id.length > ID_MAX) return { id: id.slice(0, ID_MAX), status: 'refused', code: 'invalid' }
    return { id, status: 'accepted' }
  }),
})

/** What an earlier version wrote. */
function journalWith(...events: object[]): UsageJournal {
  const entries = events.map((event, index) => ({ key: index + 1, event: event as UsageEvent }))
  return { ...memoryJournal(), open: async () => entries }
}

describe('nothing holds up a usage buffer for ever', () => {
  it.each(['', 'x'.repeat(256), 'a\nb', 7, {}])('takes no id that the server does not: %j', async (id) => {
    const { buffer } = await start()
    const event = { ...CALL, correlationId: id as string }
    await expect(buffer.add(event)).rejects.toMatchObject({ code: 'buffer.event_invalid' })
    expect(buffer.pending).toBe(0)
  })

  it('hands over an event whose id the server cannot read, and goes on', async () => {
    const journal = journalWith(
      { ...CALL, correlationId: 'x'.repeat(300) },
      { ...CALL, correlationId: 7 },
      { ...CALL, correlationId: 'good' },
    )
    const { buffer, refused, server } = await start({ journal, replies: [strict] })
    await buffer.flush()
    expect(refused.map(({ outcome }) => outcome.id)).toEqual(['x'.repeat(255), ''])
    expect([buffer.pending, server.requests.length]).toEqual([0, 1])
  })

  it('takes no outcome for another event’s', async () => {
    const swapped: Reply = ([one, two]) => accepted([two!, one!])
    const { buffer, server, errors } = await start({ replies: [swapped] })
    await buffer.add({ ...CALL, correlationId: 'one' })
    await buffer.add({ ...CALL, correlationId: 'two' })
    await buffer.close()
    expect(server.requests).toHaveLength(2)
    expect(errors).toMatchObject([{ message: expect.stringContaining('2 of 2 events were not answered') }])
  })

  it.each([1, 5_000])('hands over an event that is too large where it is alone: %i', async (length) => {
    const small: Reply = (events) =>
      events.some(({ value }) => value!.length >= length && value!.startsWith('l'))
        ? failing(413, 'client.unreadable_answer')(events)
        : accepted(events)
    const { buffer, refused } = await start({ replies: Array(50).fill(small) })
    for (const value of ['a', 'l'.repeat(length), 'b', 'c']) await buffer.add({ ...CALL, value })
    expect(await buffer.close({ timeoutMs: 600_000 })).toEqual([])
    expect(refused).toMatchObject([{ event: { value: 'l'.repeat(length) }, outcome: { status: 'refused' } }])
  })

  it('refuses a journal of settlements', async () => {
    let isClosed = false
    const journal: UsageJournal = {
      ...journalWith({ reservation: 'rsv_1', quantity: 1, at: 0 }),
      close: async () => {
        isClosed = true
      },
    }
    await expect(start({ journal })).rejects.toThrow('a file of its own')
    expect(isClosed).toBe(true)
  })
})

describe('flushing and closing', () => {
  it('sends also what is still being added', async () => {
    const clock = aStillClock()
    let write = () => {}
    const journal: UsageJournal = {
      ...memoryJournal(),
      append: () => new Promise((resolve) => (write = resolve)),
    }
    const { buffer, server } = await start({ clock, journal })
    const added = buffer.add(CALL)
    const flushed = buffer.flush()
    await turns()
    expect(server.requests).toHaveLength(0)
    write()
    await flushed
    expect(server.ids()).toEqual([[await added]])
  })

  it('waits for no event that could not be kept', async () => {
    const journal: UsageJournal = {
      ...memoryJournal(),
      append: async () => {
        throw new Error('disk full')
      },
    }
    const { buffer } = await start({ journal })
    const added = buffer.add(CALL)
    const flushed = buffer.flush()
    await expect(added).rejects.toThrow('disk full')
    await flushed
  })

  it('sends as soon as there is enough for a request, however few events that are', async () => {
    const { buffer, server } = await start({ clock: aStillClock(), batchBytesMax: 1_000 })
    for (let n = 0; n < 3; n++) await buffer.add({ ...CALL, value: 'x'.repeat(300) })
    await turns()
    expect(server.requests.length).toBeGreaterThan(0)
  })

  it('tries once more when it is closed, however long the server asked to wait', async () => {
    const { buffer, server } = await start({
      replies: [failing(503, 'server.overloaded', 30_000)],
      clock: aStillClock(),
    })
    await buffer.add(CALL)
    await expect(buffer.flush()).rejects.toMatchObject({ code: 'server.overloaded' })
    expect(await buffer.close()).toEqual([])
    expect(server.requests).toHaveLength(2)
  })

  it('tries every second while it is closed, however often it failed before, and whatever the server asks', async () => {
    const { buffer, server } = await start({
      replies: [...Array(12).fill(unreachable), ...Array(4).fill(failing(503, 'server.overloaded', 30_000))],
    })
    await buffer.add(CALL)
    while (server.requests.length < 12) await turns(1)
    expect(await buffer.close()).toEqual([])
    expect(server.requests).toHaveLength(17)
  })

  it('rejects a flush of what is left when it is closed', async () => {
    const { buffer } = await start({ replies: Array(99).fill(unreachable) })
    await buffer.add(CALL)
    expect(await buffer.close({ timeoutMs: 1_000 })).toHaveLength(1)
    await expect(buffer.flush()).rejects.toMatchObject({ code: 'buffer.closed' })
  })

  it.each(['the listener', 'the client'])('is closed in time, even where %s never answers', async (who) => {
    const never = () => new Promise<never>(() => {})
    const refusing: Reply = ([event]) => ({ outcomes: [{ id: event!.correlationId, status: 'refused' }] })
    const { buffer } = await start({
      clock: aClock(),
      replies: [who === 'the client' ? never : refusing],
      ...(who === 'the listener' && { onRefused: never }),
    })
    const id = await buffer.add(CALL)
    expect(await buffer.close({ timeoutMs: 5_000 })).toMatchObject([{ correlationId: id }])
  })
})
