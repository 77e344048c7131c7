import { DomainError } from '../../domain/error.ts'

/** How long all tries of one step together take before the caller is told. */
const TRY_FOR_MS = 15_000
const PAUSE_MAX_MS = 250

const SERIALIZATION_FAILURE = '40001'
const DEADLOCK = '40P01'
const UNIQUE_VIOLATION = '23505'

/** The server could not be reached, takes no changes at the moment (25006), or the session ended. */
const UNREACHABLE =
  /^(08\w{3}|25006|57P0[1-5]|53300|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/
/** No such user, a wrong password, no such database. */
const LOGIN = /^(28\w{3}|3D000)$/
const LOST =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Query read timeout/i

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}

/** Two transactions got in each other's way, and this one was undone: to be run again. */
export function isConflict(error: unknown): boolean {
  const code = codeOf(error)
  return code === SERIALIZATION_FAILURE || code === DEADLOCK
}

/** Two wrote what there can be one of: who is run again finds the other's. */
export function isDuplicate(error: unknown): boolean {
  return codeOf(error) === UNIQUE_VIOLATION
}

/** The server could not be reached, or the session ended: whatever was under way is undone, unless it was being committed. */
export function isUnreachable(error: unknown): boolean {
  return UNREACHABLE.test(codeOf(error)) || LOST.test(messageOf(error))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/**
 * What waits between the tries of one step: longer each time, and each process differently.
 *
 * @throws {DomainError} `ledger.busy` when it has been tried for long enough
 */
export function createBackOff(): (error: unknown) => Promise<void> {
  const startedAt = performance.now()
  let tries = 0
  return async (error) => {
    if (performance.now() - startedAt > TRY_FOR_MS)
      throw new DomainError(
        'ledger.busy',
        'others change the same part of the ledger all the time; try again',
        {
          cause: error,
        },
      )
    const pause = Math.min(PAUSE_MAX_MS, 2 ** ++tries) * (0.5 + Math.random())
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}

/**
 * An error as callers know it.
 *
 * @param name - of the database, without credentials
 */
export function toLedgerError(error: unknown, name: string): unknown {
  if (error instanceof DomainError) return error
  const code = codeOf(error)
  const busy = (text: string) => new DomainError('ledger.busy', text, { cause: error })
  if (code === '55P03') return busy(`another process holds what this needs in ${name}; try again`)
  if (code === '57014') return busy(`a statement took too long in ${name} and was stopped; try again`)
  if (code === '25P03') return busy(`a change took too long in ${name} and was undone; try again`)
  if (isUnreachable(error))
    return busy(
      `the database at ${name} is not reached (${code || messageOf(error)}); nothing was changed, try again`,
    )
  if (LOGIN.test(code))
    return new Error(
      `the database at ${name} does not let us in: ${messageOf(error)}; check the user, password and database of store.url`,
      { cause: error },
    )
  return error
}
