import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import { createClient } from './client/create-client.ts'
import { untilAborted } from './until-aborted.ts'

it('listens once to a signal, however many wait, and lets all of them go', async () => {
  const stop = new AbortController()
  const never = new Promise<never>(() => {})
  const waiting = Array.from({ length: 16 }, () => untilAborted(never, stop.signal))
  expect(await untilAborted(Promise.resolve('done'), stop.signal)).toBe('done')
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1)
  stop.abort(new Error('stopped'))
  for (const each of await Promise.allSettled(waiting)) {
    expect(each).toMatchObject({ status: 'rejected', reason: { message: 'stopped' } })
  }
  await expect(untilAborted(never, stop.signal)).rejects.toThrow('stopped')
})

it('listens once for all calls of a client with one signal, and ends them', async () => {
  const stop = new AbortController()
  const client = createClient({
    url: 'https://tollkeeper.example.com',
    key: 'tk_x',
    fetch: (_, { signal } = {}) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
  })
  const calls = Array.from({ length: 16 }, () => client.getQuota({}, { signal: stop.signal }))
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1)
  stop.abort()
  for (const each of await Promise.allSettled(calls))
    expect(each).toMatchObject({ reason: { code: 'client.aborted' } })
})
