import formbody from '@fastify/formbody'
import helmet from '@fastify/helmet'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Product } from '../../domain/products/product.ts'
import type { HttpDeps } from '../deps.ts'
import { PAGE_POLICY } from '../html.ts'
import { createRateLimiter } from '../limits/rate-limiter.ts'
import { toSeconds } from '../limits/request-limits.ts'
import { withoutSecret } from '../logging.ts'
import { type Brand, createBrand } from '../pages/brand.ts'
import { donePage, type FormView, formPage, welcomePage } from '../pages/landing.ts'
import { closedPage, failurePage, unknownPage } from '../pages/registration-notices.ts'
import { sendProblem, toProblem } from '../problem.ts'
import { Name } from '../schemas.ts'
import {
  findRegistration,
  hasContacts,
  type Registered,
  toPurchase,
} from './registration/find-registration.ts'
import { isOwnForm } from './registration/is-own-form.ts'
import { readContact } from './registration/read-contact.ts'

/** AWS's form, and ours: a token and a few short fields. */
const FORM_BYTES_MAX = 16_384
const TOKEN_LENGTH_MAX = 8_192
/** Of one address in a minute: each registration is a call to AWS, which throttles. */
const REGISTRATIONS_PER_MINUTE_MAX = 60
const FORMS_PER_MINUTE_MAX = 60
/** Contacts that one registration may add in an hour: each may be sent a mail. */
const CONTACTS_PER_HOUR_MAX = 10
const HOUR_MS = 3_600_000
/** Registrations whose contacts are counted. */
const CONTACT_LIMITS_MAX = 10_000

const TOKEN_FIELD = 'x-amzn-marketplace-token'
/** AWS's hint. Anybody can send it: it chooses words, nothing else. */
const OFFER_FIELD = 'x-amzn-marketplace-offer-type'
const FREE_TRIAL = 'free-trial'

type Deps = Pick<
  HttpDeps,
  | 'register'
  | 'completeRegistration'
  | 'subscriptions'
  | 'buyers'
  | 'tickets'
  | 'catalog'
  | 'clock'
  | 'limits'
  | 'closedListings'
  | 'publicUrl'
>

/** A form as it was parsed: fields may be missing, or there several times. */
type Form = Readonly<Record<string, unknown>>

interface Shop {
  readonly product: Product
  readonly brand: Brand
}

/**
 * The fulfilment URL that AWS Marketplace sends a buyer's browser to, and the landing page that takes their details.
 *
 * AWS's token is used at once and is in no URL, cookie, log or answer: the page is reached under a ticket of our own.
 * Who holds a ticket sees the state of a subscription, never what others wrote into the form.
 */
