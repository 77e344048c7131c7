import { expect, it } from 'vitest'
import { createRefreshQueue, type RefreshOutcome } from './refresh-entitlements.ts'

/** A queue whose readings end when they are told to. */
function aQueue() {
  const begun: [subscription: string, occurredAt: number | undefined][] = []
  const errors: unknown[] = []
  let end: (how: RefreshOutcome | Error) => void = () => {}
  const queue = createRefreshQueue(
    (subscription, occurredAt) => {
      begun.push([subscription, occurredAt])
      return new Promise((resolve, reject) => {
        end = (how) => (how instanceof Error ? reject(how) : resolve(how))
      })
    },
    (error) => errors.push(error),
  )
  const next = async (how: RefreshOutcome | Error = 'granted') => {
    end(how)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { queue, begun, errors, next }
}

it('reads one after the other, and goes on after one that fails', async () => {
  const { queue, begun, errors, next } = aQueue()
  queue.add('a', 1)
  queue.add('b')
  expect(begun).toEqual([['a', 1]])
  await next(new Error('disk full'))
  expect(errors).toEqual([new Error('disk full')])
  expect(begun).toEqual([
    ['a', 1],
    ['b', undefined],
  ])
  await next()
  queue.add('c')
  expect(begun).toHaveLength(3)
})

it('asks once for what waits twice, and again for what came while it was asked', async () => {
  const { queue, begun, next } = aQueue()
  queue.add('a', 1)
  queue.add('a', 2)
  queue.add('a', 3)
  await next()
  await next()
  await next()
  expect(begun).toEqual([
    ['a', 1],
    ['a', 3],
  ])
})

it('stops when what it has begun has ended', async () => {
  const { queue, begun, next } = aQueue()
  queue.add('a')
  queue.add('b')
  let isStopped = false
  const stopping = queue.stop().then(() => {
    isStopped = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(isStopped).toBe(false)
  await next()
  await stopping
  queue.add('c')
  expect(begun).toEqual([['a', undefined]])
})
