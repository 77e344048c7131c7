import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ServiceKey } from '../../domain/keys/service-key.ts'
import { DoorError } from '../problem.ts'
import { callerOf } from './caller-address.ts'
import { createFailedAttempts } from './failed-attempts.ts'
import { createRateLimiter, type RateLimiter } from './rate-limiter.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Requests of one address in a minute, where that is fewer than elsewhere. */
    perAddressAndMinute?: number
    /** Whoever watches us must see that we live: never refused, and therefore cheap. */
    isProbe?: boolean
  }
}

/** How many requests one caller may make of this process; 0: as many as it likes. */
export interface RateLimits {
  /** A second, of one service key, to routes of the scopes `usage:write` and `access:check`. */
  readonly usageAndGate: number
  /** A second, of one service key, to all others. */
  readonly otherRoutes: number
  /** A second, of one address, to routes that take no key. */
  readonly perAddress: number
  /** Failures to show a service key, a minute, of one address. */
  readonly unknownKeys: number
  /** API keys that are nobody's, a minute, that one service key asks about. */
  readonly unknownApiKeys: number
}

/** Whom a limit is about. */
export type LimitScope = 'key' | 'address' | 'api_key' | 'subscription'

/** The limits of this process, kept in its memory: another one counts for itself. */
export interface RequestLimits {
  /** @throws {DoorError} `request.too_many` */
  admitKey(request: FastifyRequest, reply: FastifyReply, key: ServiceKey): void
  /** Of a request that shows no key. @throws {DoorError} `request.too_many` */
  admitAddress(request: FastifyRequest, reply: FastifyReply): void
  /**
   * Counts a look-up of a key that this process has not seen. Of an address that floods us with keys few are looked up, but one
   * that is shown again comes before all that are new: who guesses has no reason to, and who has a good key comes again.
   *
   * @param keyHash - of the secret
   * @throws {DoorError} `request.too_many`: nobody knows yet whether it is good
   */
  admitLookUp(request: FastifyRequest, keyHash: string): void
  /** The key was good, or could not be looked up: that counts against nobody, and not against it either. */
  forgiveLookUp(request: FastifyRequest, keyHash: string): void
  /** Counts a request without a valid key. @throws {DoorError} `request.too_many` where there were too many */
  noteFailure(request: FastifyRequest): void
  /** Counts an API key that is nobody's. @returns how long to wait, ms; 0: not at all */
  noteUnknownApiKey(request: FastifyRequest): number
  /** A limit of the route's own. @returns how long to wait, ms; 0: it was counted */
  take(limiter: RateLimiter, subject: string, max: number, request: FastifyRequest): number
  /** Requests that were refused since the start. */
  refusals(): readonly { readonly scope: LimitScope; readonly route: string; readonly count: number }[]
  /** Callers that are kept in memory. */
  tracked(): readonly { readonly scope: LimitScope; readonly count: number }[]
}

/** What may come at once: so long's worth of it. */
const BURST_MS = 5_000
const MINUTE_MS = 60_000
/** A hundred bytes each. */
const ADDRESSES_MAX = 50_000
const KEYS_MAX = 10_000
/** Look-ups a second, of one address that floods us, of keys that are shown again. */
const LOOK_UPS_AGAIN = 5
/** Keys that were not looked up, by their hashes. */
const TURNED_AWAY_MAX = 10_000
/** From here on a caller is told where it stands: below, headers would cost more than the limit. */
const NEAR = 0.2

