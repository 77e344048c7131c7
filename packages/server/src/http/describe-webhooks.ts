import { EVENT_MEANINGS } from '../domain/telling/describe-event.ts'
import { DOMAIN_EVENT_TYPES, type DomainEventType } from '../domain/telling/domain-event.ts'

const TEXT = { type: 'string' } as const
const TIME = { type: 'string', format: 'date-time' } as const

const EventSubscription = {
  type: 'object',
  description: 'The subscription as it was then. What is not known is absent.',
  required: ['id', 'product', 'buyer', 'channel', 'status', 'accessStart', 'createdAt'],
  properties: {
    id: TEXT,
    product: TEXT,
    buyer: TEXT,
    channel: { type: 'string', enum: ['aws', 'direct', 'free'] },
    plan: TEXT,
    tenantId: { ...TEXT, description: 'Your own name for the buyer’s workspace.' },
    status: TEXT,
    licenseArn: TEXT,
    customerAWSAccountId: TEXT,
    customerIdentifier: TEXT,
    agreementId: TEXT,
    freeTrial: { type: 'boolean' },
    grantedAt: TIME,
    termEnd: TIME,
    accessStart: TIME,
    accessEnd: TIME,
    finalWindowEnd: { ...TIME, description: 'Until when AWS takes its final usage.' },
    successor: TEXT,
    createdAt: TIME,
  },
}

const EventBuyer = {
  type: 'object',
  required: ['id', 'contacts'],
  properties: {
    id: TEXT,
    customerAWSAccountId: TEXT,
    customerIdentifier: TEXT,
    contacts: {
      type: 'array',
      description: 'Who registered, newest first, as it is known when this is sent.',
      items: {
        type: 'object',
        required: ['email', 'registeredAt'],
        properties: { email: TEXT, name: TEXT, company: TEXT, phone: TEXT, registeredAt: TIME },
      },
    },
  },
}

const EventKey = {
  type: 'object',
  description:
    'An API key as it was then: without its secret, and without its user and name, which may be a person’s.',
  required: ['id', 'product', 'buyer', 'scopes', 'hint', 'createdAt'],
  properties: {
    id: TEXT,
    product: TEXT,
    buyer: TEXT,
    subscription: TEXT,
    scopes: { type: 'array', items: TEXT },
    hint: { ...TEXT, description: 'The last characters of the secret’s random part.' },
    createdAt: TIME,
    expiresAt: TIME,
    revokedAt: TIME,
    replacedBy: TEXT,
    usableUntil: { ...TIME, description: 'Until when a replaced key works.' },
  },
}

/** Parts of every event, said once in the document. */
export const EVENT_SCHEMAS: Readonly<Record<string, object>> = { EventSubscription, EventBuyer, EventKey }

const refTo = (name: string) => ({ $ref: `#/components/schemas/${name}` })

/**
 * The section `webhooks` of the OpenAPI document: what is posted to the addresses in `events.webhooks`. The same message
 * without contacts, and with its `id`, is the detail of an EventBridge event.
 */
export function describeWebhooks(): Record<string, object> {
  return Object.fromEntries(DOMAIN_EVENT_TYPES.map((type) => [type, { post: describe(type) }]))
}

function subscriptionData() {
  return {
    type: 'object',
    required: ['product', 'subscription', 'buyer'],
    properties: {
      product: TEXT,
      subscription: refTo('EventSubscription'),
      buyer: refTo('EventBuyer'),
    },
  }
}

function thresholdData() {
  const data = subscriptionData()
  return {
    ...data,
    required: [...data.required, 'dimension', 'percent', 'window', 'limit', 'used', 'onExceed'],
    properties: {
      ...data.properties,
      dimension: TEXT,
      percent: { type: 'integer', enum: [80, 100] },
      window: { type: 'string', enum: ['day', 'month', 'lifetime'] },
      limit: { ...TEXT, description: 'A decimal number, as `used` is.' },
      used: TEXT,
      onExceed: { type: 'string', enum: ['block', 'bill'] },
      resetAt: TIME,
      upgrade: { type: 'object', properties: { plan: TEXT, url: TEXT } },
    },
  }
}

function keyData(type: DomainEventType) {
  const isRotation = type === 'key.rotated'
  return {
    type: 'object',
    required: ['product', 'buyer', 'key', ...(isRotation ? ['replacement'] : [])],
    properties: {
      product: TEXT,
      buyer: refTo('EventBuyer'),
      subscription: {
        type: 'object',
        description: 'Of a key that is bound to one.',
        required: ['id'],
        properties: { id: TEXT },
      },
      key: refTo('EventKey'),
      ...(isRotation && { replacement: refTo('EventKey') }),
    },
  }
}

function visitorData() {
  return {
    type: 'object',
    required: ['product', 'subscription', 'buyer', 'visitor'],
    properties: {
      product: TEXT,
      subscription: { type: 'object', required: ['id'], properties: { id: TEXT } },
      buyer: refTo('EventBuyer'),
      visitor: {
        type: 'object',
        description: 'Without anything that says who it was.',
        required: ['id', 'firstSeenAt', 'convertedAt'],
        properties: { id: TEXT, firstSeenAt: TIME, convertedAt: TIME },
      },
    },
  }
}

function endpointData(type: DomainEventType) {
  const isDown = type === 'endpoint.down'
  return {
    type: 'object',
    required: ['product', 'endpoint', isDown ? 'reason' : 'downSince'],
    properties: {
      product: TEXT,
      endpoint: { type: 'object', required: ['id', 'url'], properties: { id: TEXT, url: TEXT } },
      ...(isDown
        ? { reason: TEXT, failures: { type: 'integer', description: 'In a row.' } }
        : { downSince: TIME }),
      repeated: {
        type: 'boolean',
        description:
          'It went down before in the same hour of the clock: no mail says it again. Where it is still down when the hour is over, `endpoint.down` is told once more.',
      },
    },
  }
}

function dataOf(type: DomainEventType) {
  if (type === 'visitor.converted') return visitorData()
  if (type.startsWith('endpoint.')) return endpointData(type)
  if (type.startsWith('key.')) return keyData(type)
  return type === 'quota.threshold_reached' ? thresholdData() : subscriptionData()
}

function describe(type: DomainEventType) {
  const header = (name: string, description: string) => ({
    name,
    in: 'header',
    required: true,
    description,
    schema: TEXT,
  })
  return {
    operationId: `on${type.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase())}`,
    summary: EVENT_MEANINGS[type],
    description:
      'Signed as Standard Webhooks says. Delivered at least once, and in order for each subscription (of keys that are bound to none, for each buyer): know a repeat by `webhook-id`. Answer 2xx within 15 seconds; else it is tried again for three days.',
    tags: ['events'],
    parameters: [
      header('webhook-id', 'The event’s id, the same on every try.'),
      header('webhook-timestamp', 'When it was sent, seconds since the epoch.'),
      header('webhook-signature', '`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64.'),
    ],
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: {
            type: 'object',
            required: ['type', 'timestamp', 'data'],
            properties: {
              type: { type: 'string', const: type },
              timestamp: { ...TIME, description: 'When it happened.' },
              data: dataOf(type),
            },
          },
        },
      },
    },
    responses: {
      '2XX': { description: 'Taken.' },
      '410': { description: 'The endpoint is gone: not tried again.' },
      '429': { description: 'Too many; `Retry-After` says when to go on.' },
    },
  }
}
