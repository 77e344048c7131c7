import type { CallOptions } from '../client/call.ts'
import type { Client } from '../client/create-client.ts'
import { type PlanFeatures, planFeatures } from '../features/plan-features.ts'
import type { QuotaAnswer, ReservationAnswer } from '../generated/api.gen.ts'
import { hasKeyForm, isKeyText, readKey, sha256 } from './api-key.ts'
import { decide, type Refusal, refuse } from './decide.ts'
import { createRefusedKeys } from './refused-keys.ts'
import { decideUnasked, type FailOpen } from './unasked.ts'

type Quantity = number | string
type OrFrom<R, T> = T | ((request: R) => T)

/** How requests are told apart and counted. `R` is the framework's own request. */
export interface GateOptions<R> {
  readonly client: Pick<Client, 'validateQuota'> &
    Partial<Pick<Client, 'reserveQuota' | 'settleReservation' | 'releaseReservation'>>
  /** What a request uses. */
  readonly dimension: OrFrom<R, string>
  /** How much of it. Default: 1. */
  readonly quantity?: OrFrom<R, Quantity> | undefined
  readonly product?: string | undefined
  /** That the key has to have. */
  readonly scope?: OrFrom<R, string | undefined> | undefined
  /** That the plan has to have. */
  readonly feature?: OrFrom<R, string | undefined> | undefined
  /** The caller's API key. Default: `Authorization: Bearer …`, else `X-API-Key`. */
  readonly key?: ((request: R) => string | undefined) | undefined
  /** Requests without a key: counted by address and user agent, or turned away. Default: `count`. */
  readonly anonymous?: 'count' | 'refuse' | undefined
  /**
   * What makes two requests the same use, which counts once.
   * - `each` (default): every request is a use of its own
   * - `idempotency-key`: those with the same method, path and `Idempotency-Key`. Only for a product that answers a repeat from
   *   what it kept: whoever does the work again lets callers have it as often as they like for the price of one
   * - a function: your own id, or undefined for a new one
   */
  readonly id?: 'each' | 'idempotency-key' | ((request: R) => string | undefined) | undefined
  /** Hold the quantity first, and count what was really used when the answer is sent: `admitted.use(…)`, else all of it. */
  readonly reserve?: boolean | { readonly expiresInSeconds?: number } | undefined
  /** For asking Tollkeeper, retry included, ms. Default: 2,000. */
  readonly timeoutMs?: number | undefined
  /** Who passes when Tollkeeper cannot be asked. Default: `paid`. */
  readonly failOpen?: FailOpen | undefined
  /** Told when Tollkeeper could not be asked, or a reservation not be settled. */
  readonly onError?: ((error: unknown, about: { readonly reservation?: string }) => void) | undefined
}

/** What every framework can say of a request. */
export interface Seen {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly header: (name: string) => string | undefined
  /** Of the other end of the connection, or as the product found it. */
  readonly address: string | undefined
}

/** Who was let in. */
export interface Admitted {
  /** Undefined where Tollkeeper could not be asked. */
  readonly answer: QuotaAnswer | undefined
  readonly features: PlanFeatures
  /** Of a reserved quantity: what was really used, at most what was reserved. The last word before the answer is sent counts. */
  use(quantity: Quantity): void
}

export type Entry = Refusal | Entered

export interface Entered {
  readonly pass: true
  readonly headers: Readonly<Record<string, string>>
  readonly admitted: Admitted
  /** The answer is sent: a reservation is settled, or released where it failed with 5xx. Never throws. */
  leave(status: number): Promise<void>
}

export interface Gate<R> {
  enter(request: R, seen: Seen): Promise<Entry>
}

const PASSED_ON = ['RateLimit', 'RateLimit-Policy', 'Retry-After']

