import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

/** Names a process among all that share a store, also where several containers are called the same: `host-pid-random`. */
export function createNodeId(): string {
  return `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`
}
