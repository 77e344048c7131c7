import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import { type Prompt, whenKnown } from '../prompt.ts'
import { eventKey, type IngestUsage } from '../usage/ingest-usage.ts'
import type { UsageStore } from '../usage/usage-store.ts'
import { isUnseen } from '../visitors/visitor-holder.ts'
import type { FindHolders, FoundHolders, WhoAsks } from './find-holders.ts'
import { LEASED_FROM, type Leased, type Leases } from './leases.ts'
import { type CountedDimension, countedDimension, limitStates, limitsOf, quantityOf } from './plan-limits.ts'
import { type CountedLimit, type Counter, hasRoom } from './quota.ts'
import type { Holder, QuotaAnswer, QuotaRefusal } from './quota-answer.ts'
import type { AdmissionOutcome, QuotaStore } from './quota-store.ts'
import { createRecentUses } from './recent-uses.ts'

export interface QuotaQuestion extends WhoAsks {
  /** A dimension's key, the platform's name for it, or a name that only plans know. */
  readonly dimension: string
  /** Default: 1. */
  readonly quantity?: number | string | undefined
  /** The same on every retry: what was let through by it is let through again, and counts once. Default: a new one. */
  readonly id?: string | undefined
  /** `look`: nothing is counted. */
  readonly mode: 'consume' | 'look'
}

/**
 * May this caller do this now? What it lets through is counted before it answers; of a dimension that the gate meters, it is
 * the usage event that is billed.
 *
 * @throws {DomainError} `request.invalid`; `quota.id_conflict`; as `CheckAccess`; `ledger.busy`
 */
export type ValidateQuota = (question: QuotaQuestion) => Prompt<QuotaAnswer>

export interface QuotaDeps {
  readonly findHolders: FindHolders
  readonly quotas: QuotaStore
  readonly usage: Pick<UsageStore, 'isRecorded'>
  readonly leases: Leases
  readonly ingest: IngestUsage
  readonly clock: Clock
}

/** What was decided for one holder. */
export interface Decision {
  readonly reason: QuotaRefusal | undefined
  readonly limits: readonly CountedLimit[]
  readonly counters: readonly Counter[]
  readonly isRepeat?: boolean
  readonly recordId?: string | undefined
}

interface Use {
  readonly holder: Holder
  readonly dimension: CountedDimension
  readonly limits: readonly CountedLimit[]
  /** Base units. */
  readonly quantity: number
  /** Undefined: the caller has none, and it never comes again. */
  readonly id: string | undefined
  readonly now: number
}

