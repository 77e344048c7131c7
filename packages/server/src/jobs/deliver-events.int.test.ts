import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as immediate } from 'node:timers/promises'
import { createVirtualClock } from '@tollkeeper/simulator'
import { afterEach, expect, it } from 'vitest'
import type { DeliveryOutcome, Sink } from '../domain/telling/sink.ts'
import { utc } from '../storage/contract/fixtures.ts'
import { aSink } from '../storage/contract/outbox-harness.ts'
import { appendDomainEvent } from '../storage/sql/domain-events.ts'
import { migrate } from '../storage/sql/migrations.ts'
import { createSqlOutboxStore } from '../storage/sql/outbox-store.ts'
import { openSqlite } from '../storage/sql/sqlite.ts'
import { createTelling, type Telling } from './deliver-events.ts'

const running: Telling[] = []
const closing: (() => void)[] = []
afterEach(async () => {
  for (const telling of running.splice(0)) await telling.stop()
  for (const close of closing.splice(0)) close()
})

/** On a file, whose reads do not see what is being written; a clock that stands still: nothing happens by waiting. */
async function start(sinks: readonly Sink[], options: { mayRun?: () => boolean } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-telling-'))
  const database = openSqlite(join(folder, 'ledger.db'))
  closing.push(() => {
    database.close()
    rmSync(folder, { recursive: true })
  })
  await migrate(database)
  const clock = createVirtualClock({ start: utc('2026-11-21T10:00'), running: false })
  const outbox = createSqlOutboxStore(database)
  await outbox.register(sinks, clock.now())
  const errors: string[] = []
  const telling = createTelling({
    outbox,
    clock,
    sinks,
    random: () => 0,
    mayRun: () => true,
    onError: (step, error) => errors.push(`${step}: ${String(error)}`),
    ...options,
  })
  running.push(telling)
  let count = 0
  const happen = (subscription: string) => {
    const id = `evt_${++count}`
    return database.transaction(async (sql) => {
      await appendDomainEvent(sql, {
        id,
        type: 'subscription.activated',
        at: clock.now(),
        product: 'demo',
        buyer: 'buy_1',
        subscription,
        data: {},
      })
      await immediate() // a change does more than this before it commits
      return id
    })
  }
  return { telling, outbox, clock, happen, errors }
}

it('tells what happens at once, while the clock stands still', async () => {
  const sink = aSink('webhook:crm')
  const { telling, happen } = await start([sink])
  telling.start()
  const first = await happen('sub_1')
  await expect.poll(() => sink.ids()).toEqual([first])
  const more = [await happen('sub_1'), await happen('sub_2')]
  await expect.poll(() => sink.ids()).toEqual([first, ...more])
})

it('tells what it missed before it started, and tries again by the clock', async () => {
  const sink = aSink('webhook:crm')
  sink.answer = () => ({ kind: 'failed', reason: 'HTTP 500' })
  const { telling, happen, clock } = await start([sink])
  const id = await happen('sub_1')
  telling.start()
  await expect.poll(() => sink.ids()).toEqual([id])
  sink.answer = () => ({ kind: 'delivered' })
  clock.advance(4_000)
  await happen('sub_2')
  await expect.poll(() => sink.ids().length).toBe(2)
  clock.advance(1_000)
  await expect.poll(() => sink.ids().at(-1)).toBe(id)
})

it('does not let a slow sink hold up another', async () => {
  const slow = aSink('webhook:slow')
  let answer = (_: DeliveryOutcome[]) => {}
  slow.deliver = async (events) => {
    slow.received.push(...events)
    return new Promise((resolve) => {
      answer = resolve
    })
  }
  const quick = aSink('webhook:quick')
  const { telling, happen } = await start([slow, quick])
  telling.start()
  const ids = [await happen('sub_1')]
  await expect.poll(() => slow.ids()).toEqual(ids)
  ids.push(await happen('sub_1'), await happen('sub_2'))
  await expect.poll(() => quick.ids()).toEqual(ids)
  expect(slow.ids()).toEqual(ids.slice(0, 1))
  slow.deliver = async (events) => {
    slow.received.push(...events)
    return events.map(() => ({ kind: 'delivered' }))
  }
  answer([{ kind: 'delivered' }])
  await expect.poll(() => slow.ids().sort()).toEqual(ids)
})

it('ends what is under way when it is stopped, writes it down, and begins nothing more', async () => {
  const sink = aSink('webhook:crm')
  let answer = (_: DeliveryOutcome[]) => {}
  sink.deliver = async (events) => {
    sink.received.push(...events)
    return new Promise((resolve) => {
      answer = resolve
    })
  }
  const { telling, happen, outbox } = await start([sink])
  telling.start()
  const ids = [await happen('sub_1'), await happen('sub_1')]
  await expect.poll(() => sink.ids()).toEqual(ids.slice(0, 1))
  const stopped = telling.stop()
  answer([{ kind: 'delivered' }])
  await stopped
  const { items } = await outbox.list({ limit: 10 })
  expect(items.map(({ event, state }) => [event, state])).toEqual([
    [ids[1], 'waiting'],
    [ids[0], 'delivered'],
  ])
  expect(sink.ids()).toHaveLength(1)
})

it('tells nobody anything while the ledger waits for a person', async () => {
  const sink = aSink('email:buyer')
  let isWaiting = true
  const { telling, happen, clock } = await start([sink], { mayRun: () => !isWaiting })
  telling.start()
  const id = await happen('sub_1')
  clock.advance(1_000)
  expect(await telling.runOnce()).toEqual({ delivered: 0, waiting: 0, dead: 0 })
  expect(sink.ids()).toEqual([])
  isWaiting = false
  expect(await telling.runOnce()).toEqual({ delivered: 1, waiting: 0, dead: 0 })
  expect(sink.ids()).toEqual([id])
})

it('goes on when a sink has a fault of its own, without a word of what it was told', async () => {
  const broken = aSink('webhook:broken')
  broken.deliver = async () => {
    throw new TypeError('cannot read ada@example.com')
  }
  const well = aSink('webhook:well')
  const { telling, happen, outbox } = await start([broken, well])
  const id = await happen('sub_1')
  expect(await telling.runOnce()).toEqual({ delivered: 1, waiting: 1, dead: 0 })
  expect(well.ids()).toEqual([id])
  const { items } = await outbox.list({ sink: 'webhook:broken', limit: 1 })
  expect(items).toMatchObject([{ state: 'waiting', lastError: 'an unexpected TypeError' }])
})

it('forgets after a month what was told', async () => {
  const sink = aSink('webhook:crm')
  const { telling, happen, clock, outbox } = await start([sink])
  await happen('sub_1')
  await telling.runOnce()
  telling.start()
  clock.advance(31 * 86_400_000)
  await expect.poll(async () => (await outbox.list({ limit: 1 })).items).toEqual([])
})
