import { domainToASCII } from 'node:url'
import type { LandingPage } from '../../../domain/products/product.ts'
import type { Contact } from '../../../domain/subscriptions/buyer.ts'
import type { FieldName } from '../../pages/landing.ts'

export interface ContactForm {
  /** As typed, tidied: shown again where something is wrong. */
  readonly values: Readonly<Partial<Record<FieldName, string>>>
  /** One for each field that is not right, in the page's order; empty: `contact` is there. */
  readonly errors: readonly { readonly field: FieldName; readonly message: string }[]
  readonly contact: Omit<Contact, 'registeredAt'> | undefined
}

/** RFC 5321: the longest address that a mail server has to take. */
const EMAIL_LENGTH_MAX = 254
const EMAIL_LOCAL_LENGTH_MAX = 64
const TEXT_LENGTH_MAX = 200
const PHONE_LENGTH_MAX = 40
const PHONE_DIGITS_MIN = 5

/** Nobody types them: controls, halves of characters, and marks that turn the direction of what follows. */
const NOT_TEXT = /[\p{Cc}\p{Cs}\p{Co}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffd]/u

/** Nothing that ends an address, begins another, or has a meaning in a mail's header. */
const EMAIL_LOCAL = /^[^\s\p{C}"(),:;<>@[\\\]]+$/u
const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * Reads a buyer's details. Any mail domain will do: AWS does not allow to turn free ones away.
 *
 * @param body - as parsed; each field at most once, checked by the caller
 */
export function readContact(
  body: Readonly<Record<string, unknown>>,
  fields: LandingPage['fields'],
): ContactForm {
  const values: Partial<Record<FieldName, string>> = {}
  const errors: { field: FieldName; message: string }[] = []
  const read = (field: FieldName, required: boolean, check: (text: string) => string | undefined) => {
    const text = tidy(body[field])
    values[field] = text
    const message = text === '' ? (required ? MISSING[field] : undefined) : check(text)
    if (message !== undefined) errors.push({ field, message })
    return text === '' ? undefined : text
  }

  const typed = read('email', true, emailFault)
  const given = new Map<FieldName, string | undefined>()
  for (const { name, required } of fields) given.set(name, read(name, required, CHECKS[name]))
  if (errors.length > 0 || typed === undefined) return { values, errors, contact: undefined }
  return {
    values,
    errors,
    contact: {
      email: toAddress(typed),
      name: given.get('name'),
      company: given.get('company'),
      phone: given.get('phone'),
    },
  }
}

const MISSING = {
  email: 'Enter your e-mail address',
  name: 'Enter your name',
  company: 'Enter your company’s name',
  phone: 'Enter your phone number',
} as const satisfies Record<FieldName, string>

const CHECKS = {
  name: (text: string) => textFault(text, 'Your name'),
  company: (text: string) => textFault(text, 'Your company’s name'),
  phone: phoneFault,
} as const

/** Without what a copy from elsewhere brings along: spaces around and between, line ends. */
function tidy(value: unknown): string {
  return typeof value === 'string' ? value.normalize('NFC').replace(/\s+/g, ' ').trim() : ''
}

function textFault(text: string, what: string): string | undefined {
  if ([...text].length > TEXT_LENGTH_MAX) return `${what} must be ${TEXT_LENGTH_MAX} characters or fewer`
  if (NOT_TEXT.test(text)) return `${what} has characters that cannot be stored: type it anew`
  return undefined
}

function phoneFault(text: string): string | undefined {
  const digits = text.replace(/\D/g, '').length
  const isPhone = /^[+(0-9][0-9 ()./+#*x-]*$/i.test(text) && digits >= PHONE_DIGITS_MIN
  return isPhone && text.length <= PHONE_LENGTH_MAX
    ? undefined
    : 'Enter a phone number, such as +44 20 7946 0000'
}

function emailFault(text: string): string | undefined {
  const wrong = 'Enter an e-mail address in the form name@example.com'
  if (text.length > EMAIL_LENGTH_MAX)
    return `The e-mail address must be ${EMAIL_LENGTH_MAX} characters or fewer`
  const at = text.lastIndexOf('@')
  const local = text.slice(0, Math.max(at, 0))
  if (!EMAIL_LOCAL.test(local) || Buffer.byteLength(local) > EMAIL_LOCAL_LENGTH_MAX) return wrong
  if (local.startsWith('.') || local.endsWith('.') || local.includes('..')) return wrong
  const labels = toHost(text.slice(at + 1)).split('.')
  if (labels.length < 2 || !labels.every((label) => HOST_LABEL.test(label))) return wrong
  // An address of numbers is a machine's.
  return /^[0-9]+$/.test(labels.at(-1)!) ? wrong : undefined
}

/** The domain as the network knows it, so that one mailbox is one address; the part before it is its host's own. */
export function toAddress(email: string): string {
  const at = email.lastIndexOf('@')
  return `${email.slice(0, at)}@${toHost(email.slice(at + 1))}`
}

/** @returns '' where it is no domain */
function toHost(domain: string): string {
  return /[\s\p{C}%/?#:[\]\\@]/u.test(domain) ? '' : domainToASCII(domain)
}
