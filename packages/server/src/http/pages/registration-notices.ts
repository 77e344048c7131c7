import { type Html, html, page } from '../html.ts'
import { type Brand, noticePage } from './brand.ts'
import { SET_UP } from './landing.ts'

/** What can go wrong on the way from AWS Marketplace to a registration, in a buyer's words. */
interface Notice {
  readonly title: string
  readonly body: Html
}

const AGAIN: Html = html`<p>Go to <strong>AWS Marketplace</strong>, open <em>Manage subscriptions</em>, and press ${SET_UP} again. You do not have to subscribe again, and nothing is charged twice.</p>`

const WAIT: Html = html`<p>Wait a few minutes, then load this page again; your browser may ask whether to send the form once more: yes. Or start over:</p>${AGAIN}`

const ENDED: Notice = {
  title: 'This subscription has ended',
  body: html`<p>AWS Marketplace says that the agreement behind it is over. There is nothing left to register.</p><p>To use the product again, subscribe to it again on <strong>AWS Marketplace</strong>, then press ${SET_UP} there.</p>`,
}

const NOTICES: Readonly<Record<string, Notice>> = {
  'registration.token_invalid': {
    title: 'We could not read your registration',
    body: html`<p>AWS Marketplace did not recognise the request. Nothing was registered.</p>${AGAIN}`,
  },
  'registration.token_expired': {
    title: 'Your way here has expired',
    body: html`<p>What AWS Marketplace sends along with you holds for a short time. Nothing was registered yet.</p>${AGAIN}`,
  },
  'registration.wrong_product': {
    title: 'This registration is for another product',
    body: html`<p>AWS Marketplace says that you subscribed to a different product than the one this page is for. Nothing was registered. Start from the product that you subscribed to.</p>${AGAIN}`,
  },
  'registration.ticket_invalid': {
    title: 'This address is not complete',
    body: html`<p>The address of this page was cut off or changed, so we cannot tell whose registration it is. Nothing is lost.</p>${AGAIN}`,
  },
  'registration.ticket_expired': {
    title: 'This page has expired',
    body: html`<p>For your safety, the address that AWS Marketplace brought you to holds for an hour. What you sent within that time is stored.</p>${AGAIN}`,
  },
  'registration.form_invalid': {
    title: 'We could not read the form',
    body: html`<p>Your browser sent it in a way that we do not understand. Nothing was stored. Go back and send it again.</p>`,
  },
  'registration.form_foreign': {
    title: 'The form came from another site',
    body: html`<p>Nothing was stored. Send the form from this site’s own page.</p>${AGAIN}`,
  },
  'request.too_large': {
    title: 'That was too much to read',
    body: html`<p>The form holds a few short lines; what was sent is far longer. Nothing was stored. Go back and shorten it.</p>`,
  },
  'request.too_many': {
    title: 'Too many requests at once',
    body: html`<p>Nothing was registered this time. Wait a minute, then try again.</p>${AGAIN}`,
  },
  'registration.too_many': {
    title: 'That is enough for now',
    body: html`<p>This registration has added as many contacts as it may within an hour. The ones before are stored. To add more, come back in an hour:</p>${AGAIN}`,
  },
  'subscription.ended': ENDED,
  'subscription.failed': {
    title: 'AWS Marketplace did not complete your subscription',
    body: html`<p>AWS Marketplace says that it could not be completed; mostly the payment method is why. There is no access to the product.</p><p>Check the payment method of your AWS account, then subscribe to the product again on <strong>AWS Marketplace</strong> and press ${SET_UP} there.</p>`,
  },
  'marketplace.unavailable': {
    title: 'AWS Marketplace does not answer',
    body: html`<p>We could not check your subscription just now. Nothing is lost.</p>${WAIT}`,
  },
  'ledger.busy': {
    title: 'We are very busy',
    body: html`<p>Your registration could not be stored just now. Nothing is lost.</p>${WAIT}`,
  },
  'server.overloaded': {
    title: 'We are very busy',
    body: html`<p>Your request could not be taken just now. Nothing is lost.</p>${WAIT}`,
  },
}
const ALIASES: Readonly<Record<string, string>> = {
  'subscription.not_found': 'registration.ticket_expired',
  'ledger.waiting_for_release': 'ledger.busy',
  'request.unsupported_media_type': 'registration.form_invalid',
  'request.invalid': 'registration.form_invalid',
}

/** @param code - of what went wrong; an unknown one is a page with the request's number */
export function failurePage(brand: Brand, code: string, requestId: string): string {
  const notice = NOTICES[ALIASES[code] ?? code] ?? {
    title: 'Something went wrong',
    body: html`<p>Please try again. If it stays like this, tell the seller this number: <code>${requestId}</code>.</p>${AGAIN}`,
  }
  return noticePage(brand, { ...notice, tone: 'bad' })
}

/** A listing whose seller has switched it off. */
export function closedPage(name: string | undefined): string {
  return page({
    title: name === undefined ? 'This product takes no registrations' : `${name} takes no registrations`,
    eyebrow: 'AWS Marketplace',
    tone: 'bad',
    body: html`<p>Its seller has closed this listing. Nothing was registered.</p><p>If you subscribed to it on <strong>AWS Marketplace</strong>, its page there names the seller’s support. You can cancel under <em>Manage subscriptions</em>.</p>`,
  })
}

export function unknownPage(): string {
  return page({
    title: 'No such product here',
    eyebrow: 'AWS Marketplace',
    tone: 'bad',
    body: html`<p>The address names a product that is not sold here. Nothing was registered.</p><p>If AWS Marketplace sent you here, its page of the product names the seller’s support.</p>`,
  })
}
