import { hash } from 'node:crypto'
import { type LandingPage, PLAIN_LANDING, type Product } from '../products/product.ts'
import type { Contact } from '../subscriptions/buyer.ts'
import type { DomainEvent, DomainEventType } from './domain-event.ts'
import { isOfBuyer, licenseOf, subscriptionView } from './event-message.ts'
import type { Mail, MailAddress } from './mail.ts'

/** Contacts of one buyer that are told of a start or an end: those who registered last. */
const CONTACTS_MAX = 10

/** A paragraph, or a link on a line of its own. */
type Block = string | { readonly label: string; readonly url: string }

/**
 * What a buyer's people are told: a welcome to who registered, then the start of access if it had not started, and its
 * end. Nothing is advertised.
 *
 * @param product - undefined: no longer in the configuration
 * @param contacts - newest first
 * @param earlier - types of what happened to the same subscription before
 */
export function composeBuyerMails(
  event: DomainEvent,
  product: Product | undefined,
  contacts: readonly Contact[],
  earlier: readonly DomainEventType[],
): readonly Mail[] {
  const title = product?.title ?? event.product
  const landing = product?.landing ?? PLAIN_LANDING
  const isAtAws = isBoughtAtAws(event)
  const toAll = (subject: string, blocks: readonly Block[]) =>
    contacts.slice(0, CONTACTS_MAX).map((contact) => toContact(event, contact, subject, blocks))
  switch (event.type) {
    case 'buyer.registered': {
      const contact = registeredThen(contacts, event.at)
      if (contact === undefined) return []
      return [toContact(event, contact, `Welcome to ${title}`, welcome(event, title, landing))]
    }
    case 'subscription.activated':
      if (isAtAws && !earlier.includes('buyer.registered')) return []
      return toAll(`Your access to ${title} has started`, [
        isAtAws
          ? `AWS Marketplace has confirmed your organisation’s subscription to ${title}: you can start now.`
          : `Your organisation’s subscription to ${title} is set up: you can start now.`,
        ...nextSteps(landing),
        ...signIn(title, landing),
        ...help(landing),
      ])
    case 'subscription.cancelling':
    case 'subscription.ended':
      if (event.type === 'subscription.ended' && earlier.includes('subscription.cancelling')) return []
      return toAll(`Your access to ${title} has ended`, [
        `Your organisation’s subscription to ${title} has ended${onTime(subscriptionView(event).accessEnd)}, and with it your access.`,
        isAtAws
          ? 'If you did not expect this, look under “Manage subscriptions” in AWS Marketplace. You can subscribe again there at any time.'
          : 'If you did not expect this, please ask us.',
        ...help(landing),
      ])
    case 'quota.threshold_reached':
      return thresholdMails(event, title, landing, toAll)
    default:
      return []
  }
}

/** Of what lasts a month or longer: a day's limit starts anew before anybody has read a mail. */
function thresholdMails(
  { data }: DomainEvent,
  title: string,
  landing: LandingPage,
  toAll: (subject: string, blocks: readonly Block[]) => readonly Mail[],
): readonly Mail[] {
  const { percent, dimension, window, limit, used, resetAt, onExceed, upgrade } = data
  if (window !== 'month' && window !== 'lifetime') return []
  const { url } = (upgrade ?? {}) as { readonly url?: string }
  const isAll = percent === 100
  const next = typeof resetAt === 'string' ? ` It starts anew${onTime(resetAt)}.` : ''
  const beyond =
    onExceed === 'bill'
      ? 'You can go on: what exceeds it is charged as your plan says.'
      : 'What exceeds it is turned away.'
  return toAll(
    isAll
      ? `Your ${dimension} in ${title} are used up`
      : `${percent} % of your ${dimension} in ${title} are used`,
    [
      `Your organisation has used ${used} of ${limit} ${dimension} that its plan includes${window === 'month' ? ' a month' : ''}.${next}`,
      isAll ? beyond : `When all of it is used: ${beyond.charAt(0).toLowerCase()}${beyond.slice(1)}`,
      ...(url === undefined ? [] : [{ label: 'Get more', url }]),
      ...help(landing),
    ],
  )
}

