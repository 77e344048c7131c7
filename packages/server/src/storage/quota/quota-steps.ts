import type { Exchange, QuotaStore } from '../../domain/quotas/quota-store.ts'
import type { Asked } from './counters.ts'
import { type GateBook, judgeReservation } from './gate-book.ts'

/**
 * One step of a store: loads what gates may ask for, so that nobody else changes it meanwhile, judges, and writes what that came
 * to; all of it or nothing.
 *
 * @param ids - of reservations that are to be made or ended
 */
export type QuotaStep = <T>(
  asked: readonly Asked[],
  now: number,
  ids: readonly string[],
  judge: (book: GateBook) => T,
) => Promise<T>

/** What every store does in the same way. */
export function quotaSteps(step: QuotaStep): Pick<QuotaStore, 'exchange' | 'reserve' | 'settle' | 'release'> {
  return {
    exchange: (exchange, now) => {
      const asked = askedBy(exchange)
      return step([asked], now, [], (book) => exchangeOn(book, asked, exchange, now))
    },
    reserve: (admission, reservation) =>
      step([admission], reservation.createdAt, [reservation.id], (book) =>
        judgeReservation(book, admission, reservation),
      ),
    settle: (id, used, { gate, dimension }, now) =>
      step([{ gate, dimension }], now, [id], (book) => book.settle(id, used, gate, now)),
    release: (id, now) => step([], now, [id], (book) => book.release(id)),
  }
}

/** The one limit that a slice is taken of. */
export function askedBy({ key: { holder, dimension, window, start }, max, end }: Exchange): Asked {
  return { gate: { holder, limits: [{ window, start, end, max, blocks: true }] }, dimension }
}

export function exchangeOn(book: GateBook, asked: Asked, { giveBack, want, least }: Exchange, now: number) {
  book.giveBack(asked, giveBack)
  const granted = book.take(asked, want, least, now)
  return { granted, counter: book.counters(asked)[0]! }
}