export function registrationRoutes(deps: Deps): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(helmet, {
      contentSecurityPolicy: false, // each listing has its own
      referrerPolicy: { policy: 'no-referrer' },
      frameguard: { action: 'deny' },
    })
    await app.register(formbody, { bodyLimit: FORM_BYTES_MAX })
    // Only a form: a JSON body would be another door with the same name.
    app.removeContentTypeParser(['application/json', 'text/plain'])

    const brands = new WeakMap<Product, Brand>()
    const brandOf = (product: Product) => {
      const brand = brands.get(product) ?? createBrand(product)
      brands.set(product, brand)
      return brand
    }
    const findShop = (listing: string): Shop | undefined => {
      if (deps.closedListings?.has(listing)) return undefined
      const product = deps.catalog.findByListing(listing)
      return product && { product, brand: brandOf(product) }
    }
    const sendNoShop = (reply: FastifyReply, listing: string) =>
      sendPage(
        reply,
        404,
        undefined,
        deps.closedListings?.has(listing) ? closedPage(deps.closedListings.get(listing)) : unknownPage(),
      )

    app.setErrorHandler((error, request, reply) => {
      const problem = toProblem(error, request.id)
      const { status, code } = problem
      if (status >= 500 && code !== 'server.overloaded')
        request.log.error({ err: error, reqId: request.id }, 'registration failed')
      const { listing = '' } = request.params as { listing?: string }
      const shop = findShop(listing)
      if (shop === undefined)
        return code === 'request.too_many' ? sendProblem(reply, problem) : sendNoShop(reply, listing)
      return sendPage(reply, status, shop.brand, failurePage(shop.brand, code, request.id))
    })
    const sendFailure = (
      { brand }: Shop,
      request: FastifyRequest,
      reply: FastifyReply,
      status: number,
      code: string,
    ) => sendPage(reply, status, brand, failurePage(brand, code, request.id))

    const schema = {
      tags: ['subscriptions'],
      params: Type.Object({ listing: Name }),
    }
    // What a browser sends is looked at field by field, so that a person gets a page about it.
    const validatorCompiler = () => () => true
    const contacts = createRateLimiter({ windowMs: HOUR_MS, callersMax: CONTACT_LIMITS_MAX })

    app.get<{ Params: { listing: string } }>(
      '/marketplace/register/:listing',
      {
        config: { access: 'public' },
        validatorCompiler,
        schema: {
          ...schema,
          operationId: 'checkFulfilmentUrl',
          summary: 'Answers 200: AWS checks the fulfilment URL',
        },
      },
      ({ params: { listing } }, reply) => {
        const shop = findShop(listing)
        if (shop === undefined) return sendNoShop(reply, listing)
        return sendPage(reply, 200, shop.brand, welcomePage(shop.brand))
      },
    )

    app.post<{ Params: { listing: string }; Body: Form | null | undefined }>(
      '/marketplace/register/:listing',
      {
        config: {
          access: 'public',
          perAddressAndMinute: REGISTRATIONS_PER_MINUTE_MAX,
        },
        validatorCompiler,
        schema: {
          ...schema,
          operationId: 'registerBuyer',
          summary: 'A buyer’s browser brings the registration token',
          consumes: ['application/x-www-form-urlencoded'],
          body: Type.Object({
            [TOKEN_FIELD]: Type.String(),
            [OFFER_FIELD]: Type.Optional(Type.String()),
          }),
          response: { 303: { type: 'null', description: 'To the landing page, `/l/{listing}`.' } },
        },
      },
      async (request, reply) => {
        const { listing } = request.params
        const shop = findShop(listing)
        if (shop === undefined) return sendNoShop(reply, listing)
        const token = request.body?.[TOKEN_FIELD]
        if (typeof token !== 'string' || token === '' || token.length > TOKEN_LENGTH_MAX)
          return sendFailure(shop, request, reply, 400, 'registration.token_invalid')
        try {
          const { subscription } = await deps.register(listing, token)
          return sendTo(reply, listing, {
            registration: deps.tickets.issue(subscription, deps.clock.now()),
            ...(request.body?.[OFFER_FIELD] === FREE_TRIAL && { offer: FREE_TRIAL }),
          })
        } catch (error) {
          const { status, code } = toProblem(error, request.id)
          if (status >= 500) {
            const err = withoutSecret(error, token)
            request.log.error({ err, reqId: request.id, listing }, 'registration failed')
          }
          if (status === 503) reply.header('retry-after', '30')
          return sendFailure(shop, request, reply, status, code)
        }
      },
    )

    app.get<{ Params: { listing: string }; Querystring: Form }>(
      '/l/:listing',
      {
        config: { access: 'public' },
        validatorCompiler,
        schema: {
          ...schema,
          operationId: 'getLandingPage',
          summary: 'The landing page, where a buyer leaves their details',
          querystring: Type.Object({
            registration: Type.Optional(Type.String({ description: 'Ours, good for an hour.' })),
            done: Type.Optional(Type.String()),
            offer: Type.Optional(Type.String()),
          }),
        },
      },
      async (request, reply) => {
        const { listing } = request.params
        const { registration, done, offer } = request.query
        const shop = findShop(listing)
        if (shop === undefined) return sendNoShop(reply, listing)
        if (registration === undefined) return sendPage(reply, 200, shop.brand, welcomePage(shop.brand))
        const found = await findRegistration(deps, shop.product, registration)
        if ('code' in found) return sendFailure(shop, request, reply, found.status, found.code)
        const isKnown = await hasContacts(deps.buyers, found.subscription)
        const isTrial = offer === FREE_TRIAL
        const purchase = toPurchase(shop.product, found.subscription, isTrial)
        if (done === '1' && isKnown) {
          const reload = landingPath(listing, {
            registration: found.ticket,
            done: '1',
            ...(isTrial && { offer: FREE_TRIAL }),
          })
          return sendPage(reply, 200, shop.brand, donePage(shop.brand, purchase, { reload }))
        }
        const view = { ...aForm(listing, found, isTrial), purchase, isJoining: isKnown }
        return sendPage(reply, 200, shop.brand, formPage(shop.brand, view))
      },
    )

    app.post<{ Params: { listing: string }; Body: Form | null | undefined }>(
      '/l/:listing',
      {
        config: { access: 'public', perAddressAndMinute: FORMS_PER_MINUTE_MAX },
        validatorCompiler,
        schema: {
          ...schema,
          operationId: 'completeRegistration',
          summary: 'A buyer leaves their details on the landing page',
          consumes: ['application/x-www-form-urlencoded'],
          body: Type.Object({
            registration: Type.String(),
            email: Type.String(),
            name: Type.Optional(Type.String()),
            company: Type.Optional(Type.String()),
            phone: Type.Optional(Type.String()),
          }),
          response: {
            303: { type: 'null', description: 'To the landing page, which says that it is done.' },
          },
        },
      },
      async (request, reply) => {
        const { listing } = request.params
        const shop = findShop(listing)
        if (shop === undefined) return sendNoShop(reply, listing)
        if (!isOwnForm(request, deps.publicUrl))
          return sendFailure(shop, request, reply, 403, 'registration.form_foreign')
        const form = request.body ?? {}
        if (!Object.values(form).every((value) => typeof value === 'string'))
          return sendFailure(shop, request, reply, 400, 'registration.form_invalid')
        const found = await findRegistration(deps, shop.product, form.registration)
        if ('code' in found) return sendFailure(shop, request, reply, found.status, found.code)

        const isTrial = form.offer === FREE_TRIAL
        const { contact, values, errors } = readContact(form, shop.product.landing.fields)
        const sendForm = async (status: number, failure?: string) => {
          const purchase = toPurchase(shop.product, found.subscription, isTrial)
          const isJoining = await hasContacts(deps.buyers, found.subscription)
          const view = { ...aForm(listing, found, isTrial), purchase, isJoining, values, errors, failure }
          return sendPage(reply, status, shop.brand, formPage(shop.brand, view))
        }
        if (contact === undefined) return sendForm(422)
        const wait = deps.limits.take(contacts, found.subscription.id, CONTACTS_PER_HOUR_MAX, request)
        if (wait > 0) {
          reply.header('retry-after', String(toSeconds(wait)))
          return sendFailure(shop, request, reply, 429, 'registration.too_many')
        }
        try {
          await deps.completeRegistration(found.subscription.id, {
            ...contact,
            registeredAt: deps.clock.now(),
          })
        } catch (error) {
          const { status, code } = toProblem(error, request.id)
          if (status < 500) return sendFailure(shop, request, reply, status, code)
          // Of one or two letters nothing can be told, and a log without them could not be read.
          const secrets = [found.ticket, ...Object.values(values)].filter(({ length }) => length > 2)
          const err = withoutSecret(error, ...secrets)
          request.log.error({ err, reqId: request.id, listing }, 'a contact was not stored')
          reply.header('retry-after', '30')
          return sendForm(
            status,
            'Your details could not be stored just now. Please send them again in a minute.',
          )
        }
        return sendTo(reply, listing, {
          registration: found.ticket,
          done: '1',
          ...(isTrial && { offer: FREE_TRIAL }),
        })
      },
    )
  }
}

