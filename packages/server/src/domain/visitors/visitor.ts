import type { AuditEntry } from '../audit/audit-trail.ts'
import type { DomainEvent } from '../telling/domain-event.ts'

/** One who uses a product without a key. Nothing of it says who that is. */
export interface Visitor {
  /** `vis_` and a random UUID. */
  readonly id: string
  readonly product: string
  /** Months and the trial are counted from it, ms. */
  readonly firstSeenAt: number
  /** The start of the UTC day, ms. */
  readonly seenAt: number
  readonly conversion: Conversion | undefined
}

/** A visitor who became a buyer. */
export interface Conversion {
  readonly buyer: string
  readonly subscription: string
  readonly at: number
}

/** What visitors' addresses and user agents are hashed with, for a time. Who does not have it cannot try addresses. */
export interface VisitorSalt {
  /** 1, 2, … */
  readonly number: number
  readonly secret: Uint8Array
  /** ms. */
  readonly since: number
}

/** What a visitor is known by under one salt. */
export interface VisitorHash {
  readonly hash: string
  /** Its number. */
  readonly salt: number
}

/** A challenge that was solved: it lets in once. */
export interface UsedSolution {
  readonly id: string
  /** It is good no longer, ms. */
  readonly expiresAt: number
}

export interface Sighting {
  readonly product: string
  /** By the salts of now, the newest first: whoever is known by one is known by all of them from here on. */
  readonly hashes: readonly VisitorHash[]
  readonly at: number
  /** Undefined: nobody asked for one. */
  readonly solution: UsedSolution | undefined
}

/** `used`: the solution let somebody in before; nothing was written. */
export type SightingOutcome =
  | { readonly status: 'known' | 'new'; readonly visitor: Visitor }
  | { readonly status: 'used' }

/** Of a conversion that is written: the history of the subscription, and what the seller's systems are told. */
export interface ConversionTrace {
  readonly audit: Omit<AuditEntry, 'id'>
  readonly event: DomainEvent
}

/**
 * - `converted`: now
 * - `repeated`: before, to the same buyer
 * - `taken`: before, to another buyer, which stays
 * - `unknown`: no such visitor was seen
 */
export type ConversionStatus = 'converted' | 'repeated' | 'taken' | 'unknown'

export interface ConversionOutcome {
  readonly status: ConversionStatus
  readonly visitor: Visitor | undefined
}

export interface ForgetVisitors {
  /** Those that were last seen before, ms; with all that they have used. */
  readonly seenBefore: number
  readonly now: number
  readonly limit: number
}

/** What the domain asks of storage about visitors: neither an address nor a user agent comes here. */
export interface VisitorStore {
  /**
   * The salt of now and, where there is one, that of the time before, which lives until this one's time is over. The first to
   * ask when a salt's time is over makes the next one, for all processes; older ones are destroyed.
   *
   * @param lifeMs - how long a salt is the one of now
   */
  salts(now: number, lifeMs: number): Promise<readonly VisitorSalt[]>
  /** @returns also the newest of the salts that it is known by */
  find(
    hashes: readonly VisitorHash[],
  ): Promise<{ readonly visitor: Visitor; readonly salt: number } | undefined>
  /** Finds a visitor by any of the hashes or makes one, known by all of them. Of several at once, all find the same. */
  see(sighting: Sighting): Promise<SightingOutcome>
  /** Once for a visitor. */
  convert(
    hashes: readonly VisitorHash[],
    conversion: Conversion,
    traceOf: (visitor: Visitor) => ConversionTrace,
  ): Promise<ConversionOutcome>
  /** Also hashes of destroyed salts, and solutions that are good no longer. @returns how many rows; fewer than `limit` where nothing is left */
  forget(what: ForgetVisitors): Promise<number>
}

/** A salt that would still find whoever was seen in the time before. */
export function isLivingSalt({ since }: Pick<VisitorSalt, 'since'>, now: number, lifeMs: number): boolean {
  return now < since + 2 * lifeMs
}

/** That one was seen is written so often, ms: it is a day, and was up to so much later. */
export const SEEN_EVERY_MS = 86_400_000

/** What is kept of when one was last seen: no more than is needed to forget it in time. */
export function dayOf(at: number): number {
  return at - (at % SEEN_EVERY_MS)
}

export const SALT_BYTES = 32
