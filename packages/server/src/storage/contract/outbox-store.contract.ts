import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deliverDue, LEASE_MS } from '../../domain/telling/deliver-due.ts'
import { GIVE_UP_MS, judgeDelivery } from '../../domain/telling/judge-delivery.ts'
import type { ClaimedDelivery } from '../../domain/telling/outbox-store.ts'
import { replayEvent } from '../../domain/telling/replay-event.ts'
import type { DeliveryOutcome } from '../../domain/telling/sink.ts'
import { aSink, aSpec, type OutboxStores, startOutbox } from './outbox-harness.ts'

const MINUTE = 60_000
const DAY = 86_400_000

const FAILED = { kind: 'failed', reason: 'HTTP 500' } as const
const DOWN = { kind: 'unreachable', reason: 'connection refused' } as const

/**
 * What every store of the outbox must do.
 *
 * @param runs - of chance; fewer where a step takes long
 */
export function outboxStoreContract(name: string, open: () => Promise<OutboxStores>, runs = 150) {
  const start = (...sinks: ReturnType<typeof aSink>[]) => startOutbox(open, sinks)

  describe(`the outbox on ${name}: who is told`, () => {
    it('tells every sink what it wants, of its product and its types', async () => {
      const [all, ofDemo, starts] = [
        aSink('eventbridge'),
        aSink(aSpec('webhook:demo', { product: 'demo' })),
        aSink(aSpec('email:buyer', { types: ['subscription.activated'] })),
      ]
      const outbox = await start(all, ofDemo, starts)
      const one = await outbox.happen('sub_1')
      const two = await outbox.happen('sub_2', { product: 'other', type: 'subscription.activated' })
      await outbox.tell()
      expect(all.ids()).toEqual([one, two])
      expect(ofDemo.ids()).toEqual([one])
      expect(starts.ids()).toEqual([two])
      expect(await outbox.deliveries('delivered')).toHaveLength(4)
    })

    it('hands on the event as it was written', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      const data = { subscription: { id: 'sub_1', plan: 'pro' }, candidates: ['a', 'ü'] }
      await outbox.happen('sub_1', { id: 'evt_x', type: 'subscription.renewed', buyer: 'buy_9', data })
      await outbox.tell()
      expect(sink.received).toEqual([
        {
          id: 'evt_x',
          type: 'subscription.renewed',
          at: outbox.clock.now(),
          product: 'demo',
          buyer: 'buy_9',
          subscription: 'sub_1',
          data,
        },
      ])
    })

    it('tells once what is told again and again, by several at once', async () => {
      const sink = aSink('webhook:crm')
      const { outbox, clock, tell } = await start(sink)
      const event = {
        id: 'evt_once',
        type: 'quota.threshold_reached',
        at: clock.now(),
        product: 'demo',
        buyer: 'buy_1',
        subscription: 'sub_1',
        data: { percent: 80 },
      } as const
      await Promise.all([outbox.tellOnce(event), outbox.tellOnce({ ...event, at: event.at + 1 })])
      await outbox.tellOnce(event)
      await tell()
      expect(sink.ids()).toEqual(['evt_once'])
    })

    it('tells a new sink nothing of what happened before it came', async () => {
      const [old, young] = [aSink('webhook:old'), aSink('webhook:young')]
      const outbox = await start(old)
      await outbox.happen('sub_1')
      await outbox.outbox.register([old, young], outbox.clock.now())
      const next = await outbox.happen('sub_1')
      await outbox.outbox.fanOut([old, young], outbox.clock.now(), 100)
      await deliverDue(outbox.deps, young)
      expect(young.ids()).toEqual([next])
    })

    it('tells a sink that was away for days what it missed', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      outbox.pass(20 * DAY)
      const missed = await outbox.happen('sub_1')
      await outbox.outbox.register([sink], outbox.clock.now())
      await outbox.tell()
      expect(sink.ids()).toEqual([missed])
    })

    it('starts anew with one that was away for a month, and gives up what waited for it, with an alarm', async () => {
      const sink = aSink('email:buyer')
      const outbox = await start(sink)
      const waited = await outbox.happen('sub_1')
      await outbox.fanOut()
      await outbox.happen('sub_2')
      outbox.pass(31 * DAY)
      await outbox.outbox.register([sink], outbox.clock.now())
      const next = await outbox.happen('sub_3')
      await outbox.tell()
      expect(sink.ids()).toEqual([next])
      expect(await outbox.deliveries('dead')).toMatchObject([
        { event: waited, lastError: 'the sink was not configured for a month' },
      ])
      expect(await outbox.usage.listAlarms(10)).toMatchObject([
        { kind: 'delivery_dead', subject: 'email:buyer' },
      ])
    })

    it('goes on with one that is used, however long the process runs', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      for (let day = 0; day < 40; day += 20) {
        outbox.pass(20 * DAY)
        await outbox.tell()
      }
      const missed = await outbox.happen('sub_1')
      await outbox.outbox.register([sink], outbox.clock.now())
      await outbox.tell()
      expect(sink.ids()).toEqual([missed])
    })

    it('says whether there is work: an event for nobody yet, or a delivery that is due', async () => {
      const sink = aSink('webhook:crm')
      const { outbox, happen, clock, fanOut, tell, pass } = await start(sink)
      const work = () => outbox.findWork([sink], clock.now())
      expect(await work()).toEqual({ unsorted: false, due: [] })
      await happen('sub_1')
      expect(await work()).toEqual({ unsorted: true, due: [] })
      await fanOut()
      expect(await work()).toEqual({ unsorted: false, due: ['webhook:crm'] })
      sink.answer = () => FAILED
      await happen('sub_1')
      await tell()
      expect(await work()).toEqual({ unsorted: false, due: [] }) // the second waits for the first
      pass(6_000)
      expect(await work()).toEqual({ unsorted: false, due: ['webhook:crm'] })
    })
  })

  describe(`the outbox on ${name}: in order`, () => {
    it('lets an event wait while an earlier one of its subscription waits, and no other', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      const [first, second] = [await outbox.happen('sub_1'), await outbox.happen('sub_1')]
      const other = await outbox.happen('sub_2')
      sink.answer = ({ id }) => (id === first ? FAILED : { kind: 'delivered' })
      await outbox.tell()
      expect(sink.ids()).toEqual([first, other])
      outbox.pass(5_000)
      sink.answer = () => ({ kind: 'delivered' })
      await outbox.tell()
      expect(sink.ids()).toEqual([first, other, first, second])
    })

    it('lets a sink wait for itself alone', async () => {
      const [slow, quick] = [aSink('webhook:slow'), aSink('webhook:quick')]
      const outbox = await start(slow, quick)
      slow.answer = () => FAILED
      const ids = [await outbox.happen('sub_1'), await outbox.happen('sub_1')]
      await outbox.tell()
      expect(quick.ids()).toEqual(ids)
      expect(slow.ids()).toEqual(ids.slice(0, 1))
    })

    it('goes on with the next when one is given up, and raises an alarm', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      const [poison, next] = [await outbox.happen('sub_1'), await outbox.happen('sub_1')]
      sink.answer = ({ id }) => (id === poison ? FAILED : { kind: 'delivered' })
      const until = outbox.clock.now() + GIVE_UP_MS + DAY
      while (outbox.clock.now() < until) {
        await outbox.tell()
        outbox.pass(30 * MINUTE)
      }
      expect(sink.ids().filter((id) => id === poison)).toHaveLength(10)
      expect(sink.ids().at(-1)).toBe(next)
      expect(await outbox.deliveries('dead')).toMatchObject([
        { event: poison, state: 'dead', attempts: 10, lastError: 'HTTP 500' },
      ])
      expect(await outbox.usage.listAlarms(10)).toMatchObject([
        { kind: 'delivery_dead', subject: 'webhook:crm', count: 1 },
      ])
    })
  })

  describe(`the outbox on ${name}: several at once`, () => {
    it('gives a delivery to one of two who ask', async () => {
      const outbox = await start(aSink('webhook:crm'))
      for (const subscription of ['sub_1', 'sub_2', 'sub_3']) await outbox.happen(subscription)
      await outbox.fanOut()
      const [ours, theirs] = await Promise.all([
        outbox.claim('webhook:crm', 2),
        outbox.claim('webhook:crm', 2),
      ])
      expect([...ours, ...theirs].map(({ event }) => event.id).sort()).toEqual(['evt_1', 'evt_2', 'evt_3'])
      expect(await outbox.claim('webhook:crm')).toEqual([])
    })

    it('hands an event out once, whoever else does it too', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      for (let event = 0; event < 20; event++) await outbox.happen(`sub_${event}`)
      await Promise.all([outbox.fanOut(), outbox.fanOut(), outbox.fanOut()])
      await outbox.tell()
      expect(new Set(sink.ids()).size).toBe(20)
      expect(sink.ids()).toHaveLength(20)
    })

    it('tells again what a crash left between telling and writing it down', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      const [first, second] = [await outbox.happen('sub_1'), await outbox.happen('sub_1')]
      await outbox.fanOut()
      const [cut] = await outbox.claim('webhook:crm')
      await sink.deliver([cut!.event]) // told, and then the power fails
      await outbox.tell()
      expect(sink.ids()).toEqual([first])
      outbox.pass(LEASE_MS)
      await outbox.tell()
      expect(sink.ids()).toEqual([first, first, second])
    })

    it('does not believe who has lost the claim', async () => {
      const outbox = await start(aSink('webhook:crm'))
      await outbox.happen('sub_1')
      await outbox.fanOut()
      const [slow] = await outbox.claim('webhook:crm')
      outbox.pass(LEASE_MS)
      const [other] = await outbox.claim('webhook:crm')
      const settle = (claim: ClaimedDelivery, outcome: DeliveryOutcome) =>
        outbox.outbox.settle(claim, outbox.clock.now(), (state) =>
          judgeDelivery(claim, outcome, state, outbox.clock.now(), 0),
        )
      expect(await settle(slow!, { kind: 'refused', reason: 'HTTP 410' })).toBe(false)
      expect(await settle(other!, { kind: 'delivered' })).toBe(true)
      expect(await settle(other!, FAILED)).toBe(false)
      expect(await outbox.deliveries()).toMatchObject([{ state: 'delivered', attempts: 2 }])
      expect(await outbox.usage.listAlarms(10)).toEqual([])
    })
  })

  describe(`the outbox on ${name}: a sink that is down`, () => {
    it('is not asked by each subscription: one tries, and when it is back all go on', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      sink.answer = () => DOWN
      for (let buyer = 0; buyer < 50; buyer++) await outbox.happen(`sub_${buyer}`)
      await outbox.tell()
      expect(sink.received.length).toBe(8)
      for (let second = 0; second < 60; second++) {
        outbox.pass(1_000)
        await outbox.tell()
      }
      expect(sink.received.length).toBeLessThan(8 + 6)
      sink.answer = () => ({ kind: 'delivered' })
      outbox.pass(6 * MINUTE)
      await outbox.tell()
      expect(await outbox.deliveries('delivered')).toHaveLength(50)
    })

    it('is tried by one process at a time, to see whether it is back', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      sink.answer = () => DOWN
      for (let buyer = 0; buyer < 5; buyer++) await outbox.happen(`sub_${buyer}`)
      await outbox.tell()
      outbox.pass(MINUTE)
      const claims = await Promise.all([1, 2, 3].map(() => outbox.claim('webhook:crm')))
      expect(claims.flat()).toHaveLength(1)
      // It died on the way: another may try when its lease is over.
      outbox.pass(LEASE_MS)
      expect(await outbox.claim('webhook:crm')).toHaveLength(1)
    })

    it('leaves the others alone', async () => {
      const [down, well] = [aSink('webhook:down'), aSink('webhook:well')]
      const outbox = await start(down, well)
      down.answer = () => DOWN
      await outbox.happen('sub_1')
      await outbox.tell()
      expect(well.received).toHaveLength(1)
    })

    it('raises an alarm that ends by itself', async () => {
      const sink = aSink('eventbridge')
      const outbox = await start(sink)
      sink.answer = () => DOWN
      await outbox.happen('sub_1')
      for (let minute = 0; minute < 20; minute++) {
        await outbox.tell()
        outbox.pass(MINUTE)
      }
      expect(await outbox.usage.listAlarms(10)).toMatchObject([
        { kind: 'delivery_dead', subject: 'eventbridge/down' },
      ])
      sink.answer = () => ({ kind: 'delivered' })
      outbox.pass(6 * MINUTE)
      await outbox.tell()
      expect(await outbox.usage.listAlarms(10)).toEqual([])
    })

    it('is left in peace for as long as it asks', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      sink.answer = () => ({ kind: 'busy', reason: 'HTTP 429', retryAfterMs: 90_000 })
      await outbox.happen('sub_1')
      await outbox.tell()
      sink.answer = () => ({ kind: 'delivered' })
      await outbox.happen('sub_2')
      outbox.pass(89_000)
      await outbox.tell()
      expect(sink.received).toHaveLength(1)
      outbox.pass(1_000)
      await outbox.tell()
      expect(await outbox.deliveries('delivered')).toHaveLength(2)
    })
  })

  describe(`the outbox on ${name}: telling again`, () => {
    it('sends what was given up before later events that wait, and ends the alarm', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      const dead = [await outbox.happen('sub_1'), await outbox.happen('sub_1')]
      sink.answer = () => ({ kind: 'refused', reason: 'HTTP 410' })
      await outbox.tell()
      const later = await outbox.happen('sub_1')
      await outbox.fanOut()
      expect(await outbox.outbox.replayDead('webhook:crm', 'cli:test', outbox.clock.now())).toBe(2)
      expect(await outbox.usage.listAlarms(10)).toEqual([])
      sink.received.length = 0
      sink.answer = () => ({ kind: 'delivered' })
      await outbox.tell()
      expect(sink.ids()).toEqual([...dead, later])
    })

    it('tells one event again to a sink that had it, with the same id, or never got it', async () => {
      const [crm, mail] = [aSink('webhook:crm'), aSink(aSpec('email:buyer', { types: ['buyer.registered'] }))]
      const sinks = [crm, mail]
      const { outbox, happen, tell, clock } = await start(...sinks)
      const id = await happen('sub_1')
      await tell()
      for (const sink of ['webhook:crm', 'email:buyer']) {
        await replayEvent({ outbox, sinks }, id, sink, 'cli:test', clock.now())
      }
      await tell()
      expect(crm.ids()).toEqual([id, id])
      expect(mail.ids()).toEqual([id])
    })

    it('tells it once where it was asked to before the event was handed out', async () => {
      const sink = aSink('webhook:crm')
      const { outbox, happen, tell, clock } = await start(sink)
      const id = await happen('sub_1')
      await replayEvent({ outbox, sinks: [sink] }, id, 'webhook:crm', 'cli:test', clock.now())
      await tell()
      expect(sink.ids()).toEqual([id])
    })

    it.each([
      ['failed', FAILED],
      ['was down', DOWN],
    ] as const)('gives it all its tries and time again where it %s', async (_, outcome) => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      sink.answer = () => outcome
      const id = await outbox.happen('sub_1')
      while ((await outbox.deliveries('dead')).length === 0) {
        await outbox.tell()
        outbox.pass(60 * MINUTE)
      }
      const replayed = await replayEvent(
        { outbox: outbox.outbox, sinks: [sink] },
        id,
        undefined,
        'cli:test',
        outbox.clock.now(),
      )
      expect(replayed).toMatchObject([{ event: id, state: 'waiting', nextAttemptAt: outbox.clock.now() }])
      await outbox.tell()
      expect(await outbox.deliveries()).toMatchObject([
        { event: id, state: 'waiting', nextAttemptAt: outbox.clock.now() + 5_000 },
      ])
    })

    it('sends what is under way once more, whatever comes of the try that was', async () => {
      const sink = aSink('webhook:crm')
      const { outbox, happen, fanOut, claim, tell, clock } = await start(sink)
      const id = await happen('sub_1')
      await fanOut()
      const [underway] = await claim('webhook:crm')
      await outbox.replay(id, ['webhook:crm'], 'cli:test', clock.now())
      const settled = await outbox.settle(underway!, clock.now(), (state) =>
        judgeDelivery(underway!, { kind: 'delivered' }, state, clock.now(), 0),
      )
      expect(settled).toBe(false)
      await tell()
      expect(sink.ids()).toEqual([id])
    })

    it('does not know a stranger, nor what is not dead', async () => {
      const sink = aSink('webhook:crm')
      const { outbox, happen, tell, clock } = await start(sink)
      const id = await happen('sub_1')
      await tell()
      const replay = (event: string, to?: string) =>
        replayEvent({ outbox, sinks: [sink] }, event, to, 'cli:test', clock.now())
      await expect(replay('evt_none', 'webhook:crm')).rejects.toMatchObject({ code: 'event.not_found' })
      await expect(replay(id, 'webhook:none')).rejects.toThrow('there is webhook:crm')
      await expect(replay(id)).rejects.toThrow('not dead for any sink')
      await expect(outbox.getEvent('evt_none')).rejects.toMatchObject({ code: 'event.not_found' })
    })
  })

  describe(`the outbox on ${name}: what is kept`, () => {
    it('forgets what was delivered long ago, and nothing else', async () => {
      const sink = aSink('webhook:crm')
      const outbox = await start(sink)
      sink.answer = ({ subscription }) =>
        subscription === 'sub_dead' ? { kind: 'refused', reason: 'HTTP 410' } : { kind: 'delivered' }
      const told = await outbox.happen('sub_1')
      const dead = await outbox.happen('sub_dead')
      await outbox.tell()
      sink.answer = () => FAILED
      const waiting = await outbox.happen('sub_2')
      await outbox.tell()
      outbox.pass(31 * DAY)
      sink.answer = () => ({ kind: 'delivered' })
      const young = await outbox.happen('sub_3')
      await outbox.fanOut()
      const [claim] = (await outbox.claim('webhook:crm')).filter(({ event }) => event.id === young)
      await outbox.outbox.settle(claim!, outbox.clock.now(), (state) =>
        judgeDelivery(claim!, { kind: 'delivered' }, state, outbox.clock.now(), 0),
      )
      expect(await outbox.outbox.purge(outbox.clock.now() - 30 * DAY, 100)).toBe(1)
      expect((await outbox.deliveries()).map(({ event }) => event)).toEqual([young, waiting, dead])
      // It can still be told again.
      expect(await outbox.outbox.getEvent(told)).toMatchObject({ id: told })
    })

    it('is listed by sink, state and product, page by page, newest first', async () => {
      const sinks = [aSink('webhook:a'), aSink('webhook:b')]
      const outbox = await start(...sinks)
      sinks[0]!.answer = () => ({ kind: 'refused', reason: 'HTTP 410' })
      for (let event = 0; event < 3; event++) {
        await outbox.happen(`sub_${event}`, { product: event === 1 ? 'other' : 'demo' })
      }
      await outbox.tell()
      const pages: string[][] = []
      let cursor: string | undefined
      do {
        const { items, next } = await outbox.outbox.list({ limit: 2, cursor })
        pages.push(items.map(({ event, sink }) => `${event} ${sink}`))
        cursor = next
      } while (cursor !== undefined)
      expect(pages.flat()).toEqual([
        'evt_3 webhook:b',
        'evt_3 webhook:a',
        'evt_2 webhook:b',
        'evt_2 webhook:a',
        'evt_1 webhook:b',
        'evt_1 webhook:a',
      ])
      const events = async (filter: object) =>
        (await outbox.outbox.list({ limit: 10, ...filter })).items.map(({ event }) => event)
      expect(await events({ state: 'dead' })).toEqual(['evt_3', 'evt_2', 'evt_1'])
      expect(await events({ state: 'dead', sink: 'webhook:b' })).toEqual([])
      expect(await events({ state: 'delivered', product: 'other' })).toEqual(['evt_2'])
    })

    it('knows what happened to a subscription before', async () => {
      const { outbox, happen } = await start()
      await happen('sub_1', { type: 'buyer.registered' })
      await happen('sub_2', { type: 'subscription.failed' })
      await happen('sub_1', { type: 'buyer.registered' })
      const id = await happen('sub_1', { type: 'subscription.activated' })
      expect(await outbox.earlierTypes(id)).toEqual(['buyer.registered'])
    })

    it('calls who waits for events', async () => {
      const { outbox, happen } = await start()
      let calls = 0
      const end = outbox.onEvent(() => {
        calls++
      })
      await happen('sub_1')
      expect(calls).toBe(1)
      end()
      await happen('sub_1')
      expect(calls).toBe(1)
    })
  })

  it(`the outbox on ${name} tells every sink everything, each subscription in order, whatever fails`, async () => {
    const outcome = fc.oneof(
      { weight: 5, arbitrary: fc.constant<DeliveryOutcome>({ kind: 'delivered' }) },
      { weight: 3, arbitrary: fc.constant<DeliveryOutcome>(FAILED) },
      { weight: 2, arbitrary: fc.constant<DeliveryOutcome>(DOWN) },
      { weight: 1, arbitrary: fc.constant<DeliveryOutcome>({ kind: 'cancelled' }) },
      {
        weight: 1,
        arbitrary: fc.constant<DeliveryOutcome>({ kind: 'busy', reason: 'HTTP 429', retryAfterMs: 60_000 }),
      },
      { weight: 1, arbitrary: fc.constant<DeliveryOutcome>({ kind: 'refused', reason: 'HTTP 410' }) },
    )
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant('happen' as const), who: fc.nat(2) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('tell' as const) }) },
      // Told, and the process dies before it can say so.
      { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), sink: fc.nat(1) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(10 * MINUTE) }) },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.array(outcome, { maxLength: 40 }),
        async (steps, outcomes) => {
          const sinks = [aSink('eventbridge'), aSink('webhook:crm')] as const
          const outbox = await start(...sinks)
          /** What a sink took, in order of arrival, whether or not we learned of it. */
          const taken = new Map<string, string[]>(sinks.map(({ name }) => [name, []]))
          const happened: { id: string; subscription: string }[] = []
          for (const sink of sinks) {
            sink.answer = ({ id }) => {
              const answer = outcomes.pop() ?? { kind: 'delivered' }
              if (answer.kind === 'delivered') taken.get(sink.name)!.push(id)
              return answer
            }
          }
          for (const todo of steps) {
            if (todo.do === 'happen') {
              const subscription = `sub_${todo.who}`
              happened.push({ id: await outbox.happen(subscription), subscription })
            } else if (todo.do === 'tell') await outbox.tell()
            else if (todo.do === 'pass') outbox.pass(todo.ms)
            else {
              await outbox.fanOut()
              const sink = sinks[todo.sink]!
              for (const { event } of await outbox.claim(sink.name, 2)) await sink.deliver([event])
            }
          }
          // From here on nothing fails.
          outcomes.length = 0
          for (let round = 0; round < 400; round++) {
            await outbox.tell()
            if ((await outbox.deliveries('waiting')).length === 0) break
            outbox.pass(30 * MINUTE)
          }
          const dead = await outbox.deliveries('dead')
          expect(await outbox.deliveries('waiting')).toEqual([])
          for (const { name } of sinks) {
            const isDead = (id: string) =>
              dead.some((delivery) => delivery.event === id && delivery.sink === name)
            for (const subscription of new Set(happened.map((event) => event.subscription))) {
              const ids = happened.filter((event) => event.subscription === subscription).map(({ id }) => id)
              const first = [...new Set(taken.get(name)!)].filter((id) => ids.includes(id) && !isDead(id))
              expect(first).toEqual(ids.filter((id) => !isDead(id)))
            }
          }
        },
      ),
      { numRuns: runs },
    )
  }, 60_000)
}
