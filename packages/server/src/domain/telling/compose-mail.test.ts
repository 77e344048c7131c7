import { describe, expect, it } from 'vitest'
import { PLAIN_LANDING, type Product, USAGE_PRODUCT } from '../products/product.ts'
import type { Contact } from '../subscriptions/buyer.ts'
import { composeBuyerMails, composeSellerMails } from './compose-mail.ts'
import type { DomainEvent } from './domain-event.ts'

const AT = Date.parse('2026-11-21T10:00Z')

const PRODUCT: Product = {
  ...USAGE_PRODUCT,
  id: 'demo',
  title: 'Demo & Co',
  productCode: 'demo0code0of0twenty0five0',
  metering: 'license',
  region: 'us-east-1',
  listing: 'demo',
  graceMs: 0,
  goodbyeSettleMs: 0,
  dimensions: [],
  plans: [],
  landing: {
    ...PLAIN_LANDING,
    supportEmail: 'help@demo.example',
    supportUrl: 'https://demo.example/help',
    loginUrl: 'https://demo.example/login?from=aws&x="1"',
    nextSteps: 'we build your workspace within the hour.',
  },
}

function anEvent(values: Partial<DomainEvent> = {}): DomainEvent {
  return {
    id: 'evt_1',
    type: 'buyer.registered',
    at: AT,
    product: 'demo',
    buyer: 'buy_1',
    subscription: 'sub_1',
    data: { subscription: { status: 'pending', customerAWSAccountId: '123456789012' } },
    ...values,
  }
}

function aContact(values: Partial<Contact> = {}): Contact {
  return {
    email: 'ada@example.com',
    name: 'Ada',
    company: undefined,
    phone: undefined,
    registeredAt: AT,
    ...values,
  }
}

const welcomeTo = (contact: Contact, event = anEvent()) =>
  composeBuyerMails(event, PRODUCT, [contact], [])[0]!

describe('the welcome', () => {
  it('says what happens next, whom to ask, where to sign in, and that access is still to come', () => {
    const { to, subject, text, html } = welcomeTo(aContact())
    expect(to).toEqual([{ name: 'Ada', address: 'ada@example.com' }])
    expect(subject).toBe('Welcome to Demo & Co')
    expect(text).toContain('Hello Ada,')
    expect(text).toContain('usually within a few minutes')
    expect(text).toContain('What happens next: we build your workspace within the hour.')
    expect(text).toContain('Write to help@demo.example.')
    expect(text).toContain('https://demo.example/login?from=aws&x="1"')
    expect(html).toContain('Demo &#38; Co')
    expect(html).toContain('href="https://demo.example/login?from=aws&#38;x=&#34;1&#34;"')
  })

  it('says that access has started where it has', () => {
    const event = anEvent({ data: { subscription: { status: 'active' } } })
    expect(welcomeTo(aContact(), event).text).toContain('Your access has started.')
    expect(welcomeTo(aContact(), event).text).not.toContain('minutes')
  })

  it('goes to the one who registered then, of several', () => {
    const later = aContact({ email: 'bob@example.com', registeredAt: AT + 1 })
    const [mail] = composeBuyerMails(anEvent(), PRODUCT, [later, aContact()], [])
    expect(mail!.to[0]!.address).toBe('ada@example.com')
  })

  it('goes to nobody where the contacts were erased', () => {
    expect(composeBuyerMails(anEvent(), PRODUCT, [], [])).toEqual([])
  })

  it('is the same mail on every try, and another for another person', () => {
    expect(welcomeTo(aContact()).id).toBe(welcomeTo(aContact({ name: undefined })).id)
    expect(welcomeTo(aContact()).id).not.toBe(welcomeTo(aContact({ email: 'bob@example.com' })).id)
  })

  it.each([
    'Ada\r\nBcc: eve@example.com',
    'Visit https://evil.example',
    'evil.example',
    'eve@example.com',
    '<b>Ada</b>',
    'a'.repeat(80),
    '\u202Eevil',
  ])('greets nobody by the name %j', (name) => {
    const { to, text, html } = welcomeTo(aContact({ name }))
    expect(to[0]!.name).toBeUndefined()
    expect(text).toMatch(/^Hello,\n/)
    expect(html).not.toContain('evil')
  })

  it.each(['Jean-Luc O’Neil', 'J. R. Smith', '山田 太郎', "D'Arcy"])('greets %s', (name) => {
    expect(welcomeTo(aContact({ name })).text).toContain(`Hello ${name},`)
  })
})

