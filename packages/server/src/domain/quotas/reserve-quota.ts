import type { CheckAccess } from '../entitlements/check-access.ts'
import { DomainError } from '../error.ts'
import type { ProductCatalog } from '../products/product.ts'
import { isVisitorId, productOfVisitor, visitorHolder } from '../visitors/visitor-holder.ts'
import { holderOf } from './find-holders.ts'
import { type CountedDimension, countedDimension, limitsOf, planLimits, quantityOf } from './plan-limits.ts'
import type { CountedLimit, Counter } from './quota.ts'
import type { Holder, QuotaAnswer } from './quota-answer.ts'
import type { Reservation } from './quota-store.ts'
import {
  baseText,
  conflict,
  knownFirst,
  type QuotaDeps,
  type QuotaQuestion,
  refusedAnswer,
  reservationId,
  sourceOf,
  toAnswer,
  useKey,
} from './validate-quota.ts'

/** How long a quantity may be held, ms. */
export const RESERVED_MS_MAX = 24 * 3_600_000

export interface ReserveQuestion extends Omit<QuotaQuestion, 'mode' | 'id'> {
  /** The same on every retry: it is reserved once. */
  readonly id: string
  readonly forMs: number
}

export interface ReserveAnswer extends QuotaAnswer {
  /** Undefined where it is refused. */
  readonly reservation: Reservation | undefined
}

export interface Settled {
  readonly reservation: Reservation
  /** Who has it now: not who it was made for, where that was renewed. */
  readonly holder: Holder
  /** Of the windows that it counts in, as they are now. */
  readonly limits: readonly CountedLimit[]
  /** False: it had expired, and there is no room any more. */
  readonly isSettled: boolean
  readonly scale: number
  /** Of the usage event that it became; only of what the gate meters. */
  readonly recordId: string | undefined
  /** Of what the gate meters, once it is settled: why nobody is billed for it. It is kept all the same. */
  readonly unbilled: string | undefined
}

const NOT_BY_USE = 'nobody pays for this by use: the subscription is free, or its contract pays for all of it'

/** Holds a quantity for what takes long, and counts what it came to: what was allowed and what is charged are one. */
export interface ReserveQuota {
  reserve(question: ReserveQuestion): Promise<ReserveAnswer>
  /**
   * @param quantity - what was used: at most what is reserved
   * @throws {DomainError} `reservation.not_found`; `reservation.ended`; `request.invalid`
   */
  settle(id: string, quantity: number | string, scope?: string): Promise<Settled>
  /** @throws {DomainError} `reservation.not_found` */
  release(id: string, scope?: string): Promise<{ readonly reservation: Reservation; readonly scale: number }>
}

