import { randomBytes } from 'node:crypto'
import formbody from '@fastify/formbody'
import helmet from '@fastify/helmet'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import type { Clock } from '../../domain/clock.ts'
import type { HttpDeps } from '../deps.ts'
import { type Html, html, PAGE_POLICY, page } from '../html.ts'
import { withoutSecret } from '../logging.ts'
import { toProblem } from '../problem.ts'
import { Name } from '../schemas.ts'

/** AWS's form: a token and a few short fields. */
const FORM_BYTES_MAX = 16_384
const TOKEN_LENGTH_MAX = 8_192
/** Registrations of one address in a minute: each one is a call to AWS, which throttles. */
const REGISTRATIONS_PER_MINUTE_MAX = 60
/** How long a page after a registration can be looked at again, ms. */
const RESULT_MS = 15 * 60_000
const RESULTS_MAX = 10_000

const TOKEN_FIELD = 'x-amzn-marketplace-token'

/**
 * The fulfilment URL that AWS Marketplace sends a buyer's browser to, and the page that it ends on.
 *
 * The token is used at once and is in no URL, cookie, log or answer: the page is reached under a random id of ours.
 * A plain page for now; issue 3 makes it the landing page that asks for the buyer's details.
 */
export function registrationRoutes(
  deps: Pick<HttpDeps, 'register' | 'catalog' | 'clock'>,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    const results = createResults(deps.clock)
    await app.register(helmet, {
      contentSecurityPolicy: { useDefaults: false, directives: copyPolicy() },
      referrerPolicy: { policy: 'no-referrer' },
    })
    await app.register(formbody, { bodyLimit: FORM_BYTES_MAX })
    // Only a form: a JSON body would be another door with the same name.
    app.removeContentTypeParser(['application/json', 'text/plain'])
    app.setErrorHandler((error, request, reply) => {
      const { status } = toProblem(error, request.id)
      if (status >= 500) request.log.error({ err: error, reqId: request.id }, 'registration failed')
      return sendPage(reply, status, failurePage(toProblem(error, request.id).code, 'Tollkeeper', request.id))
    })

    const params = Type.Object({ listing: Name })
    const titleOf = (listing: string) => deps.catalog.findByListing(listing)?.title

    app.get(
      '/marketplace/register/:listing',
      {
        config: { access: 'public' },
        schema: {
          operationId: 'checkFulfilmentUrl',
          summary: 'Answers 200: AWS checks the fulfilment URL',
          tags: ['subscriptions'],
          params,
        },
      },
      ({ params: { listing } }, reply) => {
        const title = titleOf(listing)
        if (title === undefined) return sendPage(reply, 404, unknownListing())
        return sendPage(reply, 200, welcomePage(title))
      },
    )

    app.post<{ Params: { listing: string }; Body: Readonly<Record<string, unknown>> | null | undefined }>(
      '/marketplace/register/:listing',
      {
        config: {
          access: 'public',
          rateLimit: { max: REGISTRATIONS_PER_MINUTE_MAX, timeWindow: '1 minute' },
        },
        validatorCompiler: () => () => true,
        schema: {
          operationId: 'registerBuyer',
          summary: 'A buyer’s browser brings the registration token',
          tags: ['subscriptions'],
          params,
          consumes: ['application/x-www-form-urlencoded'],
          body: Type.Object({ [TOKEN_FIELD]: Type.String() }),
          response: { 303: { type: 'null', description: 'To the landing page, `/l/{listing}`.' } },
        },
      },
      async (request, reply) => {
        const { listing } = request.params
        const title = titleOf(listing)
        if (title === undefined) return sendPage(reply, 404, unknownListing())
        const token = request.body?.[TOKEN_FIELD]
        if (typeof token !== 'string' || token === '' || token.length > TOKEN_LENGTH_MAX) {
          return sendPage(reply, 400, failurePage('registration.token_invalid', title, request.id))
        }
        try {
          const { created } = await deps.register(listing, token)
          const id = results.keep({ listing, outcome: created ? 'registered' : 'registered_before' })
          return reply
            .header('cache-control', 'no-store')
            .redirect(`/l/${encodeURIComponent(listing)}?registration=${id}`, 303)
        } catch (error) {
          const { status, code } = toProblem(error, request.id)
          if (status >= 500) {
            const err = withoutSecret(error, token)
            request.log.error({ err, reqId: request.id, listing }, 'registration failed')
          }
          if (status === 503) reply.header('retry-after', '30')
          return sendPage(reply, status, failurePage(code, title, request.id))
        }
      },
    )

    app.get(
      '/l/:listing',
      {
        config: { access: 'public' },
        schema: {
          operationId: 'getLandingPage',
          summary: 'Says what became of a registration',
          tags: ['subscriptions'],
          params,
          querystring: Type.Object({ registration: Type.Optional(Type.String({ maxLength: 64 })) }),
        },
      },
      ({ params: { listing }, query: { registration } }, reply) => {
        const title = titleOf(listing)
        if (title === undefined) return sendPage(reply, 404, unknownListing())
        if (registration === undefined) return sendPage(reply, 200, welcomePage(title))
        const result = results.find(registration)
        if (result === undefined || result.listing !== listing) return sendPage(reply, 200, passedPage(title))
        return sendPage(reply, 200, registeredPage(title, result.outcome))
      },
    )
  }
}