/** What the seller opened is none of AWS Marketplace's business, and its buyers are not sent there. */
function isBoughtAtAws(event: DomainEvent): boolean {
  const { channel } = subscriptionView(event)
  return channel !== 'free' && channel !== 'direct'
}

/** Several may have registered since: the event is about the one who did closest to it. */
function registeredThen(contacts: readonly Contact[], at: number): Contact | undefined {
  const distance = ({ registeredAt }: Contact) => Math.abs(registeredAt - at)
  return contacts.toSorted((one, other) => distance(one) - distance(other))[0]
}

function welcome(event: DomainEvent, title: string, landing: LandingPage): readonly Block[] {
  const hasStarted = subscriptionView(event).status === 'active'
  return [
    `Thank you for registering. Your organisation’s subscription to ${title} through AWS Marketplace is set up with us.`,
    hasStarted
      ? 'Your access has started.'
      : 'AWS Marketplace still has to confirm the subscription, usually within a few minutes. Your access starts then, and we will write to you again. You do not have to do anything.',
    ...nextSteps(landing),
    ...signIn(hasStarted ? title : `${title}, once your access has started`, landing),
    ...help(landing),
    'Billing goes through AWS Marketplace only: you will find it on your AWS bill.',
  ]
}

const SELLER_SUBJECTS: Partial<Record<DomainEventType, string>> = {
  'buyer.registered': 'a buyer registered',
  'subscription.activated': 'a subscription is active',
  'subscription.failed': 'a subscription failed before it began',
  'subscription.cancelling': 'a subscription is ending',
  'subscription.ended': 'a subscription has ended',
  'subscription.renewed': 'a subscription was renewed',
  'subscription.successor_unclear': 'a renewal needs your decision',
  'endpoint.down': 'an endpoint is down',
  'endpoint.up': 'an endpoint is up again',
}

const SELLER_NOTES: Partial<Record<DomainEventType, string>> = {
  'buyer.registered': 'Somebody gave their details on the landing page.',
  'subscription.activated': 'AWS Marketplace says that access starts: provision it now.',
  'subscription.failed': 'Payment failed, or the agreement ended before access began.',
  'subscription.cancelling':
    'Access is revoked. AWS still takes its final usage for about an hour: report what is left now.',
  'subscription.ended': 'AWS takes no more usage of it: deprovision it.',
  'subscription.renewed': 'Another agreement took its place. The buyer goes on and notices nothing.',
  'subscription.successor_unclear':
    'AWS renewed or replaced the agreement, and several could be its successor. Access goes on; choose with `tollkeeper subscription successor`.',
}

/** Off AWS Marketplace: what the seller did is told to those of them who did not. */
const OWN_NOTES: Partial<Record<DomainEventType, string>> = {
  'subscription.activated': 'It was opened here, not on AWS Marketplace: provision it now.',
  'subscription.cancelling': 'Access is revoked. Report what is left of its usage within the hour.',
  'subscription.ended': 'Its usage is counted: deprovision it.',
}

/** A note to the seller: which subscription, and what to do. No contact of the buyer's. */
export function composeSellerMails(
  event: DomainEvent,
  product: Product | undefined,
  to: readonly string[],
): readonly Mail[] {
  const subject = SELLER_SUBJECTS[event.type]
  if (subject === undefined || to.length === 0) return []
  const title = product?.title ?? event.product
  // Of what comes again within an hour, a person has been told.
  if (!isOfBuyer(event)) return event.data.repeated === true ? [] : [endpointMail(event, title, to, subject)]
  const view = subscriptionView(event)
  const facts = [
    ['Product', `${title} (${event.product})`],
    ['Subscription', event.subscription],
    ['Tenant', view.tenantId],
    ['Plan', view.plan],
    ['AWS account', view.customerAWSAccountId],
    ['License', licenseOf(event)],
    ['When', new Date(event.at).toISOString()],
    ['Event', event.id],
  ].flatMap(([name, value]) => (typeof value === 'string' ? [`${name}: ${value}`] : []))
  return [
    toMail(
      event,
      to.map((address) => ({ name: undefined, address })),
      `${title}: ${subject}`,
      [
        (isBoughtAtAws(event) ? undefined : OWN_NOTES[event.type]) ?? SELLER_NOTES[event.type] ?? '',
        ...facts,
      ],
    ),
  ]
}