export function createValidateQuota(deps: QuotaDeps): ValidateQuota {
  const recent = createRecentUses()
  return (question) => {
    const now = deps.clock.now()
    return whenKnown(deps.findHolders(question, question.mode), (found) => {
      const [first] = found.holders
      if (first === undefined) return refusedAnswer(question, found)
      return found.holders.length === 1 ? ask(first, found, question, now) : askEach(found, question, now)
    })
  }

  /** What the first has no room for, another of the buyer's subscriptions may have. */
  async function askEach(found: FoundHolders, question: QuotaQuestion, now: number): Promise<QuotaAnswer> {
    let answer: QuotaAnswer | undefined
    const inOrder = await knownFirst(deps, found.holders, question, (holder, dimension) =>
      recent.has(nameOf(holder.id, dimension, question.id!)),
    )
    for (const holder of inOrder) {
      const own = await ask(holder, found, question, now)
      if (own.allowed) return own
      answer ??= own
    }
    return answer!
  }

  function ask(
    holder: Holder,
    found: FoundHolders,
    question: QuotaQuestion,
    now: number,
  ): Prompt<QuotaAnswer> {
    const dimension = countedDimension(holder.product, question.dimension)
    const quantity = quantityOf(question, dimension)
    return whenKnown(decide(holder, dimension, quantity, question, now), (decision) =>
      toAnswer(found, holder, dimension, quantity, decision),
    )
  }

  function decide(
    holder: Holder,
    dimension: CountedDimension,
    quantity: number,
    question: Pick<QuotaQuestion, 'id' | 'mode'>,
    now: number,
  ): Prompt<Decision> {
    const limits = limitsOf(holder, dimension, now)
    if (limits === undefined) return { reason: 'not_entitled', limits: [], counters: [] }
    const looked = (reasonOf: (counters: readonly Counter[]) => QuotaRefusal | undefined) =>
      look(holder, dimension, limits).then((counters) => ({ reason: reasonOf(counters), limits, counters }))
    if (holder.trialEndsAt !== undefined && now >= holder.trialEndsAt) return looked(() => 'trial_ended')
    if (question.mode === 'look' || isUnseen(holder))
      return looked((counters) => (hasRoom(limits, counters, quantity) ? undefined : 'quota_exceeded'))
    const use: Use = { holder, dimension, limits, quantity, id: question.id, now }
    if (dimension.isMetered && holder.subscription !== undefined) return meter(use)
    return isLeased(limits, dimension) ? lease(use) : admit(use)
  }

  /** As the store has it, without what this node holds and has not used. */
  async function look(
    { id: holder }: Holder,
    { key: dimension }: CountedDimension,
    limits: readonly CountedLimit[],
  ): Promise<readonly Counter[]> {
    const keys = limits.map(({ window, start }) => ({ holder, dimension, window, start }))
    const counters = keys.length === 0 ? [] : await deps.quotas.read(keys)
    return counters.map(({ used, held }, index) => ({
      used: Math.max(0, used - deps.leases.unused(keys[index]!)),
      held,
    }))
  }

  /** The use is a usage event: it is counted by its quota and for its bill in one step, or not at all. */
  async function meter({ holder, dimension, limits, quantity, id = newId(), now }: Use): Promise<Decision> {
    const [outcome] = await deps.ingest([
      {
        product: holder.product.id,
        reference: { subscriptionId: holder.subscription!.id },
        dimension: dimension.key,
        id,
        source: sourceOf(holder.id),
        time: now,
        quantity: baseText(quantity, dimension.scale),
        gate: { holder: holder.id, limits },
      },
    ])
    const { status, code, counters = [], meteringRecordId, reason } = outcome!
    if (status === 'conflict') throw conflict(id)
    if (status !== 'refused')
      return {
        reason: undefined,
        limits,
        counters,
        isRepeat: status === 'duplicate',
        recordId: meteringRecordId,
      }
    if (code === 'quota_exceeded') return { reason: 'quota_exceeded', limits, counters }
    if (code === 'subscription_ended' || code === 'before_access')
      return { reason: code === 'before_access' ? 'pending' : 'ended', limits, counters }
    throw new DomainError('request.invalid', reason ?? 'this cannot be metered')
  }

  async function admit({ holder, dimension, limits, quantity, id = newId(), now }: Use): Promise<Decision> {
    const key = useKey(holder, dimension.key, id)
    const gate = { holder: holder.id, limits }
    const outcome = await deps.quotas.admit({ key, dimension: dimension.key, quantity, gate }, now)
    return fromAdmission(outcome, limits, id)
  }

  /** Many uses of a large limit: counted in memory, by a slice of it. An id is known again by this node only. */
  function lease({ holder, dimension, limits, quantity, id, now }: Use): Prompt<Decision> {
    const asked = { holder: holder.id, dimension: dimension.key, limits }
    const consume = () => deps.leases.consume(asked, quantity, 10 ** dimension.scale, now)
    if (id === undefined)
      return whenKnown(consume(), (leased) => fromAdmission(admissionOf(leased), limits, ''))
    return recent
      .once(nameOf(holder.id, dimension.key, id), quantity, now, async () => admissionOf(await consume()))
      .then((outcome) => fromAdmission(outcome, limits, id))
  }
}

function newId(): string {
  return `use_${randomUUID()}`
}

function admissionOf({ isAllowed, counters }: Leased): AdmissionOutcome {
  return { status: isAllowed ? 'admitted' : 'exceeded', counters }
}

/** Ids of what nodes let through by themselves. */
function nameOf(holder: string, dimension: string, id: string): string {
  return `${holder}\n${dimension}\n${id}`
}

/**
 * Of several subscriptions, the one that an id was let through by before comes first: else its retry would be counted again, by
 * another one.
 */
