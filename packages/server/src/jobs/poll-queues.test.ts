import { afterEach, describe, expect, it, vi } from 'vitest'
import { DomainError } from '../domain/error.ts'
import { createProductCatalog } from '../domain/products/product.ts'
import { createNotificationIntake } from '../domain/subscriptions/notification-intake.ts'
import type { NotificationQueue, QueuedMessage } from '../domain/subscriptions/notification-queue.ts'
import { createReceiveEvent } from '../domain/subscriptions/receive-event.ts'
import { createTopicCheck } from '../domain/subscriptions/sns-message.ts'
import { aClock, aProduct, utc } from '../storage/contract/fixtures.ts'
import { createSqlAuditTrail } from '../storage/sql/audit-trail.ts'
import { createSqlBuyerCaseStore } from '../storage/sql/buyer-case-store.ts'
import { migrate } from '../storage/sql/migrations.ts'
import { openSqlite } from '../storage/sql/sqlite.ts'
import { createSqliteUsageStore } from '../storage/sql/sqlite-stores.ts'
import { createQueuePoller, type QueuePollerDeps } from './poll-queues.ts'

const NOW = utc('2026-11-21T07:30')
const TOPIC = 'arn:aws:sns:us-east-1:287250355862:aws-mp-subscription-notification-demo0code0of0twenty0five0'
const ACTION = {
  action: 'subscribe-success',
  'customer-identifier': 'ifAPi5AcF3',
  'product-code': 'demo0code0of0twenty0five0',
}
const IN_SNS = JSON.stringify({
  Type: 'Notification',
  MessageId: 'sns-1',
  TopicArn: TOPIC,
  Message: JSON.stringify(ACTION),
  Timestamp: '2026-11-21T07:29:00Z',
})

/** A queue in memory: what is put in is received until it is deleted; hidden messages come back when told. */
function aQueue() {
  let held: { id: string; body: string; receives: number; hidden: boolean }[] = []
  let wake = () => {}
  const delays: number[] = []
  const failures = { receive: [] as Error[], delete: [] as Error[] }
  const queue: NotificationQueue & { receiving: number } = {
    name: 'marketplace',
    receiving: 0,
    async receive(signal) {
      queue.receiving++
      // As a socket would: others have their turn.
      await new Promise(setImmediate)
      signal.throwIfAborted()
      const failure = failures.receive.shift()
      if (failure !== undefined) throw failure
      const visible = () => held.filter(({ hidden }) => !hidden).slice(0, 10)
      if (visible().length === 0) {
        await new Promise<void>((resolve, reject) => {
          wake = resolve
          signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        })
      }
      return visible().map((message): QueuedMessage => {
        message.hidden = true
        message.receives++
        return { ...message, sentAt: NOW - 60_000, receipt: message.id }
      })
    },
    async delete({ id }) {
      const failure = failures.delete.shift()
      if (failure !== undefined) throw failure
      held = held.filter((message) => message.id !== id)
    },
    async retryIn({ id }, seconds) {
      delays.push(seconds)
      for (const message of held) if (message.id === id) message.hidden = false
    },
  }
  return {
    queue,
    delays,
    failures,
    left: () => held.map(({ id }) => id),
    put(id: string, body: string | object) {
      held.push({
        id,
        body: typeof body === 'string' ? body : JSON.stringify(body),
        receives: 0,
        hidden: false,
      })
      wake()
    },
    comeBack() {
      for (const message of held) message.hidden = false
      wake()
    },
    wake: () => wake(),
  }
}

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function aPoller(given: Partial<QueuePollerDeps> = {}) {
  const database = openSqlite(':memory:')
  await migrate(database)
  const clock = aClock(NOW)
  const usage = createSqliteUsageStore(database)
  const cases = createSqlBuyerCaseStore(database)
  const catalog = createProductCatalog([aProduct()])
  const refuse = async () => {
    throw new DomainError('notification.refused', 'nobody vouches here', { details: { why: 'forged' } })
  }
  const intake = createNotificationIntake({
    receive: createReceiveEvent({ cases, catalog, clock }),
    store: cases,
    alarms: usage,
    audit: createSqlAuditTrail(database),
    gate: { verify: refuse, confirm: refuse },
    isExpectedTopic: createTopicCheck({
      productCodes: () => catalog.list().map(({ productCode }) => productCode),
      topics: [],
    }),
    clock,
  })
  const memory = aQueue()
  const pauses: number[] = []
  const errors: unknown[] = []
  const poller = createQueuePoller({
    queues: [memory.queue],
    intake,
    alarms: usage,
    mayReceive: async () => true,
    clock,
    pause: async (ms) => void pauses.push(ms),
    receivesMax: 3,
    onError: (_, error) => errors.push(error),
    ...given,
  })
  stops.push(async () => {
    await poller.stop()
    database.close()
  })
  return {
    ...memory,
    poller,
    intake,
    pauses,
    errors,
    cases,
    events: async () => (await cases.listEvents({ limit: 100 })).items.map(({ event }) => event),
    rejected: () => cases.listRejected(100),
    alarms: () => usage.listAlarms(100),
    raise: usage.raise,
  }
}

