import { licenseTail } from '../subscription.ts'
import { type KeptEntitlements, readEntitlements } from './read-entitlement.ts'
import { readAnyTime, sniffIdentifier } from './read-values.ts'
import { type Attributes, type RowProblem, readAttributes, type SourceRow } from './source-row.ts'
import type { Subscriber, SubscriberContact, SubscriberIdentity, SubscriberState } from './subscriber.ts'

const EMAIL = /^[^\s@<>"]{1,64}@[^\s@<>"]{1,190}$/
const TEXT_MAX = 300
/** `TENANT` of a configuration. */
const TENANT_MAX = 200

/**
 * A row of a subscribers' table: of any generation of AWS's serverless sample, of tables in its manner with other
 * names, and of CSV with our names.
 *
 * @param now - what is said to have ended is not in the future
 */
export function readSubscriber(row: SourceRow): Subscriber | RowProblem {
  const { where } = row
  const read = readAttributes(row)
  const kept = readEntitlements(read.value('entitlement', 'entitlements'))
  const identity = readIdentity(read, kept)
  if ('reason' in identity) return { where, reason: identity.reason }
  const product = readProduct(read, kept)
  if (product.length > 1) return { where, reason: `names several products: ${product.join(', ')}` }
  const state = readState(read)
  if ('reason' in state) return { where, reason: state.reason }

  const notes = [...state.notes]
  if (kept === undefined) notes.push('its entitlement cannot be read: AWS is asked anew')
  const contact = readContact(read)
  notes.push(...contact.notes)
  const entitlements = kept?.entitlements ?? []
  const expiries = entitlements.flatMap(({ expiresAt }) => expiresAt ?? [])
  return {
    where,
    product: product[0],
    identity,
    state: state.state,
    ending: state.ending,
    registeredAt: timeOf(read, 'created', 'createdAt', 'registeredAt'),
    startedAt: timeOf(read, 'accessStart', 'startedAt', 'startTime'),
    endedAt: timeOf(read, 'accessEnd', 'endedAt', 'endTime'),
    updatedAt: timeOf(read, 'updatedAt', 'updated'),
    termEnd:
      timeOf(read, 'termEnd', 'entitlementExpiration') ??
      (expiries.length === 0 ? undefined : Math.max(...expiries)),
    freeTrial: read.flag('isFreeTrialTermPresent', 'freeTrial'),
    tenantId: shorter(read.text('tenantId', 'tenant'), TENANT_MAX),
    plan: read.text('plan', 'tier'),
    contacts: contact.contact === undefined ? [] : [contact.contact],
    entitlements,
    successorAgreementId: undefined,
    notes,
  }
}

/** All names must speak of one buyer: where two of them differ, it is nobody's guess which is right. */
function readIdentity(
  read: Attributes,
  kept: KeptEntitlements | undefined,
): SubscriberIdentity | { readonly reason: string } {
  const licenses = [...read.texts('licenseArn', 'license')]
  const accounts = [...read.texts('customerAWSAccountId', 'awsAccountId', 'accountId')]
  const customers: string[] = []
  for (const text of read.texts('customerIdentifier')) {
    const found = sniffIdentifier(text)
    if (found === undefined)
      return {
        reason: `customerIdentifier ${shown(text)} is no license, no AWS account (12 digits) and no customer identifier`,
      }
    const list = found.kind === 'license' ? licenses : found.kind === 'account' ? accounts : customers
    list.push(found.value)
  }
  for (const text of licenses)
    if (sniffIdentifier(text)?.kind !== 'license') return { reason: `${shown(text)} is no license ARN` }
  for (const text of accounts)
    if (sniffIdentifier(text)?.kind !== 'account')
      return {
        reason: `${shown(text)} is no AWS account: 12 digits, and a spreadsheet may have taken leading zeros`,
      }
  const license = oneOf(licenses, kept?.licenses ?? [], licenseTail)
  const account = oneOf(accounts, kept?.accounts ?? [])
  const customer = oneOf(customers, kept?.customers ?? [])
  if (license === 'several')
    return {
      reason:
        'speaks of several licenses: the sample’s key collapses agreements of one account; import them with `agreements`',
    }
  if (account === 'several') return { reason: 'speaks of several AWS accounts' }
  if (customer === 'several') return { reason: 'speaks of several customer identifiers' }
  const agreements = read.texts('agreementId')
  if (agreements.length > 1) return { reason: 'speaks of several agreements' }
  if (license === undefined && account === undefined && customer === undefined)
    return { reason: 'names no buyer: no customerIdentifier, licenseArn or customerAWSAccountId' }
  return {
    licenseArn: license,
    customerAwsAccountId: account,
    customerIdentifier: customer,
    agreementId: agreements[0],
  }
}

