import { describe, expect, it } from 'vitest'
import { deliverDue, fanOutAll } from '../../domain/telling/deliver-due.ts'
import { aClock, utc } from './fixtures.ts'
import { type OpenStores, tellingOf } from './open-stores.ts'
import { aSink } from './outbox-harness.ts'

const SUBSCRIPTIONS = 7
const MINUTE = 60_000

/** What is told while several processes write it down, hand it out and tell it at once. */
export function manyTellersContract(name: string, open: OpenStores): void {
  const start = async () => {
    const ledger = Symbol('ledger')
    const clock = aClock(utc('2026-11-21T10:00'))
    const sink = aSink('webhook:crm')
    const aNode = async () => {
      const stores = await open(ledger)
      return { outbox: stores.outbox, clock, random: () => 0, append: tellingOf(stores).append }
    }
    const nodes = [await aNode(), await aNode(), await aNode()]
    await nodes[0]!.outbox.register([sink], clock.now())
    const event = (number: number) => {
      const about = {
        type: 'subscription.changed',
        at: clock.now(),
        product: 'demo',
        buyer: 'buy_1',
      } as const
      return { id: `evt_${number}`, subscription: `sub_${number % SUBSCRIPTIONS}`, ...about, data: {} }
    }
    const tellUntil = async (count: number) => {
      while (sink.received.length < count)
        for (const node of nodes) {
          await fanOutAll(node, [sink])
          await deliverDue(node, sink)
          await othersTurn()
        }
    }
    return { nodes, clock, sink, event, tellUntil }
  }

  describe(`${name}: several processes that tell`, () => {
    it('tell everything once, each subscription in order', async () => {
      const { nodes, sink, event } = await start()
      const count = 42
      for (let number = 0; number < count; number++) await nodes[number % nodes.length]!.append(event(number))
      await Promise.all(
        nodes.map(async (node) => {
          // Whoever finds nothing because another holds it looks again.
          while (sink.received.length < count) {
            await fanOutAll(node, [sink])
            await deliverDue(node, sink)
            await othersTurn()
          }
        }),
      )
      expect(sink.received).toHaveLength(count)
      for (let subscription = 0; subscription < SUBSCRIPTIONS; subscription++) {
        const numbers = Array.from({ length: count }, (_, number) => number)
        const ids = numbers
          .filter((number) => number % SUBSCRIPTIONS === subscription)
          .map((number) => `evt_${number}`)
        expect(sink.ids().filter((id) => ids.includes(id))).toEqual(ids)
      }
    })

    it('pass by nothing that is written down while others hand out', async () => {
      const { nodes, sink, event, tellUntil } = await start()
      const count = 30
      let isWritten = false
      const writing = Promise.all(
        Array.from({ length: count }, (_, number) => nodes[number % nodes.length]!.append(event(number))),
      ).then(() => {
        isWritten = true
      })
      while (!isWritten) {
        await fanOutAll(nodes[0]!, [sink])
        await othersTurn()
      }
      await writing
      await tellUntil(count)
      expect(new Set(sink.ids()).size).toBe(count)
    })

    it('go on with what one of them held when it died, once its claim is over', async () => {
      const { nodes, clock, sink, event, tellUntil } = await start()
      for (let number = 0; number < SUBSCRIPTIONS; number++) await nodes[0]!.append(event(number))
      await fanOutAll(nodes[0]!, [sink])
      const held = await nodes[0]!.outbox.claim(sink.name, clock.now(), { limit: 3, leaseMs: MINUTE })
      expect(held).toHaveLength(3)
      await deliverDue(nodes[1]!, sink)
      expect(sink.received).toHaveLength(SUBSCRIPTIONS - held.length)
      clock.set(clock.now() + MINUTE)
      await tellUntil(SUBSCRIPTIONS)
      expect(new Set(sink.ids()).size).toBe(SUBSCRIPTIONS)
    })
  })
}

/** A store in this process may answer without ever giving way. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