/** @param elapsed - ms of a clock that never goes back: the machine's, whatever the ledger's pretends */
export function createRequestLimits(
  limits: RateLimits,
  elapsed: () => number = () => performance.now(),
): RequestLimits {
  const hot = createRateLimiter({ windowMs: BURST_MS, callersMax: KEYS_MAX })
  const others = createRateLimiter({ windowMs: BURST_MS, callersMax: KEYS_MAX })
  const addresses = createRateLimiter({ windowMs: BURST_MS, callersMax: ADDRESSES_MAX })
  const ownOfRoutes = createRateLimiter({ windowMs: MINUTE_MS, callersMax: ADDRESSES_MAX })
  const lookUps = createRateLimiter({ windowMs: BURST_MS, callersMax: ADDRESSES_MAX })
  const lookUpsAgain = createRateLimiter({ windowMs: BURST_MS, callersMax: ADDRESSES_MAX })
  /** Is it known by now that it is no good? */
  const turnedAway = new Map<string, boolean>()
  const addressMax = (limits.perAddress * BURST_MS) / 1000
  const attempts = createFailedAttempts({
    perMinuteMax: limits.unknownKeys,
    waitMs: MINUTE_MS,
    waitMaxMs: 15 * MINUTE_MS,
    callersMax: ADDRESSES_MAX,
  })
  const guesses = createFailedAttempts({
    perMinuteMax: limits.unknownApiKeys,
    waitMs: 10_000,
    waitMaxMs: MINUTE_MS,
    callersMax: KEYS_MAX,
  })
  const refused: Record<LimitScope, Map<string, number>> = {
    key: new Map(),
    address: new Map(),
    api_key: new Map(),
    subscription: new Map(),
  }

  /** By the route's pattern: of those there are as many as we have written. */
  function note(scope: LimitScope, { routeOptions: { url = 'none' } }: FastifyRequest): void {
    refused[scope].set(url, (refused[scope].get(url) ?? 0) + 1)
  }

  function admit(
    limiter: RateLimiter,
    caller: string,
    max: number,
    windowMs: number,
    scope: LimitScope,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    const left = limiter.take(caller, max, elapsed())
    if (left > windowMs * NEAR) return
    const rest = Math.floor((Math.max(left, 0) * max) / windowMs)
    const full = toSeconds(left < 0 ? -left : windowMs - left)
    reply.header('RateLimit-Policy', `"requests";q=${max};w=${windowMs / 1000}`)
    reply.header('RateLimit', `"requests";r=${rest};t=${full}`)
    if (left >= 0) return
    note(scope, request)
    const refusal = tooMany('too many requests: see Retry-After', -left)
    reply.headers(refusal.headers) // a page about it has no other way to get them
    throw refusal
  }

  /** Was it turned away before, and is this the first time that it is its turn? */
  function comesAgain(keyHash: string, caller: string): boolean {
    const wasTried = turnedAway.get(keyHash)
    if (wasTried === undefined) {
      if (turnedAway.size >= TURNED_AWAY_MAX) turnedAway.delete(turnedAway.keys().next().value!)
      turnedAway.set(keyHash, false)
    }
    if (wasTried !== false) return false
    if (lookUpsAgain.take(caller, (LOOK_UPS_AGAIN * BURST_MS) / 1000, elapsed()) < 0) return false
    turnedAway.set(keyHash, true)
    return true
  }

  return {
    admitKey(request, reply, key) {
      const { access } = request.routeOptions.config
      const isHot = access === 'usage:write' || access === 'access:check'
      const perSecond = isHot ? (key.ratePerSecond ?? limits.usageAndGate) : limits.otherRoutes
      if (perSecond === 0) return
      const max = (perSecond * BURST_MS) / 1000
      admit(isHot ? hot : others, key.id, max, BURST_MS, 'key', request, reply)
    },
    admitAddress(request, reply) {
      const { isProbe = false, perAddressAndMinute } = request.routeOptions.config
      if (isProbe) return
      if (perAddressAndMinute !== undefined) {
        const caller = `${request.routeOptions.url} ${callerOf(request.ip)}`
        admit(ownOfRoutes, caller, perAddressAndMinute, MINUTE_MS, 'address', request, reply)
      } else if (addressMax > 0)
        admit(addresses, callerOf(request.ip), addressMax, BURST_MS, 'address', request, reply)
    },
    admitLookUp(request, keyHash) {
      if (addressMax === 0) return
      const caller = callerOf(request.ip)
      const left = lookUps.take(caller, addressMax, elapsed())
      if (left >= 0 || comesAgain(keyHash, caller)) return
      note('address', request)
      throw tooMany('too many unknown keys come from this address to look this one up: try again', -left)
    },
    forgiveLookUp({ ip }, keyHash) {
      // Where it came again, it had its turn beside the others, and took nothing of theirs.
      if (!turnedAway.delete(keyHash) && addressMax > 0) lookUps.giveBack(callerOf(ip), addressMax, elapsed())
    },
    noteFailure(request) {
      const wait = limits.unknownKeys === 0 ? 0 : attempts.fail(callerOf(request.ip), elapsed())
      if (wait === 0) return
      note('address', request)
      throw tooMany('too many attempts without a valid key', wait)
    },
    noteUnknownApiKey(request) {
      if (limits.unknownApiKeys === 0 || request.serviceKey === undefined) return 0
      const wait = guesses.fail(request.serviceKey.id, elapsed())
      if (wait > 0) note('api_key', request)
      return wait
    },
    take(limiter, subject, max, request) {
      const left = limiter.take(subject, max, elapsed())
      if (left >= 0) return 0
      note('subscription', request)
      return -left
    },
    refusals: () =>
      SCOPES.flatMap((scope) => [...refused[scope]].map(([route, count]) => ({ scope, route, count }))),
    tracked: () => [
      { scope: 'key', count: hot.tracked() + others.tracked() },
      {
        scope: 'address',
        count: [addresses, ownOfRoutes, lookUps, lookUpsAgain, attempts].reduce(
          (sum, callers) => sum + callers.tracked(),
          0,
        ),
      },
      { scope: 'api_key', count: guesses.tracked() },
    ],
  }
}

const SCOPES: readonly LimitScope[] = ['key', 'address', 'api_key', 'subscription']

function tooMany(message: string, waitMs: number): DoorError {
  return new DoorError('request.too_many', message, { 'retry-after': String(toSeconds(waitMs)) })
}

export function toSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000))
}
