import type { Clock } from '../clock.ts'
import type { QuotaStore } from '../quotas/quota-store.ts'
import type { Challenge, Challenges } from './challenge.ts'
import type { IdentifyVisitor, VisitorClaim, VisitorIdentity } from './identify-visitor.ts'
import { createNewVisitors } from './new-visitors.ts'
import {
  SEEN_EVERY_MS,
  type UsedSolution,
  type Visitor,
  type VisitorHash,
  type VisitorStore,
} from './visitor.ts'

/** How long a visitor is known without a look at the store, ms: of what is asked for, only that it became a buyer may change. */
const KNOWN_MS = 5_000
/** A third of a kilobyte each. */
const KNOWN_MAX = 50_000

/** What was wrong with the solution that came along; `used`: it let somebody in before. */
export type ChallengeProblem = 'wrong' | 'expired' | 'used'

/** Solve it, and ask again with what solves it. */
export interface AskedChallenge {
  readonly challenge: Challenge
  /** Of the solution that came along. */
  readonly problem: ChallengeProblem | undefined
}

export type FoundVisitor =
  | { readonly status: 'known'; readonly visitor: Visitor }
  /** Only where nothing is to be counted: it would be let in, or was only to be known again. */
  | { readonly status: 'unseen' }
  | ({ readonly status: 'challenged' } & AskedChallenge)

/**
 * - `consume`: something is to be counted, and a new visitor is made
 * - `look`: would it be let in? A solution that comes along is judged, and not used up
 * - `recall`: it is not let in, known or not: nobody is asked for a solution
 */
export type VisitorMode = 'consume' | 'look' | 'recall'

/**
 * Tells which visitor it is. Of an address that brings many, a new one is let in only with a solved challenge.
 *
 * @throws {DomainError} `request.invalid` where the address is none
 */
export type FindVisitor = (product: string, claim: VisitorClaim, mode: VisitorMode) => Promise<FoundVisitor>

/** `known`, to the store or here; `challenged`: for the first time, or with a solution that was no good. */
export const VISITOR_CHECK_RESULTS = ['known', 'new', 'solved', 'unseen', 'challenged'] as const
export type VisitorCheckResult = (typeof VISITOR_CHECK_RESULTS)[number]
export type VisitorCounts = Readonly<Record<VisitorCheckResult, number>>

export interface VisitorSettings {
  /** How long a salt is the one of now, ms. */
  readonly saltMs: number
  /** How long one who does not come back is remembered, ms. */
  readonly keepMs: number
  /** In an hour, of one address, without a challenge. Undefined: as many as come. */
  readonly newPerAddress: number | undefined
}

