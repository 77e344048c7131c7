import type { IncomingMessage, ServerResponse } from 'node:http'
import { remember } from './admitted.ts'
import { createGate, type GateOptions } from './gate.ts'
import { seenOf } from './node-request.ts'

export { admittedOf } from './admitted.ts'
export type { Admitted, GateOptions } from './gate.ts'
export type { GateErrorSubject } from './leaving.ts'

/** The part of Fastify's request that is used. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage
  readonly url: string
}

/** The part of Fastify's reply that is used. */
export interface FastifyReplyLike {
  readonly raw: ServerResponse
  code(status: number): unknown
  header(name: string, value: string): unknown
  send(body: string): unknown
}

export interface FastifyGateOptions<R> extends GateOptions<R> {
  /** Of who asks without a key. Default: the connection's other end; behind a proxy that you trust, e.g. `(request) => request.ip`. */
  readonly visitorAddress?: ((request: R) => string | undefined) | undefined
}

/**
 * A hook: `app.addHook('onRequest', fastifyGate({…}))`, or of one route. As `preHandler` where the quantity is told by the body.
 * In a handler behind it, `admittedOf(request)` says who it is.
 */
export function fastifyGate<R extends FastifyRequestLike = FastifyRequestLike>(
  options: FastifyGateOptions<R>,
): (request: NoInfer<R>, reply: FastifyReplyLike) => Promise<unknown> {
  const gate = createGate(options)
  return async (request, reply) => {
    const { visitorAddress = ({ raw }: R) => raw.socket.remoteAddress } = options
    const entry = await gate.enter(request, seenOf(request.raw, request.url, visitorAddress(request)))
    for (const [name, value] of Object.entries(entry.headers)) reply.header(name, value)
    if (entry.pass && reply.raw.destroyed) {
      // Nobody is there any more: nothing is done, and nothing that was held is used.
      await entry.leave(500)
      reply.send('')
      return reply
    }
    if (entry.pass) {
      remember(request, entry.admitted)
      reply.raw.once('close', () => void entry.leave(reply.raw.statusCode))
      return undefined
    }
    reply.code(entry.status)
    reply.send(JSON.stringify(entry.problem))
    return reply
  }
}