/** A note to the seller about what is sold: no buyer has a part in it. */
function endpointMail(event: DomainEvent, title: string, to: readonly string[], subject: string): Mail {
  const { endpoint, reason, downSince } = event.data
  const { id, url } = (endpoint ?? {}) as { readonly id?: string; readonly url?: string }
  const facts = [
    ['Product', `${title} (${event.product})`],
    ['Endpoint', id],
    ['Address', url],
    ['Why', reason],
    ['Down since', downSince],
    ['When', new Date(event.at).toISOString()],
    ['Event', event.id],
  ].flatMap(([name, value]) => (typeof value === 'string' ? [`${name}: ${value}`] : []))
  const note =
    event.type === 'endpoint.down'
      ? 'It failed its health probe several times in a row.'
      : 'It answers its health probe again.'
  return toMail(
    event,
    to.map((address) => ({ name: undefined, address })),
    `${title}: ${subject}`,
    [note, ...facts],
  )
}

function nextSteps({ nextSteps }: LandingPage): readonly Block[] {
  return nextSteps === undefined ? [] : [`What happens next: ${nextSteps}`]
}

function signIn(title: string, { loginUrl }: LandingPage): readonly Block[] {
  return loginUrl === undefined ? [] : [{ label: `Sign in to ${title}`, url: loginUrl }]
}

function help({ supportEmail, supportUrl }: LandingPage): readonly Block[] {
  return [
    ...(supportEmail === undefined ? [] : [`Questions? Write to ${supportEmail}.`]),
    ...(supportUrl === undefined ? [] : [{ label: 'Support', url: supportUrl }]),
  ]
}

function onTime(value: unknown): string {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(time)) return ''
  const [day, clock] = new Date(time).toISOString().split('T')
  return ` on ${day} at ${clock!.slice(0, 5)} UTC`
}

function toContact(event: DomainEvent, contact: Contact, subject: string, blocks: readonly Block[]): Mail {
  const name = plainName(contact.name)
  const greeting = name === undefined ? 'Hello,' : `Hello ${name},`
  return toMail(event, [{ name, address: contact.email }], subject, [greeting, ...blocks])
}

function toMail(
  event: DomainEvent,
  to: readonly MailAddress[],
  subject: string,
  blocks: readonly Block[],
): Mail {
  const recipients = hash('sha256', to.map(({ address }) => address).join('\n'), 'hex').slice(0, 16)
  return {
    id: `${event.id}.${recipients}`,
    to,
    subject: oneLine(subject),
    text: `${blocks.map((block) => (typeof block === 'string' ? block : `${block.label}: ${block.url}`)).join('\n\n')}\n`,
    html: toHtml(oneLine(subject), blocks),
  }
}

function toHtml(title: string, blocks: readonly Block[]): string {
  const paragraphs = blocks.map((block) =>
    typeof block === 'string'
      ? `<p>${escapeHtml(block)}</p>`
      : `<p><a href="${escapeHtml(block.url)}">${escapeHtml(block.label)}</a></p>`,
  )
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(title)}</title></head>
<body style="font: 16px/1.5 sans-serif; max-width: 38em">
${paragraphs.join('\n')}
</body>
</html>
`
}

/**
 * A name as a greeting may have it. Whoever registers types it, and the mail carries the seller's good name: what could
 * be a link, an address or a header is left out.
 */
function plainName(name: string | undefined): string | undefined {
  const trimmed = name?.trim() ?? ''
  return /^\p{L}(?:[\p{L}\p{M} '’-]|\.(?= |$)){0,59}$/u.test(trimmed) ? trimmed : undefined
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
