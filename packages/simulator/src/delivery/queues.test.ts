import { beforeEach, describe, expect, it } from 'vitest'
import { applyQueueChange, type QueueState } from './queue.ts'
import { createQueues, type Queues } from './queues.ts'

let state: QueueState
let queues: Queues
let realTime: number
const AT_ONCE = { max: 10, visibilityTimeoutMs: 30_000, waitMs: 0 }

beforeEach(() => {
  state = new Map()
  realTime = 5_000_000
  queues = createQueues({
    state,
    commit: (name, change) => applyQueueChange(state, name, change),
    now: () => 1_000,
    realNow: () => realTime,
    messageId: (name) => name,
  })
  queues.put('orders', {})
})

const bodies = async (request = AT_ONCE, queue = 'orders') =>
  (await queues.receive(queue, request)).map(({ body }) => body)

describe('a queue', () => {
  it('hides what was received for its visibility timeout, in real time', async () => {
    queues.send('orders', { body: 'one' })
    expect(await bodies()).toEqual(['one'])
    realTime += 29_999
    expect(await bodies()).toEqual([])
    realTime += 1
    expect(await bodies()).toEqual(['one'])
  })

  it('shows a delayed message when its delay is over', async () => {
    queues.send('orders', { body: 'later', delayMs: 5_000 })
    expect(await bodies()).toEqual([])
    realTime += 5_000
    expect(await bodies()).toEqual(['later'])
  })

  it('extends a timeout, and only of what is in flight', async () => {
    queues.send('orders', { body: 'one' })
    const [message] = await queues.receive('orders', AT_ONCE)
    const receipt = { id: message?.id ?? '', receiveCount: 1 }
    expect(queues.changeVisibility('orders', receipt, 60_000)).toBe(true)
    realTime += 59_999
    expect(await bodies()).toEqual([])
    realTime += 1
    expect(queues.changeVisibility('orders', receipt, 60_000)).toBe(false)
  })

  it('gives each message to one of several who wait', async () => {
    const waiting = [1, 2, 3].map(() => queues.receive('orders', { ...AT_ONCE, max: 1, waitMs: 20_000 }))
    for (const body of ['a', 'b', 'c']) queues.send('orders', { body })
    const received = (await Promise.all(waiting)).map(([message]) => message?.body)
    expect(received.sort()).toEqual(['a', 'b', 'c'])
  })

  it('lets nobody wait when it closes or is deleted', async () => {
    const waiting = queues.receive('orders', { ...AT_ONCE, waitMs: 20_000 })
    queues.delete('orders')
    expect(await waiting).toEqual([])
    queues.put('orders', {})
    const other = queues.receive('orders', { ...AT_ONCE, waitMs: 20_000 })
    queues.close()
    expect(await other).toEqual([])
  })

  it('gives a message only so often as its redrive policy allows, then moves it', async () => {
    queues.put('dead', {})
    const RedrivePolicy = JSON.stringify({
      deadLetterTargetArn: 'arn:aws:sqs:us-east-1:1:dead',
      maxReceiveCount: '1',
    })
    queues.put('orders', { RedrivePolicy })
    queues.send('orders', { body: 'poison' })
    queues.send('orders', { body: 'food' })
    expect(await bodies({ ...AT_ONCE, max: 1 })).toEqual(['poison'])
    realTime += 30_000
    expect(await bodies()).toEqual(['food'])
    expect(await bodies(AT_ONCE, 'dead')).toEqual(['poison'])
  })

  it('never gives two messages one id, not after a purge either', () => {
    const first = queues.send('orders', { body: 'a' })
    queues.purge('orders')
    expect(queues.send('orders', { body: 'a' }).id).not.toBe(first.id)
  })
})