export function createFindVisitor(deps: {
  readonly visitors: VisitorStore
  readonly identify: IdentifyVisitor
  readonly quotas: Pick<QuotaStore, 'exchange' | 'read'>
  readonly challenges: Challenges
  readonly clock: Pick<Clock, 'now'>
  readonly newPerAddress: number | undefined
}): {
  readonly find: FindVisitor
  /** What is kept of it here is old. */
  readonly forget: (hashes: readonly VisitorHash[]) => void
  readonly counts: () => VisitorCounts
} {
  const { visitors, challenges, clock } = deps
  const newVisitors =
    deps.newPerAddress === undefined ? undefined : createNewVisitors(deps.quotas, deps.newPerAddress)
  const known = new Map<string, { readonly visitor: Visitor; readonly at: number }>()
  /** Requests of one new visitor come together: it is one, and is counted once. */
  const coming = new Map<string, Promise<FoundVisitor>>()
  const counts: Record<VisitorCheckResult, number> = { known: 0, new: 0, solved: 0, unseen: 0, challenged: 0 }

  function keep(hash: string, visitor: Visitor, at: number): FoundVisitor {
    known.delete(hash)
    if (known.size >= KNOWN_MAX) known.delete(known.keys().next().value!)
    known.set(hash, { visitor, at })
    return { status: 'known', visitor }
  }

  async function see(
    product: string,
    { hashes }: VisitorIdentity,
    now: number,
    solution?: UsedSolution,
  ): Promise<FoundVisitor | undefined> {
    const outcome = await visitors.see({ product, hashes, at: now, solution })
    if (outcome.status === 'used') return undefined
    counts[outcome.status === 'known' ? 'known' : solution === undefined ? 'new' : 'solved']++
    return keep(hashes[0]!.hash, outcome.visitor, now)
  }

  async function challenged({ addresses }: VisitorIdentity, now: number, problem?: ChallengeProblem) {
    counts.challenged++
    const challenge = await challenges.create(addresses[0]!, now)
    return { status: 'challenged', challenge, problem } as const
  }

  async function letIn(
    product: string,
    identity: VisitorIdentity,
    solved: string | undefined,
    now: number,
  ): Promise<FoundVisitor> {
    if (newVisitors === undefined) return (await see(product, identity, now))!
    let problem: ChallengeProblem | undefined
    if (solved !== undefined) {
      const verdict = await challenges.verify(solved, identity.addresses, now)
      problem = verdict.problem
      if (verdict.problem === undefined) {
        const seen = await see(product, identity, now, verdict)
        if (seen !== undefined) return seen
        problem = 'used'
      }
    }
    // Who would not have been asked is not turned away for a solution that is no good.
    if (await newVisitors.admit(identity, now)) return (await see(product, identity, now))!
    return challenged(identity, now, problem)
  }

  async function find(
    product: string,
    identity: VisitorIdentity,
    claim: VisitorClaim,
    mode: VisitorMode,
    now: number,
  ): Promise<FoundVisitor> {
    const found = await visitors.find(identity.hashes)
    if (found !== undefined) {
      const { visitor, salt } = found
      const isFresh = salt === identity.hashes[0]!.salt && now - visitor.seenAt < SEEN_EVERY_MS
      // Forgotten at this very moment, it would be a new one; so be it.
      if (!isFresh && mode === 'consume') return (await see(product, identity, now))!
      counts.known++
      return isFresh ? keep(identity.hashes[0]!.hash, visitor, now) : { status: 'known', visitor }
    }
    if (mode === 'consume') return letIn(product, identity, claim.challenge, now)
    if (mode === 'look') {
      const problem = await problemOf(identity, claim.challenge, now)
      if (problem !== undefined)
        return challenged(identity, now, problem === 'unsolved' ? undefined : problem)
    }
    counts.unseen++
    return { status: 'unseen' }
  }

  /** What keeps a new visitor out; whether its solution was used before is told where it would be used. */
  async function problemOf(
    identity: VisitorIdentity,
    solved: string | undefined,
    now: number,
  ): Promise<ChallengeProblem | 'unsolved' | undefined> {
    if (newVisitors === undefined || (await newVisitors.hasRoom(identity, now))) return undefined
    if (solved === undefined) return 'unsolved'
    return (await challenges.verify(solved, identity.addresses, now)).problem
  }

  const findVisitor: FindVisitor = async (product, claim, mode) => {
    const now = clock.now()
    const identity = await deps.identify(product, claim)
    const { hash } = identity.hashes[0]!
    const kept = known.get(hash)
    if (kept !== undefined && now >= kept.at && now - kept.at < KNOWN_MS) {
      counts.known++
      return { status: 'known', visitor: kept.visitor }
    }
    const name = `${mode} ${hash} ${claim.challenge ?? ''}`
    let finding = coming.get(name)
    if (finding === undefined) {
      finding = find(product, identity, claim, mode, now).finally(() => coming.delete(name))
      coming.set(name, finding)
    }
    return finding
  }
  return {
    find: findVisitor,
    forget: (hashes) => {
      for (const { hash } of hashes) known.delete(hash)
    },
    counts: () => counts,
  }
}
