import type { Client } from '../client/create-client.ts'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import type { Reservation } from '../generated/api.gen.ts'
import type { KeptSettlement, Settlement, Unsettled } from './settlement.ts'

/** An ended reservation is known to Tollkeeper for so long. */
const AGE_MS_MAX = 7 * 86_400_000
/** Tollkeeper’s refusals of this one settlement: time changes nothing. */
const FINAL: readonly number[] = [400, 404, 409, 410, 422]

/**
 * Settles a reservation, in one try.
 *
 * @returns why it will never be billed; undefined: it is settled
 * @throws where another try may change it
 */
export async function trySettlement(
  { reservation, quantity, at }: KeptSettlement,
  {
    client,
    now,
    signal,
  }: {
    readonly client: Pick<Client, 'settleReservation'>
    readonly now: number
    readonly signal: AbortSignal
  },
): Promise<Unsettled | undefined> {
  if (now - at > AGE_MS_MAX) return { reservation, quantity, reason: 'settlement.too_old' }
  try {
    const answer = await client.settleReservation(
      { reservationId: reservation },
      { quantity },
      { retries: 0, signal },
    )
    if (typeof answer.settled !== 'boolean')
      throw new Error(`${reservation}: the answer does not say whether it is settled`)
    return whyUnsettled({ reservation, quantity }, answer)
  } catch (error) {
    if (!isFinal(error)) throw error
    return { reservation, quantity, reason: error.code, detail: error.detail }
  }
}

/** @returns undefined: it is settled, and billed where it is to be */
export function whyUnsettled(
  { reservation, quantity }: Settlement,
  answer: Pick<Reservation, 'settled' | 'state' | 'billed' | 'recordId' | 'reason'>,
): Unsettled | undefined {
  const { settled, state, billed, recordId, reason } = answer
  if (!settled) {
    const detail = `it is ${state}, and there is no room for it any more`
    return { reservation, quantity, reason: 'reservation.expired', detail }
  }
  // Its subscription ended too long ago. What nobody pays by use for is not billed either, but that became a record as it should.
  if (billed === false && recordId === undefined)
    return { reservation, quantity, reason: 'reservation.unbillable', detail: reason }
  return undefined
}

/** What a proxy says is not about the reservation; nor is a 404 for the whole address. */
function isFinal(error: unknown): error is TollkeeperError {
  return (
    error instanceof TollkeeperError &&
    FINAL.includes(error.status) &&
    !error.code.startsWith('client.') &&
    error.code !== 'request.not_found'
  )
}
