import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from 'typebox'
import type { ServiceKey } from '../../domain/keys/service-key.ts'
import type { Buyer, Contact } from '../../domain/subscriptions/buyer.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import type { HttpDeps } from '../deps.ts'
import { findVisible, productFilter } from '../product-scope.ts'
import { Name, PRINTABLE, pageOf, pageQuery, problems, ref, Time } from '../schemas.ts'
import { KeyBody, toKeyBody } from './keys/key-body.ts'
import { toAddress } from './registration/read-contact.ts'
import { actorOf } from './subscriptions/manage-subscriptions.ts'
import { SubscriptionBody, timeText, toSubscription } from './subscriptions/subscription-body.ts'

/** Subscriptions shown with a buyer: one a year, and some side by side. */
const SUBSCRIPTIONS_MAX = 100
/** Of an export, read at once. */
const PAGE = 500

const buyerFields = {
  id: Type.String(),
  product: Type.String(),
  customerAWSAccountId: Type.Optional(Type.String()),
  customerIdentifier: Type.Optional(Type.String()),
  createdAt: Time,
}

const BuyerBody = Type.Object(buyerFields, { $id: 'Buyer' })

const ContactBody = Type.Object(
  {
    email: Type.String(),
    name: Type.Optional(Type.String()),
    company: Type.Optional(Type.String()),
    phone: Type.Optional(Type.String()),
    registeredAt: Time,
  },
  { $id: 'Contact', description: 'Personal data.' },
)

const BuyerDetail = Type.Object(
  {
    ...buyerFields,
    subscriptions: Type.Array(ref(SubscriptionBody), { description: 'Newest first, the latest 100.' }),
    contacts: Type.Optional(
      Type.Array(ref(ContactBody), {
        description: 'Those who registered, newest first; only with a key that has `subscriptions:write`.',
      }),
    ),
  },
  { $id: 'BuyerDetail' },
)

const BuyerExport = Type.Object(
  {
    exportedAt: Time,
    buyer: ref(BuyerBody),
    contacts: Type.Array(ref(ContactBody)),
    mails: Type.Array(
      Type.Object({ at: Time, to: Type.String(), subject: Type.String(), text: Type.String() }),
      { description: 'Mail that was kept on this machine.' },
    ),
    subscriptions: Type.Array(ref(SubscriptionBody)),
    keys: Type.Array(ref(KeyBody), { description: 'API keys of its users, newest first.' }),
  },
  { $id: 'BuyerExport' },
)

const Erased = Type.Object({ contacts: Type.Integer(), mails: Type.Integer() }, { $id: 'BuyerErased' })