const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 5_000, interval: 5 })

describe('a message of a queue', () => {
  it('is kept, then deleted', async () => {
    const { poller, put, left, events, delays } = await aPoller()
    put('sqs-1', IN_SNS)
    put('sqs-2', ACTION)
    poller.start()
    await eventually(() => expect(left()).toEqual([]))
    expect(await events()).toMatchObject([
      // Delivered raw: the queue's id and time are all there is.
      { id: 'sqs-2', occurredAt: NOW - 60_000, channel: 'sns', kind: 'access_granted' },
      { id: 'sns-1', occurredAt: Date.parse('2026-11-21T07:29:00Z') },
    ])
    expect(delays).toEqual([])
  })

  it('may be an event of EventBridge, bare or in SNS’s envelope: it is one', async () => {
    const event = {
      id: 'event-1',
      'detail-type': 'Disbursement Paused',
      source: 'aws.marketplace',
      time: '2026-11-21T07:00:00Z',
    }
    const { poller, put, left, events } = await aPoller()
    put('sqs-1', event)
    put('sqs-2', { ...JSON.parse(IN_SNS), Message: JSON.stringify(event) })
    poller.start()
    await eventually(() => expect(left()).toEqual([]))
    expect(await events()).toMatchObject([{ id: 'event-1', channel: 'eventbridge', kind: 'notice' }])
  })

  it('that cannot be read is tried again, later each time, then put aside with an alarm', async () => {
    const { poller, put, left, rejected, alarms, delays, wake } = await aPoller()
    put('sqs-1', 'hello')
    put('sqs-2', IN_SNS)
    poller.start()
    await eventually(() => {
      wake()
      expect(left()).toEqual([])
    })
    expect(delays).toEqual([5, 10])
    expect(await rejected()).toMatchObject([
      {
        id: 'sqs-1',
        channel: 'sns',
        payload: 'hello',
        receivedAt: NOW,
        reason: expect.stringMatching(/queue marketplace: .*JSON/),
      },
    ])
    expect(await alarms()).toMatchObject([{ kind: 'notifications', subject: 'rejected messages' }])
  })

  it('of a topic that is not ours is not believed, and waits for the configuration to be mended', async () => {
    const { poller, put, left, events, rejected, delays } = await aPoller()
    put('sqs-1', IN_SNS.replace('287250355862', '999999999999'))
    poller.start()
    await eventually(() => expect(left()).toEqual([]))
    expect(await events()).toEqual([])
    expect(delays).toEqual([5, 10])
    expect(await rejected()).toMatchObject([{ reason: expect.stringContaining('notifications.snsTopics') }])
  })

  it('that asks for a confirmation must be signed, other than a notification', async () => {
    const { poller, put, left, rejected } = await aPoller({ receivesMax: 1 })
    put('sqs-1', {
      ...JSON.parse(IN_SNS),
      Type: 'SubscriptionConfirmation',
      Token: 't',
      SubscribeURL: 'https://sns.us-east-1.amazonaws.com/',
    })
    poller.start()
    await eventually(() => expect(left()).toEqual([]))
    expect(await rejected()).toMatchObject([{ reason: expect.stringContaining('nobody vouches') }])
  })

  it('is never given up while only the ledger cannot take it', async () => {
    let failing = true
    const seller = await aPoller({
      intake: {
        queued: async (message) => {
          if (failing) throw new DomainError('ledger.busy', 'the ledger is busy')
          return seller.intake.queued(message)
        },
        reject: async () => expect.unreachable(),
      },
    })
    seller.put('sqs-1', IN_SNS)
    seller.poller.start()
    await eventually(() => expect(seller.delays.length).toBeGreaterThan(12))
    expect(seller.delays.slice(0, 9)).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 900])
    expect(Math.max(...seller.delays)).toBe(900)
    failing = false
    await eventually(() => expect(seller.left()).toEqual([]))
    expect(await seller.events()).toHaveLength(1)
  })

  it('that breaks us is put aside as well, in words that quote nothing', async () => {
    const seller = await aPoller({
      receivesMax: 2,
      intake: {
        queued: async () => {
          throw new TypeError('cannot read properties of the secret 4711')
        },
        reject: (message) => seller.intake.reject(message),
      },
    })
    seller.put('sqs-1', IN_SNS)
    seller.poller.start()
    await eventually(() => expect(seller.left()).toEqual([]))
    const [rejected] = await seller.rejected()
    expect(rejected?.reason).toContain('TypeError')
    expect(rejected?.reason).not.toContain('4711')
  })

  it('stays in the queue while it can neither be read nor put aside', async () => {
    let full = true
    const seller = await aPoller({
      receivesMax: 1,
      intake: {
        queued: (message) => seller.intake.queued(message),
        reject: async (message) => {
          if (full) throw new Error('the disk is full')
          return seller.intake.reject(message)
        },
      },
    })
    seller.put('sqs-1', 'hello')
    seller.poller.start()
    await eventually(() => expect(seller.delays.length).toBeGreaterThan(2))
    expect(seller.left()).toEqual(['sqs-1'])
    full = false
    await eventually(() => expect(seller.left()).toEqual([]))
    expect(await seller.rejected()).toHaveLength(1)
  })

  it('that was kept but not deleted is known when it comes back', async () => {
    const { poller, put, left, comeBack, wake, queue, failures, events, alarms } = await aPoller()
    failures.delete.push(new Error('AccessDenied'))
    put('sqs-1', IN_SNS)
    poller.start()
    await eventually(async () => expect(await alarms()).toMatchObject([{ subject: 'queue marketplace' }]))
    // That nothing comes does not mean that deleting works again.
    const before = queue.receiving
    await eventually(() => {
      wake()
      expect(queue.receiving).toBeGreaterThan(before + 2)
    })
    expect(await alarms()).toHaveLength(1)
    comeBack()
    await eventually(() => expect(left()).toEqual([]))
    expect(await events()).toHaveLength(1)
    await eventually(async () => expect(await alarms()).toEqual([]))
  })
})

