import { randomBytes } from 'node:crypto'

/** Ids that no other process gives: a random start and a counter. A caller's own are not taken, since they end in our log. */
export function createRequestId(): () => string {
  const start = randomBytes(6).toString('hex')
  let count = 0
  return () => `${start}-${(++count).toString(36)}`
}