/** Who buys: the organisation, and the people that registered for it. */
export function buyerRoutes(
  deps: Pick<HttpDeps, 'buyers' | 'subscriptions' | 'apiKeys' | 'catalog' | 'clock'>,
): FastifyPluginAsyncTypebox {
  const { apiKeys, buyers, subscriptions, catalog, clock } = deps
  const visibleBuyer = (key: ServiceKey | undefined, id: string) =>
    findVisible(key, 'buyer.not_found', 'buyer', () => buyers.get(id))
  const subscriptionsOf = async ({ id }: Buyer) =>
    (await subscriptions.list({ buyerId: id, limit: SUBSCRIPTIONS_MAX })).map(toSubscription)

  return async (app) => {
    for (const schema of [BuyerBody, ContactBody, BuyerDetail, BuyerExport, Erased]) app.addSchema(schema)
    const params = Type.Object({ buyerId: Name })

    app.get(
      '/buyers',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listBuyers',
          summary: 'Buyers, newest first; without personal data',
          tags: ['buyers'],
          querystring: Type.Object(
            {
              product: Type.Optional(Name),
              customerAWSAccountId: Type.Optional(Name),
              customerIdentifier: Type.Optional(Name),
              ...pageQuery,
            },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(ref(BuyerBody)), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ query, serviceKey }) => {
        const { limit } = query
        const rows = await buyers.list({
          product: productFilter(catalog, serviceKey, query.product),
          customerAwsAccountId: query.customerAWSAccountId,
          customerIdentifier: query.customerIdentifier,
          limit,
          before: readCursor(query.cursor),
        })
        const last = rows.at(-1)
        return {
          items: rows.map(toBuyer),
          ...(last !== undefined && rows.length === limit && { next: writeCursor(last.id) }),
        }
      },
    )

    app.get(
      '/buyers/:buyerId',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getBuyer',
          summary: 'One buyer with its subscriptions',
          tags: ['buyers'],
          params,
          response: { 200: ref(BuyerDetail), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, serviceKey }) => {
        const buyer = await visibleBuyer(serviceKey, params.buyerId)
        return {
          ...toBuyer(buyer),
          subscriptions: await subscriptionsOf(buyer),
          ...(maySeePeople(serviceKey) && { contacts: (await buyers.listContacts(buyer.id)).map(toContact) }),
        }
      },
    )

    app.get(
      '/buyers/:buyerId/export',
      {
        config: { access: 'subscriptions:write' },
        schema: {
          operationId: 'exportBuyer',
          summary: 'All that is kept of a buyer and its people',
          tags: ['buyers'],
          params,
          response: { 200: ref(BuyerExport), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, serviceKey }, reply) => {
        const buyer = await visibleBuyer(serviceKey, params.buyerId)
        reply.header('cache-control', 'no-store')
        return {
          exportedAt: timeText(clock.now()),
          buyer: toBuyer(buyer),
          contacts: (await buyers.listContacts(buyer.id)).map(toContact),
          mails: (await buyers.listMails(buyer.id)).map((mail) => ({ ...mail, at: timeText(mail.at) })),
          subscriptions: (await allPages((page) => subscriptions.list({ buyerId: buyer.id, ...page }))).map(
            toSubscription,
          ),
          keys: (await allPages((page) => apiKeys.list({ buyer: buyer.id }, page))).map((key) =>
            toKeyBody(key, clock.now()),
          ),
        }
      },
    )

    app.post(
      '/buyers/:buyerId/erase',
      {
        config: { access: 'subscriptions:write' },
        schema: {
          operationId: 'eraseBuyer',
          summary: 'Erase the people of a buyer',
          description:
            'Their details and the mail kept for them. What was bought, used and billed stays: it names accounts, not people. Audited without the data; erasing again is not an error.',
          tags: ['buyers'],
          params,
          body: Type.Unsafe<{ email?: string } | null>({
            type: ['object', 'null'],
            additionalProperties: false,
            properties: {
              email: {
                type: 'string',
                minLength: 3,
                maxLength: 254,
                pattern: PRINTABLE,
                description: 'Only this person; else everybody.',
              },
            },
          }),
          response: { 200: ref(Erased), ...problems(400, 401, 403, 404, 415) },
        },
      },
      async ({ params, body, serviceKey }) => {
        const buyer = await visibleBuyer(serviceKey, params.buyerId)
        return eraseOf(buyers, buyer.id, body?.email, actorOf(serviceKey), clock.now())
      },
    )
  }
}

/** To the end, however many there are. */
async function allPages<T extends { readonly id: string }>(
  list: (page: { readonly limit: number; readonly before: string | undefined }) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const all: T[] = []
  for (;;) {
    const page = await list({ limit: PAGE, before: all.at(-1)?.id })
    all.push(...page)
    if (page.length < PAGE) return all
  }
}

function maySeePeople(key: ServiceKey | undefined): boolean {
  return key?.scopes.some((scope) => scope === 'subscriptions:write' || scope === 'admin') === true
}

function toBuyer({
  id,
  product,
  customerAwsAccountId,
  customerIdentifier,
  createdAt,
}: Buyer): Static<typeof BuyerBody> {
  return {
    id,
    product,
    ...(customerAwsAccountId !== undefined && { customerAWSAccountId: customerAwsAccountId }),
    ...(customerIdentifier !== undefined && { customerIdentifier }),
    createdAt: timeText(createdAt),
  }
}

function toContact({ email, name, company, phone, registeredAt }: Contact): Static<typeof ContactBody> {
  return {
    email,
    ...(name !== undefined && { name }),
    ...(company !== undefined && { company }),
    ...(phone !== undefined && { phone }),
    registeredAt: timeText(registeredAt),
  }
}

/** A person is found however their address is spelled: the landing page keeps it tidied. */
async function eraseOf(
  buyers: HttpDeps['buyers'],
  buyer: string,
  email: string | undefined,
  actor: string,
  now: number,
): ReturnType<HttpDeps['buyers']['erase']> {
  if (email === undefined) return buyers.erase(buyer, undefined, actor, now)
  const wanted = spelling(email)
  const stored = (await buyers.listContacts(buyer)).map((contact) => contact.email)
  const erased = { contacts: 0, mails: 0 }
  for (const address of new Set([email, ...stored.filter((known) => spelling(known) === wanted)])) {
    const { contacts, mails } = await buyers.erase(buyer, address, actor, now)
    erased.contacts += contacts
    erased.mails += mails
  }
  return erased
}

function spelling(email: string): string {
  return toAddress(email.normalize('NFC').trim()).toLowerCase()
}
