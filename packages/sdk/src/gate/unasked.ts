import { TollkeeperError } from '../client/tollkeeper-error.ts'
import { type Refusal, refuse } from './decide.ts'

/**
 * Who passes when Tollkeeper cannot be asked.
 * - `paid`: requests with an API key; those without are refused
 * - `all`, `none`
 */
export type FailOpen = 'paid' | 'all' | 'none'

/** Of a request with an API key that Tollkeeper has not refused to this process. */
export interface Trust {
  /** It looks like an API key: so may a forged one. */
  readonly isLikely: boolean
  /** Tollkeeper let it in lately, and there was so much left. Takes it. */
  takeKnown(): boolean
}

/** @returns undefined: it passes */
export function decideUnasked(error: unknown, failOpen: FailOpen, trust: Trust): Refusal | undefined {
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
  // Whoever makes us ask too often gets nothing by it, and takes nothing from those who are known to pay.
  const isTrusted = trust.takeKnown() || (trust.isLikely && status !== 429)
  if (failOpen === 'all' || (failOpen === 'paid' && isTrusted)) return undefined
  return refuse('gate_unavailable', {
    more: { retryAfterSeconds: retryAfterMs === undefined ? 5 : Math.ceil(retryAfterMs / 1000) },
  })
}
