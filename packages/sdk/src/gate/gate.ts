import type { CallOptions } from '../client/call.ts'
import type { Client } from '../client/create-client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { type PlanFeatures, planFeatures } from '../features/plan-features.ts'
import type { QuotaAnswer, ReservationAnswer } from '../generated/api.gen.ts'
import { quantityText } from '../settlements/quantity.ts'
import type { Settlements } from '../settlements/settlements.ts'
import { fingerprintOf, readKey, sha256 } from './api-key.ts'
import { decide, type Refusal, refuse } from './decide.ts'
import { createKnownKeys } from './known-keys.ts'
import { createLeaving, type GateErrorSubject } from './leaving.ts'
import { passedOn } from './passed-on.ts'
import { decideUnasked, type FailOpen } from './unasked.ts'

type Quantity = number | string
type OrFrom<R, T> = T | ((request: R) => T)

/** How requests are told apart and counted. `R` is the framework's own request. */
export interface GateOptions<R> {
  readonly client: Pick<Client, 'validateQuota'> &
    Partial<Pick<Client, 'reserveQuota' | 'settleReservation' | 'releaseReservation'>>
  /**
   * Asks for requests without a key. Give it a service key of its own: then what visitors send uses up that key's rate, and not
   * the one of those who pay. Default: `client`.
   */
  readonly anonymousClient?:
    | (Pick<Client, 'validateQuota'> & Partial<Pick<Client, 'reserveQuota'>>)
    | undefined
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
  readonly key?: ((request: R) => string | null | undefined) | undefined
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
  /**
   * Where reservations wait until they are settled: `createSettlements({ client, journal, … })`, one for all gates. Default: the
   * memory of this gate, which a restart empties; `onError` is told what is not billed.
   */
  readonly settlements?: Pick<Settlements, 'add'> | undefined
  /** For asking Tollkeeper, retry included, ms; and the most that an answer waits for its reservation to be settled. Default: 2,000. */
  readonly timeoutMs?: number | undefined
  /** Who passes when Tollkeeper cannot be asked. Default: `paid`. */
  readonly failOpen?: FailOpen | undefined
  /** Told when Tollkeeper could not be asked, or a reservation not be settled, or more was used than was reserved, or it was said too late. */
  readonly onError?: ((error: unknown, about: GateErrorSubject) => void) | undefined
  readonly clock?: Clock | undefined
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
  /**
   * Of a reserved quantity: what was really used. The last word before the answer has ended counts, also of one that streams; a
   * later one changes nothing, and `onError` is told. Of more than was reserved, all that was reserved is billed, and `onError`
   * told the rest.
   *
   * @throws {RangeError} for what is no quantity: below 0, `NaN`, or of more than 15 digits, such as `77 / 60`
   */
  use(quantity: Quantity): void
}

export type Entry = Refusal | Entered

export interface Entered {
  readonly pass: true
  readonly headers: Readonly<Record<string, string>>
  readonly admitted: Admitted
  /** There is a reservation that `leave` settles. */
  readonly isHolding: boolean
  /**
   * The answer is sent: a reservation is settled, or released where it failed with 5xx. Resolves when that is on file, where there
   * is one, and was tried once, within `timeoutMs`. Never throws.
   */
  leave(status: number): Promise<void>
}

export interface Gate<R> {
  enter(request: R, seen: Seen): Promise<Entry>
}

export function createGate<R>(options: GateOptions<R>): Gate<R> {
  const { client, anonymous = 'count', timeoutMs = 2_000, failOpen = 'paid' } = options
  const { anonymousClient = client, clock = systemClock } = options
  const isReserving = options.reserve !== undefined && options.reserve !== false
  const knownKeys = createKnownKeys(() => clock.now())
  const leaving = isReserving
    ? createLeaving({ client, settlements: options.settlements, timeoutMs, onError: tell, clock })
    : undefined

  /** Whatever the listener does, the request goes on. */
  function tell(error: unknown, about: GateErrorSubject): void {
    try {
      options.onError?.(error, about)
    } catch {}
  }

  async function enter(request: R, seen: Seen): Promise<Entry> {
    const key = (options.key === undefined ? readKey(seen.header) : options.key(request)) || undefined
    const fingerprint = key === undefined ? undefined : await fingerprintOf(key)
    // Asking about junk would use up the rate of those who have a key.
    if (key !== undefined && fingerprint === undefined) return refuse('key_unknown')
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
    const use = fingerprint === undefined ? undefined : { ...question, fingerprint }
    const headers: Record<string, string> = {}
    let answer: QuotaAnswer
    try {
      answer = await ask(key === undefined ? anonymousClient : client, question, {
        signal: AbortSignal.timeout(timeoutMs),
        timeoutMs,
        retries: 1,
        // Whoever is known to pay would wait for nothing, and it would be asked still more often.
        retryTooMany: false,
        onAnswer: (head) => Object.assign(headers, passedOn(head.headers)),
      })
    } catch (error) {
      tell(error, {})
      const refusal = decideUnasked(error, failOpen, {
        isLikely: use !== undefined && !knownKeys.isRefused(use.fingerprint),
        takeKnown: () => use !== undefined && knownKeys.takeUnasked(use, quantity),
      })
      return refusal ?? entered({}, undefined, quantity)
    }
    if (use !== undefined) knownKeys.note(use, answer)
    const decision = decide(answer, headers)
    return decision.pass ? entered(headers, answer, quantity) : decision
  }

  async function ask(
    asked: NonNullable<GateOptions<R>['anonymousClient']>,
    question: Parameters<Client['validateQuota']>[0] & { readonly id: string },
    call: CallOptions,
  ): Promise<QuotaAnswer | ReservationAnswer> {
    if (!isReserving) return await asked.validateQuota(question, call)
    if (asked.reserveQuota === undefined) throw new TypeError('reserve: this client cannot reserve')
    const { expiresInSeconds } = typeof options.reserve === 'object' ? options.reserve : {}
    return await asked.reserveQuota({ ...question, expiresInSeconds }, call)
  }

  function entered(
    headers: Entered['headers'],
    answer: QuotaAnswer | ReservationAnswer | undefined,
    quantity: Quantity,
  ): Entered {
    const reservation = answer !== undefined && 'reservation' in answer ? answer.reservation : undefined
    // One that was settled before, by a request with the same id, is done.
    const held = reservation?.state === 'settled' ? undefined : reservation
    let used: Quantity | undefined
    let settled: Quantity | undefined
    return {
      pass: true,
      headers,
      isHolding: held !== undefined,
      admitted: {
        answer,
        features: planFeatures(answer ?? {}),
        use(quantity) {
          quantityText(quantity)
          used = quantity
          if (held !== undefined && settled !== undefined && Number(quantity) !== Number(settled))
            tell(tooLate(held.id, quantity, settled), { reservation: held.id, quantity })
        },
      },
      async leave(status) {
        if (held === undefined || settled !== undefined) return
        settled = used ?? (status >= 500 ? 0 : quantity)
        await leaving?.leave({ reservation: held.id, held: quantity, used: settled })
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

function tooLate(reservation: string, quantity: Quantity, settled: Quantity): Error {
  return new Error(
    `reservation ${reservation}: use(${quantity}) came after the answer had ended, and ${settled} are settled: say it before`,
  )
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
