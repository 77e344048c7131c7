import { expect, it } from 'vitest'
import { parseConfig } from '../config.ts'

const SECRET = `whsec_${'a'.repeat(32)}`
const LIVE = 'mode: live\naws: {accountId: "123456789012"}\n'
const BUS = 'arn:aws:events:eu-west-1:123456789012:event-bus/sales'

function eventsOf(text: string, env: Record<string, string> = {}) {
  return parseConfig(text, { name: 'tollkeeper.yaml', directory: '/etc/toll', env }).events
}

it('takes the bus from EVENTBRIDGE_BUS where the file names none', () => {
  expect(eventsOf('', { EVENTBRIDGE_BUS: 'sales' }).eventBridge).toEqual({
    bus: 'sales',
    region: 'us-east-1',
    source: 'tollkeeper',
  })
  const file = 'events: {eventBridge: {bus: mine, source: acme}}'
  expect(eventsOf(file, { EVENTBRIDGE_BUS: 'sales' }).eventBridge).toMatchObject({
    bus: 'mine',
    source: 'acme',
  })
  expect(
    eventsOf('events: {eventBridge: {source: acme}}', { EVENTBRIDGE_BUS: 'sales' }).eventBridge,
  ).toMatchObject({ bus: 'sales', source: 'acme' })
  expect(eventsOf('events:', { EVENTBRIDGE_BUS: '' }).eventBridge).toBeUndefined()
})

it('knows a bus’s region by its ARN', () => {
  expect(eventsOf('', { EVENTBRIDGE_BUS: BUS }).eventBridge?.region).toBe('eu-west-1')
  expect(eventsOf(`events: {eventBridge: {bus: "${BUS}", region: us-west-2}}`).eventBridge?.region).toBe(
    'us-west-2',
  )
})

it.each([
  ['events: {email: {from: demo@a.example, smtpUrl: "smtp://mail.example:25"}}', 'must be on this machine'],
  [`${LIVE}events: {email: {from: demo@a.example}}`, 'must say `smtpUrl`'],
  ['events: {email: {from: Demo}}', 'an address such as'],
  ['events: {email: {from: "Demo <demo@a.example> x"}}', 'an address such as'],
  [
    `events: {webhooks: [{id: a, url: "http://127.0.0.1:9", secret: ${SECRET}, types: [subscription.active]}]}`,
    'did you mean `subscription.activated`?',
  ],
])('%s is refused', (text, message) => {
  expect(() => eventsOf(text)).toThrow(message)
})

it('takes a mail server on this machine in simulated mode, and any elsewhere', () => {
  const local = 'events: {email: {from: "Demo <demo@a.example>", smtpUrl: "smtp://localhost:1025"}}'
  expect(eventsOf(local).email?.smtpUrl).toBe('smtp://localhost:1025')
  const real = `${LIVE}events: {email: {from: demo@a.example, smtpUrl: "smtps://u:p@mail.example"}}`
  expect(eventsOf(real).email?.smtpUrl).toBe('smtps://u:p@mail.example')
})
