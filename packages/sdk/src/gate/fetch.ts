import { remember } from './admitted.ts'
import { createGate, type Gate, type GateOptions, type Seen } from './gate.ts'
import { leaveAtEnd } from './leave-at-end.ts'

export { admittedOf } from './admitted.ts'
export type { Admitted, GateOptions } from './gate.ts'
export type { GateErrorSubject } from './leaving.ts'

export interface FetchGateOptions<Rest extends readonly unknown[] = readonly unknown[]>
  extends GateOptions<Request> {
  /** Of who asks without a key. A `Request` does not know it: without this, every request needs a key. */
  readonly visitorAddress?: ((request: Request, ...rest: Rest) => string | undefined) | undefined
}

/**
 * Stands before a fetch-style handler: of Hono, Workers, Deno, Bun, a Lambda function URL. In the handler,
 * `admittedOf(request)` says who it is. The end of the answer waits until its reservation is on file, and was tried once to be
 * settled, for `timeoutMs` at most: some platforms do nothing after it.
 */
export function fetchGate<Rest extends readonly unknown[]>(
  options: FetchGateOptions<Rest>,
  handler: (request: Request, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  const gate = createGate(options)
  return async (request, ...rest) => {
    const address = options.visitorAddress?.(request, ...rest)
    return await passing(gate, options, request, address, async () => handler(request, ...rest))
  }
}

/** The part of Hono's context that is used. */
export interface HonoContextLike {
  readonly req: { readonly raw: Request }
  res: Response
  header(name: string, value: string): void
}

/** For Hono: `app.use('/api/*', honoGate({…}))`. In a handler behind it, `admittedOf(c.req.raw)` says who it is. */
export function honoGate<C extends HonoContextLike = HonoContextLike>(
  options: GateOptions<Request> & {
    /** Of who asks without a key; without this, every request needs a key. */
    readonly visitorAddress?: ((context: C) => string | undefined) | undefined
  },
): (context: NoInfer<C>, next: () => Promise<void>) => Promise<Response | undefined> {
  const gate = createGate(options)
  return async (context, next) => {
    const request = context.req.raw
    const entry = await gate.enter(request, seenOf(request, options.visitorAddress?.(context)))
    if (!entry.pass) return refusalOf(entry)
    remember(request, entry.admitted)
    try {
      await next()
    } catch (error) {
      await entry.leave(500)
      throw error
    }
    const response = await leaveAtEnd(request, context.res, entry, options)
    if (response !== context.res) context.res = response
    for (const [name, value] of Object.entries(entry.headers)) context.header(name, value)
    return undefined
  }
}

async function passing(
  gate: Gate<Request>,
  options: GateOptions<Request>,
  request: Request,
  address: string | undefined,
  handle: () => Promise<Response>,
): Promise<Response> {
  const entry = await gate.enter(request, seenOf(request, address))
  if (!entry.pass) return refusalOf(entry)
  remember(request, entry.admitted)
  let response: Response
  try {
    response = await handle()
  } catch (error) {
    await entry.leave(500)
    throw error
  }
  return withHeaders(await leaveAtEnd(request, response, entry, options), entry.headers)
}

function refusalOf({
  problem,
  status,
  headers,
}: {
  problem: object
  status: number
  headers: Record<string, string> | Readonly<Record<string, string>>
}): Response {
  return new Response(JSON.stringify(problem), { status, headers: { ...headers } })
}

function withHeaders(response: Response, headers: Readonly<Record<string, string>>): Response {
  // A protocol upgrade cannot be copied, and carries no such headers.
  if (response.status === 101 || Object.keys(headers).length === 0) return response
  // The headers of what was fetched from elsewhere cannot be changed.
  const copy = new Response(response.body, response)
  for (const [name, value] of Object.entries(headers)) copy.headers.set(name, value)
  return copy
}

function seenOf(request: Request, address: string | undefined): Seen {
  return {
    method: request.method,
    path: new URL(request.url).pathname,
    header: (name) => request.headers.get(name) ?? undefined,
    address,
  }
}
