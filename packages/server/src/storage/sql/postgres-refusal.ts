import pg from 'pg'

/** The server has trouble of its own, or ends the session: what it was told last may be done or not. */
const IN_TROUBLE = /^(08\w{3}|53\w{3}|57P0\w|58\w{3}|XX\w{3})$/

/**
 * The server itself refused what it was told, so that it was not done. Told by the code: the severity is in the server's own
 * language.
 */
export function isRefused(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !IN_TROUBLE.test(error.code ?? '')
}
