import { deliverDue, fanOutAll } from '../../domain/telling/deliver-due.ts'
import type { DomainEvent, DomainEventType } from '../../domain/telling/domain-event.ts'
import type { OutboxStore } from '../../domain/telling/outbox-store.ts'
import type { DeliveryOutcome, Sink, SinkSpec } from '../../domain/telling/sink.ts'
import type { UsageStore } from '../../domain/usage/usage-store.ts'
import { aClock, utc } from './fixtures.ts'

export interface OutboxStores {
  readonly outbox: OutboxStore
  /** For its alarms. */
  readonly usage: Pick<UsageStore, 'listAlarms'>
  /** Commits an event, as a change does. */
  append(event: DomainEvent): Promise<void>
}

export function aSpec(name: string, values: Partial<SinkSpec> = {}): SinkSpec {
  return { name, product: undefined, types: [], ...values }
}

/** A sink that writes down what it is told, and answers what it is told to answer; else it takes all. */
export function aSink(spec: SinkSpec | string) {
  const received: DomainEvent[] = []
  const sink = {
    ...(typeof spec === 'string' ? aSpec(spec) : spec),
    batchMax: 1,
    callsMax: 8,
    received,
    /** Ids, in the order of arrival. */
    ids: () => received.map(({ id }) => id),
    answer: (_: DomainEvent): DeliveryOutcome => ({ kind: 'delivered' }),
    deliver: async (events: readonly DomainEvent[]) => {
      received.push(...events)
      return events.map((event) => sink.answer(event))
    },
    close() {},
  }
  return sink satisfies Sink
}

/** The outbox with a clock that is told, and sinks that are told of what happens. */
export async function startOutbox(open: () => Promise<OutboxStores>, sinks: readonly Sink[]) {
  const stores = await open()
  const { outbox } = stores
  const clock = aClock(utc('2026-11-21T10:00'))
  await outbox.register(sinks, clock.now())
  let count = 0
  const deps = { outbox, clock, random: () => 0 }
  return {
    ...stores,
    clock,
    deps,
    pass: (ms: number) => clock.set(clock.now() + ms),
    /** Something happens to a subscription. @returns the event's id */
    async happen(subscription: string, values: Partial<DomainEvent> = {}): Promise<string> {
      const id = `evt_${++count}`
      const type: DomainEventType = 'subscription.changed'
      const at = clock.now()
      await stores.append({
        id,
        type,
        at,
        product: 'demo',
        buyer: 'buy_1',
        subscription,
        data: {},
        ...values,
      })
      return values.id ?? id
    },
    fanOut: () => fanOutAll(deps, sinks),
    /** Hands out what is new and tells what is due. */
    async tell(): Promise<void> {
      await fanOutAll(deps, sinks)
      for (const sink of sinks) await deliverDue(deps, sink)
    },
    claim: (sink: string, limit = 10) => outbox.claim(sink, clock.now(), { limit, leaseMs: 60_000 }),
    deliveries: async (state?: 'waiting' | 'delivered' | 'dead') =>
      (await outbox.list({ state, limit: 1_000 })).items,
  }
}
