import type { Client } from '../client/create-client.ts'
import type { Clock } from '../clock.ts'
import { excessOf } from '../settlements/quantity.ts'
import type { Settlement, Unsettled } from '../settlements/settlement.ts'
import { type Settlements, startSettlements } from '../settlements/settlements.ts'
import { whyUnsettled } from '../settlements/try-settlement.ts'

type Quantity = number | string

/** What an error of the gate is about; empty where it could not ask. */
export interface GateErrorSubject {
  readonly reservation?: string
  /** That is not settled. */
  readonly quantity?: Quantity
}

/** What becomes of reservations when the answer is sent. */
export interface Leaving {
  /** Resolves when it is kept, and was tried once, within the gate's time. Never rejects. */
  leave(what: {
    readonly reservation: string
    readonly held: Quantity
    readonly used: Quantity
  }): Promise<void>
}

export function createLeaving(options: {
  readonly client: Partial<Pick<Client, 'settleReservation' | 'releaseReservation'>>
  readonly settlements: Pick<Settlements, 'add'> | undefined
  readonly timeoutMs: number
  readonly onError: (error: unknown, about: GateErrorSubject) => void
  readonly clock: Clock
}): Leaving {
  const { client, timeoutMs, onError, clock } = options
  const settleReservation: Client['settleReservation'] = (...question) => {
    if (client.settleReservation === undefined) throw new TypeError('reserve: this client cannot settle')
    return client.settleReservation(...question)
  }
  const settlements =
    options.settlements ??
    startSettlements({
      client: { settleReservation },
      onUnsettled: (all) => {
        for (const one of all) tellUnsettled(one)
      },
      onError,
      clock,
    })

  function tellUnsettled({ reservation, quantity, reason, detail = reason }: Unsettled): void {
    onError(new Error(`reservation ${reservation}: ${quantity} are not billed: ${detail} (${reason})`), {
      reservation,
      quantity,
    })
  }

  async function release(reservation: string): Promise<void> {
    try {
      const signal = AbortSignal.timeout(timeoutMs)
      await client.releaseReservation?.({ reservationId: reservation }, { timeoutMs, signal })
    } catch (error) {
      // It expires by itself.
      onError(error, { reservation })
    }
  }

  async function settle(settlement: Settlement): Promise<void> {
    try {
      return await settlements.add(settlement, { tryForMs: timeoutMs })
    } catch (error) {
      onError(error, settlement)
    }
    // Nobody keeps it: now or never.
    const { reservation, quantity } = settlement
    try {
      const signal = AbortSignal.timeout(timeoutMs)
      const answer = await settleReservation(
        { reservationId: reservation },
        { quantity },
        { timeoutMs, signal },
      )
      const unsettled = whyUnsettled(settlement, answer)
      if (unsettled !== undefined) tellUnsettled(unsettled)
    } catch (error) {
      onError(error, settlement)
    }
  }

  return {
    async leave({ reservation, held, used }) {
      if (Number(used) === 0) return await release(reservation)
      const excess = excessIn(used, held)
      if (excess !== undefined) {
        const message = `reservation ${reservation}: ${used} were used, and ${held} reserved: ${excess} are not billed; reserve the most that it may take`
        onError(new RangeError(message), { reservation, quantity: excess })
      }
      await settle({ reservation, quantity: excess === undefined ? used : held })
    },
  }
}

function excessIn(used: Quantity, held: Quantity): string | undefined {
  try {
    return excessOf(used, held)
  } catch {
    return undefined // whoever settles it says what is wrong with it
  }
}