export function createReserveQuota(
  deps: QuotaDeps & { readonly checkAccess: CheckAccess; readonly catalog: ProductCatalog },
): ReserveQuota {
  const { quotas, clock } = deps

  async function find(id: string, scope: string | undefined): Promise<Reservation> {
    const found = await quotas.findReservation(id)
    if (found === undefined || (scope !== undefined && found.product !== scope))
      throw new DomainError('reservation.not_found', 'no such reservation; ended ones are kept for a week')
    return found
  }

  return {
    async reserve(question) {
      const now = clock.now()
      const found = await deps.findHolders(question, 'consume')
      if (found.holders.length === 0) return { ...refusedAnswer(question, found), reservation: undefined }
      let refused: ReserveAnswer | undefined
      for (const holder of await knownFirst(deps, found.holders, question)) {
        const dimension = countedDimension(holder.product, question.dimension)
        const quantity = quantityOf(question, dimension)
        const limits = limitsOf(holder, dimension, now)
        const answer = (reason: QuotaAnswer['reason'], counters: readonly Counter[], isRepeat = false) =>
          toAnswer(found, holder, dimension, quantity, { reason, limits: limits ?? [], counters, isRepeat })
        if (limits === undefined || (holder.trialEndsAt !== undefined && now >= holder.trialEndsAt)) {
          const reason = limits === undefined ? 'not_entitled' : 'trial_ended'
          refused ??= { ...answer(reason, []), reservation: undefined }
          continue
        }
        const key = useKey(holder, dimension.key, question.id)
        const { status, counters, reservation } = await quotas.reserve(
          { key, dimension: dimension.key, quantity, gate: { holder: holder.id, limits } },
          {
            id: reservationId(key),
            product: holder.product.id,
            createdAt: now,
            expiresAt: now + Math.min(question.forMs, RESERVED_MS_MAX),
          },
        )
        if (status === 'conflict') throw conflict(question.id)
        if (status !== 'exceeded')
          return { ...answer(undefined, counters, status === 'repeated'), reservation }
        refused ??= { ...answer('quota_exceeded', counters), reservation: undefined }
      }
      return refused!
    },

    async settle(id, quantity, scope) {
      const found = await find(id, scope)
      const holder = await holderOfReservation(deps, found)
      const dimension = countedDimension(holder.product, found.dimension)
      const used = quantityOf({ quantity }, dimension)
      if (used > found.quantity)
        throw new DomainError(
          'request.invalid',
          `more than is reserved (${baseText(found.quantity, dimension.scale)}): reserve the most that it may take`,
        )
      const limits = limitsOfReservation(found, holder, dimension)
      // Its own, whoever has taken over since: what is held is held there.
      const gate = { holder: found.holder, limits }
      if (!dimension.isMetered || holder.subscription === undefined) {
        const outcome = await quotas.settle(id, used, { gate, dimension: dimension.key }, clock.now())
        if (outcome?.status === 'conflict') throw ended(outcome.reservation)
        const { status, reservation } = outcome!
        return {
          reservation,
          holder,
          limits,
          isSettled: status === 'settled',
          scale: dimension.scale,
          recordId: undefined,
          unbilled: undefined,
        }
      }
      const [outcome] = await deps.ingest([
        {
          product: holder.product.id,
          reference: { subscriptionId: found.holder },
          dimension: dimension.key,
          id,
          source: sourceOf(found.holder),
          // It was used when it was allowed.
          time: found.createdAt,
          quantity: baseText(used, dimension.scale),
          gate: { ...gate, reservation: id },
        },
      ])
      const { status, code, reason, meteringRecordId } = outcome!
      const reservation = await find(id, scope)
      if (status === 'conflict') throw ended(reservation)
      // What nobody can be billed for any more is settled, kept, and shown as unbillable.
      const isSettled = reservation.state === 'settled'
      if (status === 'refused' && code !== 'quota_exceeded' && !isSettled)
        throw new DomainError('reservation.ended', reason ?? 'this cannot be metered any more')
      return {
        reservation,
        holder,
        limits,
        isSettled,
        scale: dimension.scale,
        recordId: meteringRecordId,
        unbilled: isSettled ? whyUnbilled(holder, status === 'refused' ? reason : undefined) : undefined,
      }
    },

    async release(id, scope) {
      const found = await find(id, scope)
      const { product } = await holderOfReservation(deps, found)
      const { scale } = countedDimension(product, found.dimension)
      return { reservation: (await quotas.release(id, clock.now()))!, scale }
    },
  }
}

/** @param refused - why AWS takes it no more */
function whyUnbilled({ canBeBilled }: Holder, refused: string | undefined): string | undefined {
  return canBeBilled ? refused : NOT_BY_USE
}

function ended({ id, state, used }: Reservation): DomainError {
  return new DomainError(
    'reservation.ended',
    state === 'settled'
      ? `reservation ${id} was settled with another quantity (${used} base units)`
      : `reservation ${id} was released`,
  )
}

async function holderOfReservation(
  deps: { readonly checkAccess: CheckAccess; readonly catalog: ProductCatalog },
  { holder, product, createdAt }: Reservation,
): Promise<Holder> {
  // Its own windows count: nothing else of the visitor has to be known.
  if (isVisitorId(holder))
    return visitorHolder(
      productOfVisitor(deps.catalog, product),
      { id: holder, firstSeenAt: createdAt },
      createdAt,
    )
  const { access } = await deps.checkAccess({ reference: { subscriptionId: holder }, product })
  return holderOf(access.subject)
}

/** Its own windows, with the limits of now: for what comes after it expired. */
function limitsOfReservation(
  { windows }: Reservation,
  holder: Holder,
  dimension: CountedDimension,
): readonly CountedLimit[] {
  const limits = planLimits(holder, dimension) ?? []
  return windows.map((span) => {
    const limit = limits.find(({ window }) => window === span.window)
    return { ...span, max: limit?.max, blocks: limit?.blocks ?? false }
  })
}
