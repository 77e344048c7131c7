import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError } from '../../domain/error.ts'

/** Pauses between tries of one step, growing, until they were too many. */
export interface Patience {
  /** @throws {DomainError} `ledger.busy` where the step has waited long enough; its cause is `why` */
  pause(why: unknown): Promise<void>
}

const FIRST_MS = 10
const LONGEST_MS = 1_000

/**
 * Pauses of random length, so that those who met do not meet again.
 *
 * @param budgetMs - from now on; by the machine's clock, since what is waited for is real
 */
export function createPatience(budgetMs: number): Patience {
  const end = performance.now() + budgetMs
  let pauses = 0
  return {
    async pause(why) {
      if (performance.now() >= end) {
        throw new DomainError('ledger.busy', 'the ledger is busy: try again in a moment', { cause: why })
      }
      const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(pauses, 10))
      pauses++
      await sleep(most * (0.2 + 0.8 * Math.random()))
    },
  }
}