export async function knownFirst(
  { quotas, usage }: Pick<QuotaDeps, 'quotas' | 'usage'>,
  holders: readonly Holder[],
  { dimension, id }: Pick<QuotaQuestion, 'dimension' | 'id'>,
  isRecent: (holder: Holder, dimension: string) => boolean = () => false,
): Promise<readonly Holder[]> {
  if (holders.length < 2 || id === undefined) return holders
  const asked = holders.map((holder) => ({ holder, key: countedDimension(holder.product, dimension).key }))
  const [admitted, recorded, reserved] = await Promise.all([
    quotas.isAdmitted(asked.map(({ holder, key }) => useKey(holder, key, id))),
    usage.isRecorded(
      asked.map(({ holder, key }) => eventKey(holder.product.id, key, sourceOf(holder.id), id)),
    ),
    Promise.all(
      asked.map(({ holder, key }) => quotas.findReservation(reservationId(useKey(holder, key, id)))),
    ),
  ])
  const known = asked.findIndex(
    ({ holder, key }, index) =>
      admitted[index] || recorded[index] || reserved[index] !== undefined || isRecent(holder, key),
  )
  return known <= 0 ? holders : [holders[known]!, ...holders.filter((_, index) => index !== known)]
}

/** Identifies a use of one holder in the whole ledger. */
export function useKey({ id: holder, product }: Holder, dimension: string, id: string): Uint8Array {
  return eventKey(product.id, dimension, holder, id)
}

export function reservationId(key: Uint8Array): string {
  return `rsv_${Buffer.from(key).toString('hex')}`
}

/** Who reports what the gate meters, as an event's source: an id is one use of one holder. */
export function sourceOf(holder: string): string {
  return `gate/${holder}`
}

/** Large limits, each of which starts anew: what a node that dies has taken of them comes back. */
export function isLeased(
  limits: readonly CountedLimit[],
  { scale }: Pick<CountedDimension, 'scale'>,
): boolean {
  const from = LEASED_FROM * 10 ** scale
  return (
    limits.length > 0 &&
    limits.every(
      ({ window, max, blocks }) => window !== 'lifetime' && (!blocks || max === undefined || max >= from),
    )
  )
}

function fromAdmission(
  { status, counters }: AdmissionOutcome,
  limits: readonly CountedLimit[],
  id: string,
): Decision {
  if (status === 'conflict') throw conflict(id)
  return {
    reason: status === 'exceeded' ? 'quota_exceeded' : undefined,
    limits,
    counters,
    isRepeat: status === 'repeated',
  }
}

export function conflict(id: string): DomainError {
  return new DomainError(
    'quota.id_conflict',
    `id ${JSON.stringify(id.slice(0, 60))} was let through before with another quantity: each use has an id of its own, the same on its retries`,
  )
}

/** Base units as the decimal text that they were. */
export function baseText(base: number, scale: number): string {
  if (scale === 0) return String(base)
  const digits = String(base).padStart(scale + 1, '0')
  return `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** Where it is refused before any limit is looked at. */
export function refusedAnswer(
  question: Pick<QuotaQuestion, 'dimension'>,
  { refused, key }: FoundHolders,
): QuotaAnswer {
  const holder = refused?.holder
  const dimension = holder && countedDimension(holder.product, question.dimension)
  return {
    allowed: false,
    reason: refused!.reason,
    holder,
    key,
    dimension: dimension?.key ?? question.dimension,
    scale: dimension?.scale ?? 0,
    quantity: 0,
    limits: [],
    isRepeat: false,
    recordId: undefined,
    challenge: refused!.challenge,
  }
}

export function toAnswer(
  { key }: FoundHolders,
  holder: Holder,
  { key: dimension, scale }: CountedDimension,
  quantity: number,
  { reason, limits, counters, isRepeat = false, recordId }: Decision,
): QuotaAnswer {
  return {
    allowed: reason === undefined,
    reason,
    holder,
    key,
    dimension,
    scale,
    quantity,
    limits: limitStates(limits.slice(0, counters.length), counters),
    isRepeat,
    recordId,
  }
}
