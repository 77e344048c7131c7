import { TollkeeperError } from '../client/tollkeeper-error.ts'
import { type Refusal, refuse } from './decide.ts'

/**
 * Who passes when Tollkeeper cannot be asked.
 * - `paid`: requests with an API key; those without are refused
 * - `all`, `none`
 */
export type FailOpen = 'paid' | 'all' | 'none'

/**
 * @param isTrusted - the request has what looks like an API key, and Tollkeeper has not refused it lately
 * @returns undefined: it passes
 */
export function decideUnasked(error: unknown, failOpen: FailOpen, isTrusted: boolean): Refusal | undefined {
  const {
    status = undefined,
    code = '',
    retryAfterMs = undefined,
  } = error instanceof TollkeeperError ? error : {}
  if (code === 'quota.id_conflict') return refuse('id_conflict')
  // What Tollkeeper cannot read, a caller may have made so: nobody gets in by asking badly.
  const isOurs =
    status === undefined || (status >= 400 && status < 500 && ![401, 403, 408, 429].includes(status))
  if (isOurs) return refuse('gate_misconfigured')
  // Nor by making us ask too often.
  const passes = failOpen === 'all' || (failOpen === 'paid' && isTrusted && status !== 429)
  if (passes) return undefined
  return refuse('gate_unavailable', {
    more: { retryAfterSeconds: retryAfterMs === undefined ? 5 : Math.ceil(retryAfterMs / 1000) },
  })
}
