import type { Stores } from '../../domain/stores.ts'
import { NO_CHANGES } from '../../domain/subscriptions/buyer-case.ts'
import type { DomainEvent } from '../../domain/telling/domain-event.ts'
import { aSpec } from './outbox-harness.ts'

/**
 * Opens every port on a ledger, until the test that it is called in has ended.
 *
 * @param ledger - equal ones open the same ledger, as other processes do; without, and the first time, it is empty
 */
export type OpenStores = (ledger?: symbol) => Promise<Stores>

/** Everything that happens, in the order of its coming. */
const EVERYTHING = aSpec('everything')
const PAGE = 1_000

/** What happened, asked and made to happen through ports alone. */
export interface Telling {
  /** All events, oldest first. */
  readonly events: () => Promise<readonly DomainEvent[]>
  /** Names of a subscription's events, oldest first. */
  readonly told: (subscription: string) => Promise<readonly string[]>
  /** Commits an event, as a change does. */
  readonly append: (event: DomainEvent) => Promise<void>
}

export function tellingOf({ outbox, cases }: Pick<Stores, 'outbox' | 'cases'>): Telling {
  const events = async () => {
    while (await outbox.fanOut([EVERYTHING], 0, PAGE));
    const { items } = await outbox.list({ sink: EVERYTHING.name, limit: PAGE })
    return Promise.all(items.toReversed().map(({ event }) => outbox.getEvent(event)))
  }
  return {
    events,
    told: async (of) =>
      (await events()).filter(({ subscription }) => subscription === of).map(({ type }) => type),
    append: async (event) => {
      const { product } = event
      await cases.settle({ product }, () => ({ ...NO_CHANGES, tell: [event] }), 'test', event.at)
    },
  }
}

/** The same stores, which note from now on what happens. */
export async function openTelling(open: OpenStores, ledger?: symbol): Promise<Stores & Telling> {
  const stores = await open(ledger)
  await stores.outbox.register([EVERYTHING], 0)
  return { ...stores, ...tellingOf(stores) }
}
