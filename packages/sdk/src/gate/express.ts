import type { IncomingMessage, ServerResponse } from 'node:http'
import { remember } from './admitted.ts'
import { createGate, type GateOptions } from './gate.ts'
import { seenOf } from './node-request.ts'

export { admittedOf } from './admitted.ts'
export type { Admitted, GateOptions } from './gate.ts'
export type { GateErrorSubject } from './leaving.ts'

export interface ExpressGateOptions<R> extends GateOptions<R> {
  /** Of who asks without a key. Default: the connection's other end; behind a proxy that you trust, e.g. `(request) => request.ip`. */
  readonly visitorAddress?: ((request: R) => string | undefined) | undefined
}

/** For Express, Connect, and `node:http` alike. In a handler behind it, `admittedOf(request)` says who it is. */
export function expressGate<R extends IncomingMessage = IncomingMessage>(
  options: ExpressGateOptions<R>,
): (request: NoInfer<R>, response: ServerResponse, next: (error?: unknown) => void) => void {
  const gate = createGate(options)
  return (request, response, next) => {
    const { visitorAddress = ({ socket }: R) => socket.remoteAddress } = options
    const url = 'originalUrl' in request ? String(request.originalUrl) : (request.url ?? '/')
    const pass = async () => {
      const entry = await gate.enter(request, seenOf(request, url, visitorAddress(request)))
      for (const [name, value] of Object.entries(entry.headers)) response.setHeader(name, value)
      if (entry.pass && response.destroyed) {
        // Nobody is there any more: nothing is done, and nothing that was held is used.
        await entry.leave(500)
        return false
      }
      if (entry.pass) {
        remember(request, entry.admitted)
        response.once('close', () => void entry.leave(response.statusCode))
        return true
      }
      response.statusCode = entry.status
      response.end(JSON.stringify(entry.problem))
      return false
    }
    // What the next ones throw is not about us.
    pass().then((hasPassed) => hasPassed && next(), next)
  }
}
