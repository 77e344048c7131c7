import type { Buyer, Contact } from '../subscriptions/buyer.ts'
import type { DomainEvent } from './domain-event.ts'

/** How an event reads outside: the body of a webhook, the detail of an EventBridge event. */
export interface EventMessage {
  readonly type: string
  /** When it happened, RFC 3339. */
  readonly timestamp: string
  readonly data: Readonly<Record<string, unknown>>
}

/** Without personal data: the buyer is an id. */
export function eventMessage(event: DomainEvent): EventMessage {
  return {
    type: event.type,
    timestamp: new Date(event.at).toISOString(),
    data: {
      product: event.product,
      ...(isOfBuyer(event) &&
        event.subscription !== event.buyer && { subscription: { id: event.subscription } }),
      ...event.data,
      ...(isOfBuyer(event) && { buyer: { id: event.buyer } }),
    },
  }
}

/** With whom the buyer is, for those who provision. Read at the time of sending, so that an erasure holds. */
export function provisioningMessage(
  event: DomainEvent,
  buyer: Buyer | undefined,
  contacts: readonly Contact[],
): EventMessage {
  const message = eventMessage(event)
  if (!isOfBuyer(event)) return message
  return {
    ...message,
    data: {
      ...message.data,
      buyer: {
        id: event.buyer,
        customerAWSAccountId: buyer?.customerAwsAccountId,
        customerIdentifier: buyer?.customerIdentifier,
        contacts: contacts.map(({ email, name, company, phone, registeredAt }) => ({
          email,
          name,
          company,
          phone,
          registeredAt: new Date(registeredAt).toISOString(),
        })),
      },
    },
  }
}

/** Or is it about the seller's own? */
export function isOfBuyer({ buyer }: Pick<DomainEvent, 'buyer'>): boolean {
  return buyer !== ''
}

/** The subscription as it was when the event happened; empty where the event does not say. */
export function subscriptionView({ data }: DomainEvent): Readonly<Record<string, unknown>> {
  return isObject(data.subscription) ? data.subscription : {}
}

/** The license that an event is about, as AWS wrote it. */
export function licenseOf(event: DomainEvent): string | undefined {
  const { licenseArn } = subscriptionView(event)
  return typeof licenseArn === 'string' ? licenseArn : undefined
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