/** An empty form. */
function aForm(
  listing: string,
  { ticket, expiresAt }: Registered,
  isTrial: boolean,
): Omit<FormView, 'purchase' | 'isJoining'> {
  return {
    action: landingPath(listing),
    hidden: { registration: ticket, ...(isTrial && { offer: FREE_TRIAL }) },
    expiresAt,
    values: {},
    errors: [],
    failure: undefined,
  }
}

function landingPath(listing: string, query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString()
  return `/l/${encodeURIComponent(listing)}${search === '' ? '' : `?${search}`}`
}

/** 303: loading the page again does not send the form again. */
function sendTo(reply: FastifyReply, listing: string, query: Readonly<Record<string, string>>): FastifyReply {
  return reply.header('cache-control', 'no-store').redirect(landingPath(listing, query), 303)
}

const PLAIN_POLICY = Object.entries(PAGE_POLICY)
  .map(([name, sources]) => [name, ...sources].join(' '))
  .join('; ')

/** @param brand - undefined for a page of no listing */
function sendPage(reply: FastifyReply, status: number, brand: Brand | undefined, text: string): FastifyReply {
  return reply
    .code(status)
    .headers({
      'content-security-policy': brand?.policy ?? PLAIN_POLICY,
      'cache-control': 'no-store',
      'x-robots-tag': 'noindex, nofollow',
      'content-type': 'text/html; charset=utf-8',
    })
    .send(text)
}
