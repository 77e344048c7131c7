import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import SerializerSelector from '@fastify/fast-json-stringify-compiler'
import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import underPressure from '@fastify/under-pressure'
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  fastify,
  LogController,
  type RawServerDefault,
} from 'fastify'
import { createServiceKeyVerifier } from '../domain/keys/verify-service-key.ts'
import { type Access, authorize, requireKey } from './authenticate.ts'
import { compileOnce } from './compile-once.ts'
import { type HttpDeps, OVERLOAD_DELAY_MS } from './deps.ts'
import { describeWebhooks, EVENT_SCHEMAS } from './describe-webhooks.ts'
import { partValidators } from './part-validators.ts'
import { answerError, DoorError, sendProblem, toProblem } from './problem.ts'
import { createRequestId } from './request-id.ts'
import { auditRoutes } from './routes/audit.ts'
import { buyerRoutes } from './routes/buyers.ts'
import { conversionRoutes } from './routes/conversions.ts'
import { deliveryRoutes } from './routes/deliveries.ts'
import { docsRoutes } from './routes/docs.ts'
import { entitlementRoutes } from './routes/entitlements.ts'
import { KeyBody } from './routes/keys/key-body.ts'
import { keyRoutes } from './routes/keys.ts'
import { ledgerRoutes } from './routes/ledger.ts'
import { mailboxRoutes } from './routes/mailbox.ts'
import { marketplaceEventRoutes } from './routes/marketplace-events.ts'
import { meterRoutes } from './routes/meter.ts'
import { operationsRoutes } from './routes/operations.ts'
import { productRoutes } from './routes/products.ts'
import { quotaRoutes } from './routes/quota.ts'
import { registrationRoutes } from './routes/registration.ts'
import { SUBSCRIPTION_SCHEMAS } from './routes/subscriptions/subscription-body.ts'
import { subscriptionRoutes } from './routes/subscriptions.ts'
import { usageRoutes } from './routes/usage.ts'
import { webhookRoutes } from './routes/webhook.ts'
import { CloudEventBody, Problem, problems, UsageEventBody, UsageOutcome } from './schemas.ts'

export type HttpApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** Bodies are at most this large: a batch of usage. */
const BODY_BYTES_MAX = 1_048_576
/** So often the event loop's delay is looked at, ms. */
const SAMPLE_MS = 1_000
/** A whole request must have arrived by then: else slow senders hold sockets for nothing. */
const REQUEST_TIMEOUT_MS = 30_000

/**
 * The HTTP API, ready to `listen` or `inject`. It owns no adapter: closing it leaves stores as they are.
 *
 * After a key is revoked in this process, call `app.keyVerifier.invalidate()`.
 */
