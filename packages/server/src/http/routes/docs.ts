import { hash } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { fastify } from 'fastify'

/**
 * `GET /docs`: the API reference, served whole from here (no font or script of others).
 *
 * Scalar's plugin is one module of four megabytes: it is loaded when the first person looks, since it would double
 * the time to start.
 */
export function docsRoutes(): FastifyPluginAsyncTypebox {
  return async (app) => {
    let loading: Promise<Reference> | undefined
    const load = () => {
      loading ??= loadReference()
      return loading
    }
    const schema = { hide: true }

    app.get('/docs', { config: { access: 'public' }, schema }, async (_request, reply) => {
      const { document, policy } = await load()
      return reply
        .headers({
          'content-security-policy': policy,
          'x-content-type-options': 'nosniff',
          'referrer-policy': 'no-referrer',
        })
        .type('text/html; charset=utf-8')
        .send(document)
    })

    app.get('/docs/js/scalar.js', { config: { access: 'public' }, schema }, async (_request, reply) => {
      const { script } = await load()
      return reply
        .headers({ 'cache-control': 'public, max-age=3600', 'x-content-type-options': 'nosniff' })
        .type('text/javascript; charset=utf-8')
        .send(script)
    })
  }
}

interface Reference {
  readonly document: string
  readonly script: string
  readonly policy: string
}

/** Renders Scalar's page once, in an app of its own that never listens, so that its routes are not ours. */
async function loadReference(): Promise<Reference> {
  const { default: scalar } = await import('@scalar/fastify-api-reference')
  const inner = fastify()
  await inner.register(scalar, {
    routePrefix: '/docs',
    configuration: {
      url: '/openapi.json',
      pageTitle: 'Tollkeeper API',
      withDefaultFonts: false,
      telemetry: false,
      hideClientButton: true,
      // What these offer is done on somebody else's machines.
      agent: { disabled: true },
      mcp: { disabled: true },
      showDeveloperTools: 'never',
      authentication: { preferredSecurityScheme: 'serviceKey' },
    },
  })
  const document = (await inner.inject('/docs/')).payload.replaceAll(
    /src="[^"]*scalar\.js"/g,
    'src="/docs/js/scalar.js"',
  )
  const script = (await inner.inject('/docs/js/scalar.js')).payload
  await inner.close()
  const inline = [...document.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g)]
  const hashes = inline.map((match) => `'sha256-${hash('sha256', match[1]!, 'base64')}'`).join(' ')
  return {
    document,
    script,
    policy: `default-src 'none'; script-src 'self' ${hashes}; style-src 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  }
}