export function createGate<R>(options: GateOptions<R>): Gate<R> {
  const { client, anonymous = 'count', timeoutMs = 2_000, failOpen = 'paid', onError = () => {} } = options
  const isReserving = options.reserve !== undefined && options.reserve !== false
  const refusedKeys = createRefusedKeys()

  async function enter(request: R, seen: Seen): Promise<Entry> {
    const key = options.key === undefined ? readKey(seen.header) : options.key(request)
    if (key !== undefined && !isKeyText(key)) return refuse('key_unknown')
    const who = key === undefined ? anonymous === 'count' && visitorOf(seen) : { key }
    if (who === false) return refuse('key_missing')
    const quantity = valueFor(options.quantity, request) ?? 1
    const question = {
      ...who,
      product: options.product,
      dimension: valueFor(options.dimension, request),
      quantity,
      scope: valueFor(options.scope, request),
      feature: valueFor(options.feature, request),
      id: await idOf(request, seen),
    }
    const headers: Record<string, string> = {}
    let answer: QuotaAnswer
    try {
      answer = await ask(question, {
        signal: AbortSignal.timeout(timeoutMs),
        timeoutMs,
        retries: 1,
        onAnswer: (head) => {
          for (const name of PASSED_ON) {
            const value = head.headers.get(name)
            if (value !== null) headers[name] = value
          }
        },
      })
    } catch (error) {
      onError(error, {})
      const isTrusted = key !== undefined && (await hasKeyForm(key)) && !(await refusedKeys.has(key))
      const refusal = decideUnasked(error, failOpen, isTrusted)
      return refusal ?? entered({}, undefined, quantity)
    }
    if (key !== undefined) await refusedKeys.note(key, answer)
    const decision = decide(answer, headers)
    return decision.pass ? entered(headers, answer, quantity) : decision
  }

  async function ask(
    question: Parameters<Client['validateQuota']>[0] & { readonly id: string },
    call: CallOptions,
  ): Promise<QuotaAnswer | ReservationAnswer> {
    if (!isReserving) return await client.validateQuota(question, call)
    if (client.reserveQuota === undefined) throw new TypeError('reserve: this client cannot reserve')
    const { expiresInSeconds } = typeof options.reserve === 'object' ? options.reserve : {}
    return await client.reserveQuota({ ...question, expiresInSeconds }, call)
  }

  function entered(
    headers: Entered['headers'],
    answer: QuotaAnswer | ReservationAnswer | undefined,
    quantity: Quantity,
  ): Entered {
    const reservation = answer !== undefined && 'reservation' in answer ? answer.reservation?.id : undefined
    let used: Quantity | undefined
    let hasLeft = false
    return {
      pass: true,
      headers,
      admitted: {
        answer,
        features: planFeatures(answer ?? {}),
        use(quantity) {
          used = quantity
        },
      },
      async leave(status) {
        if (reservation === undefined || hasLeft) return
        hasLeft = true
        const final = used ?? (status >= 500 ? 0 : quantity)
        try {
          if (Number(final) === 0) await client.releaseReservation?.({ reservationId: reservation })
          else await client.settleReservation?.({ reservationId: reservation }, { quantity: final })
        } catch (error) {
          onError(error, { reservation })
        }
      },
    }
  }

  async function idOf(request: R, { method, path, header }: Seen): Promise<string> {
    const { id = 'each' } = options
    if (typeof id === 'function') return id(request) ?? crypto.randomUUID()
    const given = id === 'idempotency-key' ? header('idempotency-key') : undefined
    if (given === undefined || given === '') return crypto.randomUUID()
    // Of any length, and no other route's.
    return `idk_${await sha256(JSON.stringify([method, path, given]))}`
  }

  return { enter }
}

/** Longer ones are no solution; the server would refuse the whole question. */
const CHALLENGE_LENGTH_MAX = 8_192
const USER_AGENT_LENGTH_MAX = 1_000

function visitorOf({ address, header }: Seen) {
  if (address === undefined) return false
  const userAgent = header('user-agent')?.slice(0, USER_AGENT_LENGTH_MAX)
  const challenge = header('tollkeeper-challenge')
  const visitor = {
    // Without the zone of a link-local address.
    ip: address.replace(/%.*$/, ''),
    ...(userAgent !== undefined && { userAgent }),
    ...(challenge !== undefined && challenge.length <= CHALLENGE_LENGTH_MAX && { challenge }),
  }
  return { visitor }
}

function valueFor<R, T>(value: OrFrom<R, T>, request: R): T {
  return typeof value === 'function' ? (value as (request: R) => T)(request) : value
}