/** The one that a row names; else the one that its kept answer of AWS names. */
function oneOf(
  named: readonly string[],
  kept: readonly string[],
  same: (text: string) => string = (text) => text,
): string | 'several' | undefined {
  const different = new Map([...named, ...kept].map((text) => [same(text), text] as const))
  if (different.size > 1) return 'several'
  return named[0] ?? kept[0]
}

function readProduct(read: Attributes, kept: KeptEntitlements | undefined): readonly string[] {
  const named = read.texts('productCode', 'product')
  return [...new Set(named.length > 0 ? named : (kept?.productCodes ?? []))]
}

type ReadState =
  | {
      readonly state: SubscriberState
      readonly ending: Subscriber['ending']
      readonly notes: readonly string[]
    }
  | { readonly reason: string }

function state(
  value: SubscriberState,
  ending: Subscriber['ending'] = 'cancelled',
  ...notes: readonly string[]
): ReadState {
  return { state: value, ending, notes }
}

/** Words for a status, in CSV of ours and in tables that keep one. */
const STATUSES: Readonly<Record<string, ReadState>> = {
  active: state('active'),
  subscribed: state('active'),
  pending: state('pending'),
  registered: state('pending'),
  failed: state('failed'),
  cancelled: state('ended'),
  canceled: state('ended'),
  ended: state('ended'),
  terminated: state('ended'),
  expired: state('ended', 'expired'),
  superseded: state('ended', 'superseded'),
  renewed: state('ended', 'superseded'),
  replaced: state('ended', 'superseded'),
}

const LEAVING = state(
  'ended',
  'cancelled',
  'was leaving when the table was written: it is taken as ended, its last usage is the old system’s to send',
)

/** What AWS's last notification to the old system was; the sample keeps it beside its flags. */
const ACTIONS: Readonly<Record<string, ReadState>> = {
  subscribesuccess: state('active'),
  subscribefail: state('failed'),
  unsubscribepending: LEAVING,
  unsubscribesuccess: state('ended'),
}

/** Expired before subscribed, since the sample leaves the older flag standing. */
function readState(read: Attributes): ReadState {
  const word = read
    .text('status', 'subscriptionStatus')
    ?.toLowerCase()
    .replace(/[^a-z]/g, '')
  if (word === 'cancelling' || word === 'pendingcancellation' || word === 'leaving') return LEAVING
  if (word !== undefined && word !== 'unknown') {
    const known = Object.hasOwn(STATUSES, word) ? STATUSES[word] : undefined
    return known ?? { reason: `has a status that nobody knows: ${shown(word)}` }
  }
  const action = read
    .text('subscriptionAction')
    ?.toLowerCase()
    .replace(/[^a-z]/g, '')
  if (read.flag('subscriptionExpired') === true)
    return state('ended', action === 'unsubscribesuccess' ? 'cancelled' : 'expired')
  if (read.flag('successfullySubscribed') === true) return state('active')
  if (action !== undefined) {
    const known = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined
    return known ?? { reason: `has an action that nobody knows: ${shown(action)}` }
  }
  if (word === 'unknown')
    return state('pending', 'cancelled', 'its status is unknown: taken as waiting for AWS’s word')
  // Of ours: a start that somebody wrote down has happened.
  if (read.value('accessEnd') !== undefined) return state('ended')
  if (read.value('accessStart') !== undefined) return state('active')
  // A registration that came after the notification has overwritten its flags: the buyer may well be active.
  return state(
    'pending',
    'cancelled',
    'has no word of AWS: taken as pending; the sample forgets it when a buyer registers again (`tollkeeper subscription sync` asks AWS)',
  )
}

function readContact(read: Attributes): {
  readonly contact: SubscriberContact | undefined
  readonly notes: readonly string[]
} {
  const email = read.text('email', 'contactEmail')
  const rest = {
    name: shorter(read.text('name', 'contactPerson', 'contactName'), TEXT_MAX),
    company: shorter(read.text('company', 'companyName'), TEXT_MAX),
    phone: shorter(read.text('phone', 'contactPhone'), TEXT_MAX),
  }
  if (email !== undefined && EMAIL.test(email)) return { contact: { email, ...rest }, notes: [] }
  const hasSome = email !== undefined || Object.values(rest).some((value) => value !== undefined)
  return { contact: undefined, notes: hasSome ? ['its contact has no e-mail address and is left out'] : [] }
}

function timeOf(read: Attributes, ...names: readonly string[]): number | undefined {
  for (const name of names) {
    const time = readAnyTime(read.value(name))
    if (time !== undefined) return time
  }
  return undefined
}

function shorter(text: string | undefined, lengthMax: number): string | undefined {
  return text === undefined || text.length <= lengthMax ? text : text.slice(0, lengthMax)
}

/** For a message: short, on one line. */
function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
