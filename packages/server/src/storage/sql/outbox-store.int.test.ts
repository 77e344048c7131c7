import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { deliverDue, fanOutAll } from '../../domain/telling/deliver-due.ts'
import { aClock, utc } from '../contract/fixtures.ts'
import { aSink } from '../contract/outbox-harness.ts'
import { appendDomainEvent } from './domain-events.ts'
import { migrate } from './migrations.ts'
import { createSqlOutboxStore } from './outbox-store.ts'
import { openSqlite } from './sqlite.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-outbox-'))
const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
  rmSync(folder, { recursive: true, force: true })
})

it('tells everything once and in order when several connections to one file do it at once', async () => {
  const file = join(folder, 'ledger.db')
  const databases = [1, 2, 3].map(() => openSqlite(file))
  closing.push(...databases.map((database) => () => database.close()))
  await migrate(databases[0]!)
  const clock = aClock(utc('2026-11-21T10:00'))
  const sink = aSink('webhook:crm')
  const workers = databases.map((database) => ({
    outbox: createSqlOutboxStore(database),
    clock,
    random: () => 0,
  }))
  await workers[0]!.outbox.register([sink], clock.now())
  const happened: { id: string; subscription: string }[] = []
  for (let number = 0; number < 60; number++) {
    const event = { id: `evt_${number}`, subscription: `sub_${number % 7}` }
    happened.push(event)
    const about = { type: 'subscription.changed', at: clock.now(), product: 'demo', buyer: 'buy_1' } as const
    await databases[number % 3]!.transaction((sql) =>
      appendDomainEvent(sql, { ...event, ...about, data: {} }),
    )
  }
  await Promise.all(
    workers.map(async (worker) => {
      // Whoever finds nothing because another holds it looks again.
      for (let look = 0; look < 30; look++) {
        await fanOutAll(worker, [sink])
        await deliverDue(worker, sink)
      }
    }),
  )
  expect(sink.received).toHaveLength(60)
  for (let buyer = 0; buyer < 7; buyer++) {
    const of = (events: readonly { id: string; subscription: string }[]) =>
      events.filter(({ subscription }) => subscription === `sub_${buyer}`).map(({ id }) => id)
    expect(of(sink.received)).toEqual(of(happened))
  }
})
