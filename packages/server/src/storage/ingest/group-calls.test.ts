import { expect, it } from 'vitest'
import { DomainError } from '../../domain/error.ts'
import type { RecordedEvent, RoutedEvent } from '../../domain/usage/usage-event.ts'
import { groupCalls, groupWrites, type WriteGroup } from './group-calls.ts'

const accepted: WriteGroup = async (calls) =>
  calls.map(({ events }) => events.map((): RecordedEvent => ({ status: 'accepted' })))

/** What is in them is the writer's affair. */
function events(count: number): RoutedEvent[] {
  return new Array<RoutedEvent>(count).fill({} as RoutedEvent)
}

it('writes all that wait together, and what comes meanwhile in the next group', async () => {
  const sizes: number[] = []
  const record = groupCalls(async (calls) => {
    sizes.push(calls.length)
    if (sizes.length === 1) next = [record(events(1), 0, 0), record(events(1), 0, 0)]
    return accepted(calls)
  })
  let next: Promise<readonly RecordedEvent[]>[] = []
  await Promise.all([1, 2, 3].map((count) => record(events(count), 0, 0)))
  await Promise.all(next)
  expect(sizes).toEqual([3, 2])
})

it('tells each call its own outcomes, however many lanes there are', async () => {
  const record = groupCalls(accepted, accepted)
  const outcomes = await Promise.all([1, 2_000, 3_000, 4].map((count) => record(events(count), 0, 0)))
  expect(outcomes.map(({ length }) => length)).toEqual([1, 2_000, 3_000, 4])
})

it('tries each call alone where a group fails, so that one cannot fail the others', async () => {
  const record = groupCalls(async (calls) => {
    if (calls.some(({ now }) => now === 13)) throw new Error('unlucky')
    return accepted(calls)
  })
  const results = await Promise.allSettled([1, 13, 2].map((now) => record(events(1), now, 0)))
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

it('tries nothing again that must not be written twice', async () => {
  let written = 0
  const write = groupWrites({ what: 'use', weightOf: () => 1, isRepeatable: false }, async () => {
    written++
    throw new Error('was it written?')
  })
  const results = await Promise.allSettled([1, 2, 3].map(write))
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(written).toBe(1)
})

it('fails all that wait where the ledger is busy, and takes more in afterwards', async () => {
  let isBusy = true
  const record = groupCalls(async (calls) => {
    if (isBusy) throw new DomainError('ledger.busy', 'busy')
    return accepted(calls)
  })
  const results = await Promise.allSettled([3_000, 3_000, 1].map((count) => record(events(count), 0, 0)))
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  isBusy = false
  expect(await record(events(1), 0, 0)).toEqual([{ status: 'accepted' }])
})

it('takes no more than memory allows, and says so at once; one call alone may be of any size', async () => {
  const record = groupCalls(accepted)
  const first = record(events(150_000), 0, 0)
  await expect(record(events(1), 0, 0)).rejects.toMatchObject({ code: 'ledger.busy' })
  expect(await first).toHaveLength(150_000)
})
