import type { Delivery } from '../delivery/delivery.ts'
import { parseNotificationFault } from '../delivery/notification-faults.ts'
import { type HttpResponse, jsonResponse } from './message.ts'

interface Input {
  readonly id: string
  readonly body: Readonly<Record<string, unknown>>
}

type Handler = (
  backstage: { readonly delivery: Delivery },
  input: Input,
) => HttpResponse | Promise<HttpResponse>

/** The part of the control API that is about notifications and where they go. */
export const DELIVERY_ROUTES: readonly (readonly [method: string, path: string, handle: Handler])[] = [
  [
    'GET',
    'notifications',
    ({ delivery }) => jsonResponse({ notifications: delivery.notifications().map(view) }),
  ],
  [
    'POST',
    'notifications/flush',
    async ({ delivery }) => {
      await delivery.flush()
      return jsonResponse({ notifications: delivery.notifications().map(view) })
    },
  ],
  [
    'POST',
    'notifications/release',
    ({ delivery }) => {
      delivery.release()
      return NO_CONTENT
    },
  ],
  [
    'POST',
    'notifications/ID/redeliver',
    ({ delivery }, { id }) => {
      delivery.redeliver(id)
      return NO_CONTENT
    },
  ],
  ['GET', 'destinations', ({ delivery }) => jsonResponse(destinationsView(delivery))],
  [
    'PUT',
    'destinations',
    ({ delivery }, { body }) => {
      delivery.deliverTo(body)
      return jsonResponse(destinationsView(delivery))
    },
  ],
  ['GET', 'notification-faults', ({ delivery }) => jsonResponse({ faults: delivery.faults.list() })],
  [
    'POST',
    'notification-faults',
    ({ delivery }, { body }) => jsonResponse(delivery.faults.order(parseNotificationFault(body)), 201),
  ],
  [
    'DELETE',
    'notification-faults',
    ({ delivery }) => {
      delivery.faults.clear()
      return NO_CONTENT
    },
  ],
  [
    'DELETE',
    'notification-faults/ID',
    ({ delivery }, { id }) => {
      delivery.faults.withdraw(id)
      return NO_CONTENT
    },
  ],
  [
    'GET',
    'events',
    ({ delivery }) =>
      jsonResponse({
        events: delivery.putEvents().map(({ at, time, ...event }) => ({
          ...event,
          at: iso(at),
          ...(time !== undefined && { time: iso(time) }),
        })),
      }),
  ],
  [
    'GET',
    'queues',
    ({ delivery }) =>
      jsonResponse({
        queues: delivery.queues.list().map(([name, { attributes, messages }]) => ({
          name,
          attributes,
          messages: [...messages.values()].map(({ id, body, sentAt, receiveCount }) => ({
            id,
            body,
            sentAt: iso(sentAt),
            receiveCount,
          })),
        })),
      }),
  ],
  [
    'GET',
    'ca.pem',
    async ({ delivery }) => ({
      status: 200,
      headers: { 'content-type': 'application/x-pem-file' },
      body: await delivery.caCertificate(),
    }),
  ],
]

const NO_CONTENT: HttpResponse = { status: 204, headers: {}, body: '' }

function view({ at, deliveries, ...notification }: ReturnType<Delivery['notifications']>[number]) {
  return {
    ...notification,
    at: iso(at),
    deliveries: deliveries.map(({ at: doneAt, ...delivery }) => ({
      ...delivery,
      ...(doneAt !== undefined && { at: iso(doneAt) }),
    })),
  }
}

/** Headers of API destinations are the seller's secrets: their names are shown, not what they say. */
function destinationsView(delivery: Delivery) {
  const { rules, subscriptions, ...rest } = delivery.destinations()
  return {
    ...rest,
    subscriptions: subscriptions.map((entry) => ({ ...entry, since: iso(entry.since) })),
    rules: rules.map(({ target, since, ...rule }) => ({
      ...rule,
      since: iso(since),
      target: 'url' in target ? { ...target, headers: Object.keys(target.headers ?? {}) } : target,
    })),
  }
}

const iso = (epochMs: number) => new Date(epochMs).toISOString()
