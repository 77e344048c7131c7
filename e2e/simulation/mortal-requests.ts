import type { Operations, Requests } from '../../packages/server/src/storage/dynamodb/requests.ts'
import { Crash, type Life } from './life.ts'

const WRITES: ReadonlySet<keyof Operations> = new Set([
  'PutItem',
  'UpdateItem',
  'DeleteItem',
  'TransactWriteItems',
])

/** One process's way to DynamoDB, and the end of all that it had under way there. */
export interface MortalRequests extends Requests {
  /** A port on it: its calls end with the process. */
  port<Port extends object>(port: Port): Port
}

/**
 * DynamoDB as a mortal process reaches it: it may die before a request that writes, or after it before the answer. So it
 * also dies half-way through what takes many requests, and nothing of it is left that could tidy up: from then on no
 * request of it is sent, and none is answered.
 */
export function mortalRequests(requests: Requests, life: Life): MortalRequests {
  const gone = Promise.withResolvers<never>()
  // Nobody may be waiting when it dies.
  gone.promise.catch(() => undefined)
  const silence = new Promise<never>(() => {})

  /** @returns whether it lives on */
  function survives(): boolean {
    try {
      life.point()
      return true
    } catch (error) {
      gone.reject(error)
      return false
    }
  }

  return {
    async send(name, input) {
      const isWrite = WRITES.has(name)
      if (isWrite) await life.pause()
      if (life.dead || (isWrite && !survives())) return silence
      const sent = requests.send(name, input)
      await sent.catch(() => undefined)
      if (life.dead || (isWrite && !survives())) return silence
      return sent
    },
    port: (port) =>
      new Proxy(port, {
        get(target, name, receiver) {
          const value: unknown = Reflect.get(target, name, receiver)
          if (typeof value !== 'function') return value
          return (...call: readonly unknown[]) =>
            life.dead
              ? Promise.reject(new Crash())
              : Promise.race([gone.promise, Reflect.apply(value, target, call)])
        },
      }),
  }
}
