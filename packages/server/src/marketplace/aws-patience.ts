import { setTimeout as sleep } from 'node:timers/promises'
import { awsError } from './aws-answer.ts'
import { type Exchange, exchange } from './aws-exchange.ts'

const ATTEMPTS_MAX = 6
const BACKOFF_MS = 500
const BACKOFF_MAX_MS = 8_000

/**
 * Sends a call that may be made twice, and again where AWS is busy or was not reached, with growing pauses.
 *
 * @param patience.haste - pauses are this many times shorter: tests wait less
 * @param patience.before - awaited before each attempt: a rate to keep
 * @returns the last answer
 */
export async function exchangePatiently(
  send: Parameters<typeof exchange>[0],
  options: Parameters<typeof exchange>[1],
  patience: { readonly haste?: number; readonly before?: () => Promise<void> } = {},
): Promise<Exchange> {
  const { haste = 1, before } = patience
  for (let attempt = 1; ; attempt++) {
    await before?.()
    const answer = await exchange(send, options)
    if (attempt >= ATTEMPTS_MAX || !mayPass(answer)) return answer
    const most = Math.min(BACKOFF_MS * 2 ** (attempt - 1), BACKOFF_MAX_MS)
    const pause = (most * (0.5 + Math.random() / 2)) / haste
    await sleep(pause, undefined, options.signal === undefined ? {} : { signal: options.signal })
  }
}

/** May the same call succeed in a moment? */
function mayPass(answer: Exchange): boolean {
  if (answer.kind === 'failure')
    return !['CredentialsUnavailable', 'EndpointNotAllowed', 'Cancelled'].includes(answer.code)
  if (answer.status >= 500 || answer.status === 429) return true
  const code = awsError(answer)?.code ?? ''
  return /^(Throttling|ProvisionedThroughputExceeded|TooManyRequests|RequestLimitExceeded)/.test(code)
}