export async function createHttpApp(deps: HttpDeps): Promise<HttpApp> {
  const app = fastify({
    loggerInstance: deps.logger,
    // A child logger for each request costs as much as the rest of routing; lines carry `reqId` instead.
    childLoggerFactory: (logger) => logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: createRequestId(),
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Whoever stops this server has told the balancer before; a request that comes all the same is answered.
    return503OnClosing: false,
    trustProxy: deps.trustProxy === undefined ? false : [...deps.trustProxy],
    routerOptions: { maxParamLength: 255 },
    schemaController: {
      compilersFactory: {
        buildSerializer: compileOnce('serializers', SerializerSelector()),
        buildValidator: partValidators(),
      },
    },
    ajv: {
      customOptions: {
        removeAdditional: false, // a misspelt filter must not answer with everything
        // Of text alone: see `partValidators`.
        coerceTypes: true,
        useDefaults: true,
        strictNumbers: false, // else `maximum` is not checked of what was coerced to Infinity
        // Our own schemas need no check against JSON Schema's own: to compile that is a tenth of a start.
        meta: false,
        validateSchema: false,
      },
    },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    clientErrorHandler: answerBrokenRequest,
  }).withTypeProvider<TypeBoxTypeProvider>()

  const verifier = createServiceKeyVerifier(deps)
  app.decorate('keyVerifier', verifier)
  app.decorateRequest('serviceKey', undefined)
  collectRoutes(app)
  askBeforeChanges(app, deps.mayChange)

  const overloadDelayMs = deps.overloadDelayMs ?? OVERLOAD_DELAY_MS
  if (overloadDelayMs > 0)
    await app.register(underPressure, {
      maxEventLoopDelay: overloadDelayMs,
      // A sample in which the loop never turned counts as an endless delay: it must not be shorter than what is allowed.
      sampleInterval: Math.max(SAMPLE_MS, overloadDelayMs),
      retryAfter: 5,
    })
  const { limits } = deps
  app.decorate('requireKey', (request, scope) => requireKey(request, scope, verifier, limits))
  app.addHook('onRequest', (request, reply) => authorize(request, reply, verifier, limits))
  if (deps.logRequests) logRequests(app)

  app.setErrorHandler(answerError)
  app.setNotFoundHandler((request, reply) => {
    const allow = allowedMethods(app, request.url)
    const error =
      allow.length === 0
        ? new DoorError('request.not_found', 'no such address; /docs lists them')
        : new DoorError('request.method_not_allowed', `only ${allow.join(', ')} here`)
    if (allow.length > 0) reply.header('allow', allow.join(', '))
    return sendProblem(reply, toProblem(error, request.id))
  })

  for (const schema of [
    Problem,
    UsageEventBody,
    CloudEventBody,
    UsageOutcome,
    ...SUBSCRIPTION_SCHEMAS,
    KeyBody,
  ]) {
    app.addSchema(schema)
  }
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tollkeeper',
        version: deps.version,
        description: 'Usage metering for SaaS on AWS Marketplace: never lost, never billed twice.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      webhooks: describeWebhooks(),
      components: {
        schemas: EVENT_SCHEMAS,
        securitySchemes: {
          serviceKey: { type: 'http', scheme: 'bearer', description: '`tollkeeper key create` makes one.' },
        },
      },
      tags: [
        { name: 'usage', description: 'Report usage.' },
        { name: 'ledger', description: 'What became of it.' },
        { name: 'subscriptions', description: 'Who uses what.' },
        { name: 'quota', description: 'May this caller do this now?' },
        { name: 'buyers', description: 'Who buys.' },
        { name: 'products', description: 'What is sold, and on which plans.' },
        { name: 'keys', description: 'What your users show to your product.' },
        { name: 'events', description: 'What your systems are told, and whether it reached them.' },
        { name: 'operations', description: 'Health, metrics and this document.' },
      ],
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) => String(json.$id ?? `def-${index}`),
    },
  })

  await app.register(meterRoutes(deps))
  await app.register(usageRoutes(deps))
  await app.register(ledgerRoutes(deps))
  await app.register(subscriptionRoutes(deps))
  await app.register(entitlementRoutes(deps))
  await app.register(quotaRoutes(deps))
  await app.register(conversionRoutes(deps))
  await app.register(buyerRoutes(deps))
  await app.register(productRoutes(deps))
  await app.register(keyRoutes(deps))
  await app.register(deliveryRoutes(deps))
  await app.register(auditRoutes(deps))
  await app.register(registrationRoutes(deps))
  await app.register(webhookRoutes(deps))
  await app.register(marketplaceEventRoutes(deps))
  await app.register(mailboxRoutes(deps))
  await app.register(operationsRoutes(deps))
  await app.register(docsRoutes())
  await app.ready()
  return app
}

/** Keeps the table of routes, and does not let one in that has not said who may call it. */
export function collectRoutes(app: FastifyInstance): void {
  const table: { method: string; url: string; access: Access }[] = []
  app.decorate('routeTable', table)
  app.addHook('onRoute', (route) => {
    const access = route.config?.access
    if (access === undefined)
      throw new Error(`${String(route.method)} ${route.url} does not say who may call it`)
    for (const method of [route.method].flat()) table.push({ method, url: route.url, access })
    if (route.schema !== undefined && access !== 'public' && access !== 'loopback') {
      const response = { ...problems(429), ...(route.schema.response as object | undefined) }
      route.schema = { ...route.schema, response, security: [{ serviceKey: [access] }] }
    }
  })
}

const READING = ['GET', 'HEAD', 'OPTIONS']

/** What is acknowledged must not be lost: nothing is changed in a ledger that goes on elsewhere. */
function askBeforeChanges(app: HttpApp, mayChange: HttpDeps['mayChange']): void {
  app.addHook('onRoute', (route) => {
    const isReading = [route.method].flat().every((method) => READING.includes(method))
    // Usage and quotas are refused by their own writing, which costs no question.
    const asksItself = route.config?.access === 'usage:write' || route.url.startsWith('/quota/')
    if (isReading || asksItself) return
    route.preValidation = [async () => mayChange(), ...[route.preValidation ?? []].flat()]
  })
}

function allowedMethods(app: HttpApp, url: string): readonly string[] {
  const path = url.split('?', 1)[0]!
  return app.routeTable.filter((route) => matches(route.url, path)).map((route) => route.method)
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  return (
    wanted.length === given.length &&
    wanted.every((part, index) => (part.startsWith(':') ? given[index] !== '' : part === given[index]))
  )
}

function logRequests(app: HttpApp): void {
  app.addHook('onResponse', (request, reply, done) => {
    const { method, id: reqId, routeOptions } = request
    const ms = Math.round(reply.elapsedTime * 10) / 10
    request.log.info({ reqId, method, route: routeOptions.url, status: reply.statusCode, ms }, 'request')
    done()
  })
}

/** What is not even HTTP: answered on the raw socket, in the same form. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const problem = toProblem(
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? new DoorError('request.timeout', 'the request took too long to arrive')
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? new DoorError('request.too_large', 'the headers are too large')
        : new DoorError('request.broken', 'this is not HTTP as we understand it'),
    '',
  )
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\nContent-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
