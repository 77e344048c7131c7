import { setTimeout as pause } from 'node:timers/promises'
import { ask, eventually, Refusal } from '../processes.ts'
import type { Random } from '../simulation/random.ts'
import type { SoldProduct } from './seller.ts'

const BATCH_MAX = 40
const QUANTITY_MAX = 1_000
const BACK_MS_MAX = 600_000
const PATIENCE_MS = 60_000

interface Outcome {
  readonly status: string
  readonly reason?: string
}

/**
 * Clients that report usage as a product behind a balancer does: to any node, and what got no answer again, with the same
 * ids, to any other.
 */
export function createCrowd(given: {
  readonly product: SoldProduct
  readonly random: Random
  readonly key: string
  /** Addresses of nodes that may be asked now; some of them may just have died. */
  readonly urls: () => readonly string[]
}) {
  const { product, random, key, urls } = given
  const { clock } = product.simulator
  /** Units that were acknowledged, by license and dimension. */
  const acknowledged = new Map<string, number>()
  const count = { events: 0, repeats: 0 }
  let stopping = false

  async function report(client: number): Promise<void> {
    for (let turn = 0; !stopping; turn++) {
      const single = random.chance(0.4)
      const events = Array.from({ length: single ? 1 : random.int(1, BATCH_MAX) }, (_, index) =>
        anEvent(`${client}-${turn}-${index}`),
      )
      const outcomes = await untilAnswered(async (url) =>
        single
          ? [await ask<Outcome>(`${url}/meter`, { body: events[0], key })]
          : (await ask<{ outcomes: Outcome[] }>(`${url}/usage`, { body: { events }, key })).outcomes,
      )
      for (const [index, { status, reason }] of outcomes.entries()) {
        if (!['accepted', 'late', 'duplicate'].includes(status)) throw new Error(`${status}: ${reason}`)
        const { licenseArn, dimension, quantity } = events[index]!
        const name = `${licenseArn} ${dimension}`
        acknowledged.set(name, (acknowledged.get(name) ?? 0) + quantity)
        count.events++
      }
    }
  }

  function anEvent(correlationId: string) {
    const { licenseArn, startAt } = random.pick(product.buyers)
    const time = clock.now() - random.int(0, BACK_MS_MAX)
    return {
      dimension: random.pick(['api_requests', 'scans']),
      quantity: random.int(1, QUANTITY_MAX),
      correlationId,
      licenseArn,
      usageTime: new Date(Math.max(time, startAt)).toISOString(),
    }
  }

  function untilAnswered(
    exchange: (url: string) => Promise<readonly Outcome[]>,
  ): Promise<readonly Outcome[]> {
    return eventually(
      'a node answers',
      async () => {
        try {
          const outcomes = await exchange(random.pick(urls()))
          // A node whose clock is behind for a moment: as a client would, all of it again.
          const isAhead = outcomes.some(({ reason }) => reason?.includes('ahead of our clock'))
          if (isAhead) await pause(20)
          return isAhead ? undefined : outcomes
        } catch (error) {
          // The connection broke, nobody listens, or it is told to come back: what a client cannot know, it repeats.
          const isLater =
            error instanceof Refusal && (error.status === 503 || error.message.includes('ahead'))
          if (!(error instanceof TypeError) && !isLater) throw error
          count.repeats++
          await pause(20)
          return undefined
        }
      },
      PATIENCE_MS,
    )
  }

  return {
    acknowledged,
    count,
    /** @returns when `stop` was called and all have their answers */
    report: (clients: number) => Promise.all(Array.from({ length: clients }, (_, client) => report(client))),
    stop: () => {
      stopping = true
    },
  }
}