interface Result {
  readonly listing: string
  readonly outcome: 'registered' | 'registered_before'
}

/** What a page after a redirect has to say: in memory, bounded, for minutes. It names no buyer. */
function createResults(clock: Pick<Clock, 'now'>) {
  const kept = new Map<string, Result & { readonly until: number }>()
  return {
    keep(result: Result): string {
      const id = randomBytes(16).toString('base64url')
      if (kept.size >= RESULTS_MAX) kept.delete(kept.keys().next().value!)
      kept.set(id, { ...result, until: clock.now() + RESULT_MS })
      return id
    },
    find(id: string): Result | undefined {
      const result = kept.get(id)
      return result !== undefined && clock.now() < result.until ? result : undefined
    },
  }
}

function copyPolicy(): Record<string, string[]> {
  return Object.fromEntries(Object.entries(PAGE_POLICY).map(([name, sources]) => [name, [...sources]]))
}

function sendPage(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .header('content-type', 'text/html; charset=utf-8')
    .send(text)
}

const AGAIN: Html = html`<p>Go to <strong>AWS Marketplace</strong>, open <em>Manage subscriptions</em>, and press <strong>Set up your account</strong> again. You do not have to subscribe again, and you are not charged twice.</p>`

function welcomePage(title: string): string {
  return page({
    title: `Set up ${title}`,
    eyebrow: title,
    tone: 'plain',
    body: html`<p>This is where AWS Marketplace sends you after you subscribe.</p>${AGAIN}`,
  })
}

function registeredPage(title: string, outcome: Result['outcome']): string {
  return page({
    title: outcome === 'registered' ? 'Your subscription is registered' : 'You were registered already',
    eyebrow: title,
    tone: 'good',
    body:
      outcome === 'registered'
        ? html`<p>AWS Marketplace confirmed your subscription to <strong>${title}</strong>. The seller will be in touch about how to start.</p><footer>You can close this page. Billing goes through AWS Marketplace only.</footer>`
        : html`<p>Your organisation’s subscription to <strong>${title}</strong> is in place; nothing was changed and nothing is charged twice.</p><footer>You can close this page.</footer>`,
  })
}

function passedPage(title: string): string {
  return page({
    title: 'This page has passed',
    eyebrow: title,
    tone: 'plain',
    body: html`<p>It was shown for a few minutes after a registration. If you are not sure that yours went through:</p>${AGAIN}`,
  })
}

function unknownListing(): string {
  return page({
    title: 'No such product here',
    eyebrow: 'AWS Marketplace',
    tone: 'bad',
    body: html`<p>The address names a product that is not sold here. Please contact the seller; nothing was registered.</p>`,
  })
}

const FAILURES: Readonly<Record<string, { readonly title: string; readonly body: Html }>> = {
  'registration.token_invalid': {
    title: 'We could not read your registration',
    body: html`<p>AWS Marketplace did not recognise the request. Nothing was registered.</p>${AGAIN}`,
  },
  'registration.token_expired': {
    title: 'Your registration link has expired',
    body: html`<p>Links from AWS Marketplace hold for a short time. Nothing was registered yet.</p>${AGAIN}`,
  },
  'registration.wrong_product': {
    title: 'This registration is for another product',
    body: html`<p>AWS Marketplace says that you subscribed to a different product than the one this page is for. Nothing was registered. Please start from the product that you subscribed to.</p>${AGAIN}`,
  },
  'subscription.ended': {
    title: 'This agreement has ended',
    body: html`<p>To use the product again, subscribe to it again on AWS Marketplace.</p>`,
  },
  'request.too_many': {
    title: 'Too many registrations at once',
    body: html`<p>Please wait a minute, then try again.</p>${AGAIN}`,
  },
  'marketplace.unavailable': {
    title: 'AWS Marketplace does not answer',
    body: html`<p>We could not check your subscription just now. Please try again in a few minutes.</p>${AGAIN}`,
  },
}

function failurePage(code: string, title: string, requestId: string): string {
  const known = FAILURES[code]
  return page({
    title: known?.title ?? 'Something went wrong',
    eyebrow: title,
    tone: 'bad',
    body:
      known?.body ??
      html`<p>Nothing was registered. Please try again; if it stays like this, tell the seller this number: <code>${requestId}</code>.</p>${AGAIN}`,
  })
}
