import helmet from '@fastify/helmet'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { HttpDeps } from '../deps.ts'
import { html, PAGE_POLICY, page } from '../html.ts'
import { problems } from '../schemas.ts'

/** Answered under load too: whoever watches us must see that we live. */
const evenUnderPressure = { pressureHandler: () => undefined }
/** And however often: behind one address there may be a balancer and a flood. */
const probe = { ...evenUnderPressure, isProbe: true }

/** Health, readiness, metrics, the API's description and the front page. */
export function operationsRoutes(
  deps: Pick<HttpDeps, 'mode' | 'version' | 'metrics' | 'ready' | 'storefrontUrl' | 'catalog'>,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/health',
      {
        config: { access: 'public', ...probe },
        schema: {
          operationId: 'getHealth',
          summary: 'This process runs',
          tags: ['operations'],
          response: {
            200: Type.Object({
              status: Type.Literal('ok'),
              mode: Type.Enum(['simulated', 'shadow', 'live']),
              version: Type.String(),
            }),
          },
        },
      },
      async () => ({ status: 'ok' as const, mode: deps.mode, version: deps.version }),
    )

    const isReady = oneAtATime(deps.ready)
    const Ready = Type.Object({ ready: Type.Boolean(), checks: Type.Record(Type.String(), Type.String()) })
    app.get(
      '/ready',
      {
        config: { access: 'public', ...probe },
        schema: {
          operationId: 'getReadiness',
          summary: 'It can take requests now',
          tags: ['operations'],
          response: { 200: Ready, 503: Ready },
        },
      },
      async (_request, reply) => {
        const { ready, checks } = await isReady()
        return reply.code(ready ? 200 : 503).send({ ready, checks: { ...checks } })
      },
    )

    app.get(
      '/metrics',
      {
        config: { access: 'loopback', ...evenUnderPressure },
        schema: {
          operationId: 'getMetrics',
          summary: 'Prometheus metrics, on the machine itself only',
          tags: ['operations'],
          response: { 200: Type.String(), ...problems(403) },
        },
      },
      async (_request, reply) => reply.type(deps.metrics.contentType).send(await deps.metrics.text()),
    )

    let document: string | undefined
    app.get(
      '/openapi.json',
      {
        config: { access: 'public' },
        schema: { operationId: 'getOpenApi', summary: 'This document', tags: ['operations'] },
      },
      async (_request, reply) => {
        document ??= JSON.stringify(app.swagger())
        return reply.type('application/json; charset=utf-8').send(document)
      },
    )

    await app.register(async (scope) => {
      await scope.register(helmet, {
        contentSecurityPolicy: { useDefaults: false, directives: { ...PAGE_POLICY } },
      })
      scope.get('/', { config: { access: 'public' }, schema: { hide: true } }, async (request, reply) =>
        deps.mode === 'simulated'
          ? reply.type('text/html; charset=utf-8').send(frontPage(deps, request.host))
          : reply.redirect('/docs', 302),
      )
    })
  }
}

/** Whoever asks while it is found out gets that answer too. */
function oneAtATime<T>(find: () => Promise<T>): () => Promise<T> {
  let finding: Promise<T> | undefined
  return () => {
    finding ??= find().finally(() => {
      finding = undefined
    })
    return finding
  }
}

function frontPage(
  { version, storefrontUrl, catalog }: Pick<HttpDeps, 'version' | 'storefrontUrl' | 'catalog'>,
  host: string,
): string {
  const dimension = catalog.list()[0]?.dimensions[0]
  const quantity = dimension?.aggregation === 'count' ? '' : ' "quantity": 1,'
  return page({
    title: 'Tollkeeper runs, simulated',
    eyebrow: `Tollkeeper ${version}`,
    tone: 'plain',
    body: html`<p><strong>Nothing leaves this machine.</strong> AWS Marketplace is simulated here.</p>
<ul>
${storefrontUrl === undefined ? html`` : html`<li><a href="${storefrontUrl}">The simulated storefront</a>: subscribe as a buyer</li>`}
<li><a href="/mailbox">The mailbox</a>: what buyers and you are told by e-mail</li>
<li><a href="/docs">The API</a>, with a form for each call</li>
<li><a href="/openapi.json">Its OpenAPI document</a></li>
<li><a href="/ready">Is it ready?</a></li>
</ul>
<p>Report usage with the service key that was printed at the start:</p>
<pre tabindex="0"><code>curl http://${/^[\w.:[\]-]+$/.test(host) ? host : '127.0.0.1:4000'}/meter \\
  -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"dimension": "${dimension?.key ?? 'requests'}",${quantity}
       "usageTime": "'$(date -u +%FT%TZ)'",
       "correlationId": "my-first-event"}'</code></pre>`,
  })
}
