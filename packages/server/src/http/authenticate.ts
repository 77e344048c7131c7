import type { FastifyReply, FastifyRequest } from 'fastify'
import type { KeyScope, ServiceKey } from '../domain/keys/service-key.ts'
import type { ServiceKeyVerifier } from '../domain/keys/verify-service-key.ts'
import type { RequestLimits } from './limits/request-limits.ts'
import { DoorError } from './problem.ts'

/**
 * Who may call a route. Every route says so, or the app does not start.
 *
 * - a scope: a service key that has it
 * - `public`: anybody
 * - `loopback`: anybody on this machine
 */
export type Access = KeyScope | 'public' | 'loopback'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    /** The key that was shown; undefined on public routes. */
    serviceKey: ServiceKey | undefined
  }
  interface FastifyInstance {
    /** Call its `invalidate` after a revocation. */
    keyVerifier: ServiceKeyVerifier
    /** For a public route that takes a key among other proofs. @throws {DoorError} */
    requireKey: (request: FastifyRequest, scope: KeyScope) => Promise<ServiceKey>
    /** Every route with who may call it, for the tests that walk them. */
    routeTable: readonly { readonly method: string; readonly url: string; readonly access: Access }[]
  }
}

/** Who may report or read usage may as well ask who may use what. */
const INCLUDED_IN: Partial<Record<KeyScope, readonly KeyScope[]>> = {
  'access:check': ['usage:read', 'usage:write'],
}

const BEARER = /^Bearer +(\S+) *$/i
/** Any of these says that somebody else sent it here. */
const FORWARDED = [
  'x-forwarded-for',
  'forwarded',
  'x-real-ip',
  'x-forwarded-host',
  'x-forwarded-proto',
  'via',
] as const
const LOOPBACK = /^(?:::1|(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/

/**
 * Lets a request in, or throws. Whoever shows a key is limited by the key alone, and by no failures of others: behind a
 * proxy or a company's gateway one address is many callers.
 *
 * @throws {DoorError} `key.unknown`, `key.scope_missing`, `request.too_many`, `request.loopback_only`
 */
export async function authorize(
  request: FastifyRequest,
  reply: FastifyReply,
  verifier: ServiceKeyVerifier,
  limits: RequestLimits,
): Promise<void> {
  const { access } = request.routeOptions.config
  if (access === undefined || access === 'public' || access === 'loopback') {
    if (access === 'loopback') checkLoopback(request)
    limits.admitAddress(request, reply) // undefined: no such route
    return
  }
  request.serviceKey = await requireKey(request, access, verifier, limits)
  limits.admitKey(request, reply, request.serviceKey)
}

/**
 * The key that a request shows, with a scope: for routes that take other proofs as well.
 *
 * @throws {DoorError} `key.unknown`, `key.scope_missing`, `request.too_many`
 */
export async function requireKey(
  request: FastifyRequest,
  scope: KeyScope,
  verifier: ServiceKeyVerifier,
  limits: RequestLimits,
): Promise<ServiceKey> {
  const secret = BEARER.exec(request.headers.authorization ?? '')?.[1]
  const key = secret === undefined ? undefined : await verify(secret, request, verifier, limits)
  if (key === undefined) {
    limits.noteFailure(request)
    throw new DoorError(
      'key.unknown',
      secret === undefined
        ? 'show a service key: Authorization: Bearer tk_… (tollkeeper key create)'
        : 'this service key is not known here, or was revoked',
      { 'www-authenticate': secret === undefined ? 'Bearer' : 'Bearer error="invalid_token"' },
    )
  }
  if (!grants(key, scope)) {
    throw new DoorError('key.scope_missing', `this needs a key with the scope ${scope}`, {
      'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"`,
    })
  }
  return key
}

async function verify(
  secret: string,
  request: FastifyRequest,
  verifier: ServiceKeyVerifier,
  limits: RequestLimits,
): Promise<ServiceKey | undefined> {
  let lookedUp: string | undefined
  const admit = (hash: string) => {
    limits.admitLookUp(request, hash)
    lookedUp = hash
  }
  let isBad = false
  try {
    const key = await verifier.verify(secret, admit)
    isBad = key === undefined
    return key
  } finally {
    if (lookedUp !== undefined && !isBad) limits.forgiveLookUp(request, lookedUp)
  }
}

function grants({ scopes }: ServiceKey, wanted: KeyScope): boolean {
  return (
    scopes.includes(wanted) ||
    scopes.includes('admin') ||
    (INCLUDED_IN[wanted]?.some((scope) => scopes.includes(scope)) ?? false)
  )
}

/**
 * By the socket's address; a request that says it was forwarded, or that was sent to another name, is not from this machine,
 * whoever carried it here: a proxy beside us has our address too.
 */
function checkLoopback(request: FastifyRequest): void {
  const forwarded = FORWARDED.map((name) => request.headers[name]).find((value) => value !== undefined)
  if (
    !LOOPBACK.test(request.socket.remoteAddress ?? '') ||
    forwarded !== undefined ||
    !isLoopbackHost(request.hostname)
  ) {
    throw new DoorError('request.loopback_only', 'this is answered on the machine itself only')
  }
}

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '' || LOOPBACK.test(host.replace(/^\[|\]$/g, ''))
}