it('receives nothing while nothing could be kept, so that no queue gives a message up', async () => {
  let held = true
  const seller = await aPoller({
    mayReceive: async () => {
      if (seller.pauses.length === 1) throw new DomainError('ledger.busy', 'the ledger is busy')
      return !held
    },
    pause: async (ms) => {
      seller.pauses.push(ms)
      await new Promise(setImmediate)
    },
  })
  seller.put('sqs-1', IN_SNS)
  seller.poller.start()
  await eventually(() => expect(seller.pauses.length).toBeGreaterThan(3))
  expect([seller.queue.receiving, seller.left(), seller.errors.length]).toEqual([0, ['sqs-1'], 1])
  expect(await seller.alarms()).toEqual([])
  held = false
  await eventually(() => expect(seller.left()).toEqual([]))
  expect(await seller.events()).toHaveLength(1)
})

describe('a queue that fails', () => {
  it('raises one alarm, is asked less and less often, and clears it when it works again', async () => {
    const seller = await aPoller()
    const failure = () =>
      Object.assign(new Error('Access to the resource is denied.'), { name: 'AccessDenied' })
    seller.failures.receive.push(...Array.from({ length: 9 }, failure))
    const raised: string[] = []
    seller.poller.start()
    await eventually(async () => {
      for (const { message } of await seller.alarms()) raised.push(message)
      expect(seller.pauses).toHaveLength(9)
    })
    expect(seller.pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
    expect(seller.errors).toHaveLength(9)
    seller.put('sqs-1', IN_SNS)
    await eventually(() => expect(seller.left()).toEqual([]))
    await eventually(async () => expect(await seller.alarms()).toEqual([]))
    for (const message of raised) expect(message).toMatch(/AccessDenied.*notifications\.sqsQueues/)
  })

  it('clears an alarm that an earlier process left', async () => {
    const seller = await aPoller()
    await seller.raise({ kind: 'notifications', subject: 'queue marketplace', message: 'x', at: NOW - 1 })
    seller.poller.start()
    seller.put('sqs-1', IN_SNS)
    await eventually(async () => expect(await seller.alarms()).toEqual([]))
  })
})

describe('when it is stopped', () => {
  it('it does not wait out the time that a queue may take', async () => {
    const { poller, queue } = await aPoller()
    poller.start()
    await eventually(() => expect(queue.receiving).toBe(1))
    await poller.stop()
    expect(queue.receiving).toBe(1)
  })

  it('what is in hand is taken, and the rest is given back at once', async () => {
    let finish = () => {}
    let begun = 0
    const seller = await aPoller({
      intake: {
        queued: async (message) => {
          begun++
          await new Promise<void>((resolve) => {
            finish = resolve
          })
          return seller.intake.queued(message)
        },
        reject: async () => expect.unreachable(),
      },
    })
    for (const id of ['a', 'b', 'c']) seller.put(id, { ...ACTION, id })
    seller.poller.start()
    await eventually(() => expect(begun).toBe(1))
    const stopped = seller.poller.stop()
    finish()
    await stopped
    expect(begun).toBe(1)
    expect(seller.left()).toEqual(['b', 'c'])
    expect(seller.delays).toEqual([0, 0])
    expect(await seller.events()).toMatchObject([{ id: 'a' }])
  })
})
