import { TollkeeperError } from '../client/tollkeeper-error.ts'
import { aClock } from '../clock.fixture.ts'
import type { UsageEvent, UsageOutcome } from '../generated/api.gen.ts'
import type { RefusedUsage } from './buffered-event.ts'
import { createUsageBuffer, type UsageBufferOptions } from './usage-buffer.ts'

type Answer = { readonly outcomes: readonly UsageOutcome[] }
export type Reply = (events: readonly UsageEvent[]) => Answer | Promise<Answer>

/** A server that answers as the list says, then always well. */
export function aServer(replies: Reply[] = []) {
  const requests: (readonly UsageEvent[])[] = []
  return {
    requests,
    ids: () => requests.map((events) => events.map(({ correlationId }) => correlationId)),
    async reportUsage(body: readonly UsageEvent[] | { readonly events: readonly UsageEvent[] }) {
      const events = 'events' in body ? body.events : body
      requests.push(events)
      return (replies.shift() ?? accepted)(events)
    },
  }
}

export function accepted(events: readonly UsageEvent[]): Answer {
  return { outcomes: events.map(({ correlationId: id }) => ({ id, status: 'accepted' })) }
}

export function failing(status: number, code: string, retryAfterMs?: number): Reply {
  return () => {
    throw new TollkeeperError('reportUsage', { status, code, detail: 'no' }, { retryAfterMs })
  }
}

export const unreachable = failing(0, 'client.unreachable')

export async function start(options: Partial<UsageBufferOptions> & { replies?: Reply[] } = {}) {
  const server = aServer(options.replies)
  const clock = aClock()
  const refused: RefusedUsage[] = []
  const errors: unknown[] = []
  const buffer = await createUsageBuffer({
    client: server,
    onRefused: (all) => void refused.push(...all),
    onError: (error) => void errors.push(error),
    clock,
    random: () => 0,
    ...options,
  })
  return { server, clock, refused, errors, buffer }
}

export const CALL = { dimension: 'calls', subscriptionId: 'sub_1' }