describe('the start of access', () => {
  const event = anEvent({ type: 'subscription.activated' })
  it('is told to who registered before it', () => {
    const mails = composeBuyerMails(
      event,
      PRODUCT,
      [aContact()],
      ['subscription.created', 'buyer.registered'],
    )
    expect(mails).toMatchObject([{ subject: 'Your access to Demo & Co has started' }])
  })

  it('is not told to who registered after it: the welcome says so', () => {
    expect(composeBuyerMails(event, PRODUCT, [aContact()], ['subscription.created'])).toEqual([])
  })
})

describe('the end of access', () => {
  const data = { subscription: { accessEnd: '2026-11-21T10:05:33.000Z' } }
  it('is told to all of the buyer’s people, each in a mail of their own', () => {
    const contacts = [aContact(), aContact({ email: 'bob@example.com' })]
    const mails = composeBuyerMails(anEvent({ type: 'subscription.cancelling', data }), PRODUCT, contacts, [])
    expect(mails.map(({ to }) => to.map(({ address }) => address))).toEqual([
      ['ada@example.com'],
      ['bob@example.com'],
    ])
    expect(mails[0]!.text).toContain('has ended on 2026-11-21 at 10:05 UTC')
  })

  it('is told once', () => {
    const ended = anEvent({ type: 'subscription.ended', data })
    expect(composeBuyerMails(ended, PRODUCT, [aContact()], ['subscription.cancelling'])).toEqual([])
    expect(composeBuyerMails(ended, PRODUCT, [aContact()], [])).toHaveLength(1)
  })
})

describe('a note to the seller', () => {
  it('names the subscription and what to do, and nobody', () => {
    const [mail, ...more] = composeSellerMails(anEvent({ type: 'subscription.activated' }), PRODUCT, [
      'ops@demo.example',
      'sales@demo.example',
    ])
    expect(more).toEqual([])
    expect(mail).toMatchObject({
      subject: 'Demo & Co: a subscription is active',
      to: [{ address: 'ops@demo.example' }, { address: 'sales@demo.example' }],
    })
    expect(mail!.text).toContain('provision it now')
    expect(mail!.text).toContain('Subscription: sub_1')
    expect(mail!.text).toContain('AWS account: 123456789012')
  })

  it('says which endpoint is down and why, and speaks of no buyer', () => {
    const data = {
      endpoint: { id: 'api', url: 'https://api.demo.example/' },
      reason: 'HTTP 503',
      failures: 3,
    }
    const event = anEvent({ type: 'endpoint.down', buyer: '', subscription: 'endpoint:demo/api', data })
    const [mail] = composeSellerMails(event, PRODUCT, ['ops@demo.example'])
    expect(mail?.subject).toBe('Demo & Co: an endpoint is down')
    for (const said of ['Endpoint: api', 'Address: https://api.demo.example/', 'Why: HTTP 503'])
      expect(mail?.text).toContain(said)
    expect(mail?.text).not.toContain('Subscription')
    expect(composeBuyerMails(event, PRODUCT, [aContact()], [])).toEqual([])
  })

  it('still goes out for a product that is no longer configured', () => {
    expect(composeSellerMails(anEvent(), undefined, ['ops@demo.example'])[0]!.subject).toBe(
      'demo: a buyer registered',
    )
  })

  it.each(['subscription.created', 'subscription.changed', 'entitlements.changed'] as const)(
    'is not written about %s',
    (type) => expect(composeSellerMails(anEvent({ type }), PRODUCT, ['ops@demo.example'])).toEqual([]),
  )
})

describe('mail about a subscription that the seller opened', () => {
  const opened = (type: DomainEvent['type'], status: string) =>
    anEvent({ type, data: { subscription: { status, channel: 'free', tenantId: 'lab' } } })
  const all = [
    opened('subscription.created', 'active'),
    opened('subscription.activated', 'active'),
    opened('subscription.cancelling', 'cancelling'),
    opened('subscription.ended', 'cancelled'),
  ]

  it('tells its buyer of start and end, and sends nobody to AWS Marketplace', () => {
    const mails = all.flatMap((event, index) =>
      composeBuyerMails(
        event,
        PRODUCT,
        [aContact()],
        all.slice(0, index).map(({ type }) => type),
      ),
    )
    expect(mails.map(({ subject }) => subject)).toEqual([
      'Your access to Demo & Co has started',
      'Your access to Demo & Co has ended',
    ])
    for (const { text, html } of mails) expect(text + html).not.toContain('AWS')
  })

  it('does not tell its seller that AWS said so', () => {
    for (const event of all)
      for (const { text } of composeSellerMails(event, PRODUCT, ['seller@example.com']))
        expect(text).not.toMatch(/AWS Marketplace says|AWS takes|AWS still/)
  })
})
