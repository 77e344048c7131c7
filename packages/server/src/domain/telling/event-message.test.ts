import { expect, it } from 'vitest'
import { newSubscription } from '../subscriptions/subscription.ts'
import { type DomainEvent, eventView } from './domain-event.ts'
import { eventMessage, licenseOf, provisioningMessage } from './event-message.ts'

const AT = Date.parse('2026-11-21T10:00Z')
const LICENSE = 'arn:aws:license-manager::294406891311:license:l-1'
const subscription = newSubscription({
  id: 'sub_1',
  product: 'demo',
  buyer: 'buy_1',
  licenseArn: LICENSE,
  customerAwsAccountId: '123456789012',
  accessStart: AT,
  createdAt: AT,
})
const EVENT: DomainEvent = {
  id: 'evt_1',
  type: 'subscription.renewed',
  at: AT,
  product: 'demo',
  buyer: 'buy_1',
  subscription: 'sub_1',
  data: { subscription: eventView(subscription), successor: 'sub_2' },
}

it('says what happened, when, to which subscription', () => {
  expect(JSON.parse(JSON.stringify(eventMessage(EVENT)))).toEqual({
    type: 'subscription.renewed',
    timestamp: '2026-11-21T10:00:00.000Z',
    data: {
      product: 'demo',
      subscription: {
        id: 'sub_1',
        product: 'demo',
        buyer: 'buy_1',
        channel: 'aws',
        status: 'pending',
        licenseArn: LICENSE,
        customerAWSAccountId: '123456789012',
        accessStart: '2026-11-21T10:00:00.000Z',
        createdAt: '2026-11-21T10:00:00.000Z',
      },
      successor: 'sub_2',
      buyer: { id: 'buy_1' },
    },
  })
  expect(licenseOf(EVENT)).toBe(LICENSE)
})

it('says who the buyer is only to those who provision', () => {
  const contact = {
    email: 'ada@example.com',
    name: 'Ada',
    company: undefined,
    phone: undefined,
    registeredAt: AT,
  }
  const buyer = {
    id: 'buy_1',
    product: 'demo',
    customerAwsAccountId: '123456789012',
    customerIdentifier: undefined,
    createdAt: AT,
  }
  const { data } = JSON.parse(JSON.stringify(provisioningMessage(EVENT, buyer, [contact])))
  expect(data.buyer).toEqual({
    id: 'buy_1',
    customerAWSAccountId: '123456789012',
    contacts: [{ email: 'ada@example.com', name: 'Ada', registeredAt: '2026-11-21T10:00:00.000Z' }],
  })
  expect(JSON.stringify(eventMessage(EVENT))).not.toContain('ada@')
})

it('names neither buyer nor subscription where it is about the seller’s own', () => {
  const data = { endpoint: { id: 'api', url: 'https://api.example.com/' } }
  const event: DomainEvent = {
    ...EVENT,
    type: 'endpoint.up',
    buyer: '',
    subscription: 'endpoint:demo/api',
    data,
  }
  expect(eventMessage(event).data).toEqual({ product: 'demo', ...data })
  expect(provisioningMessage(event, undefined, []).data).toEqual({ product: 'demo', ...data })
})
