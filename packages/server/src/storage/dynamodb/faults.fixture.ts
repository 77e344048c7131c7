import { DomainError } from '../../domain/error.ts'
import type { Operations, Requests } from './requests.ts'

/** What happens to one request. */
export type Fault =
  /** The process dies before it is sent, or after it was done. */
  | 'dies before'
  | 'dies after'
  /** The connection is cut before it arrives, or after it was done. */
  | 'lost before'
  | 'lost after'
  | { readonly refusedAs: string; readonly reasons?: readonly string[]; readonly status?: number }

/**
 * Stands between a table and the engine.
 *
 * @param decide - what happens to the n-th write, from 1; undefined: nothing
 */
export function withFaults(decide: (write: number, name: keyof Operations) => Fault | undefined) {
  let writes = 0
  let isDead = false
  const through = (requests: Requests): Requests => ({
    async send(name, input) {
      if (isDead) throw died()
      const isWrite = !['GetItem', 'BatchGetItem', 'TransactGetItems', 'Query'].includes(name)
      const fault = isWrite ? decide(++writes, name) : undefined
      if (typeof fault === 'object') throw awsError(fault)
      if (fault === 'dies before') isDead = true
      if (fault === 'dies before') throw died()
      if (fault === 'lost before') throw cut()
      const answer = await requests.send(name, input).catch((error) => {
        if (fault === undefined) throw error
      })
      if (fault === 'dies after') isDead = true
      if (isDead) throw died()
      if (fault === 'lost after') throw cut()
      return answer as Operations[typeof name]['output']
    },
  })
  return {
    through,
    get writes() {
      return writes
    },
    get isDead() {
      return isDead
    },
  }
}

function died(): Error {
  return new DomainError('ledger.busy', 'this process is dead')
}

function cut(): Error {
  return Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
}

function awsError({ refusedAs, reasons, status = 400 }: Exclude<Fault, string>): Error {
  return Object.assign(new Error(`said by a test: ${refusedAs}`), {
    name: refusedAs,
    $metadata: { httpStatusCode: status },
    ...(reasons !== undefined && { CancellationReasons: reasons.map((Code) => ({ Code })) }),
  })
}
