import { SimulatorError } from '../errors.ts'
import { hasContract, isEntitled, type SimulatedProduct } from './product.ts'
import type { Quantities, Term } from './subscription.ts'

/** What a buyer accepts. */
export interface Order {
  readonly productCode: string
  /** 12 digits. Defaults to an example account. */
  readonly accountId?: string
  readonly buyerName?: string
  /** Of entitled dimensions, whole units; each defaults to 1. Only for products with a contract. */
  readonly quantities?: Quantities
  /** When the agreement starts, if not now. A later start is a future-dated agreement; AWS has no earlier one. */
  readonly startAt?: Date | number
  /** Length of a contract, in months. Defaults to 12. */
  readonly termMonths?: number
  readonly freeTrial?: boolean
  /** Length of a free trial, in days. Defaults to 30. */
  readonly trialDays?: number
  /** Whether the end of a contract's term makes a new agreement. Defaults to `false`. */
  readonly autoRenew?: boolean
  /** `manufacturer`: sold by a channel partner, so that the seller is told as the manufacturer only. */
  readonly sellerRole?: 'proposer' | 'manufacturer'
  /** The partner's AWS account, 12 digits; with it the seller is the manufacturer. */
  readonly channelPartner?: string
  /** The payment fails: the subscription is never licensed. */
  readonly fail?: boolean
}

/** What a renewal, replacement or amendment changes. */
export interface Terms {
  readonly quantities?: Quantities
  readonly termMonths?: number
  readonly autoRenew?: boolean
}

/** Terms that were checked, with all that was left open filled in. */
export interface AcceptedTerms {
  readonly quantities: Quantities
  readonly startAt: number
  readonly freeTrial: boolean
  /** Absent for pay-as-you-go. */
  readonly length?: Term['length']
  readonly autoRenew: boolean
}

export interface Buyer {
  readonly accountId: string
  readonly buyerName: string
}

export const DEFAULT_ACCOUNT_ID = '782858285006'
const DEFAULT_BUYER_NAME = 'Example Corp'
const DEFAULT_PARTNER_ID = '999900001111'
const BUYER_NAME_LENGTH_MAX = 120
const TERM_MONTHS_DEFAULT = 12
const TERM_MONTHS_MAX = 60
const TRIAL_DAYS_DEFAULT = 30
/** AWS's seller guide says 7 to 90, its Agreement API 5 to 31; tests may want a shorter one. */
const TRIAL_DAYS_MAX = 90
const QUANTITY_MAX = 2_147_483_647
const ACCOUNT_ID = /^\d{12}$/

/** @throws {SimulatorError} `invalid` */
export function parseBuyer(order: Order): Buyer {
  const accountId: unknown = order.accountId ?? DEFAULT_ACCOUNT_ID
  const buyerName: unknown = order.buyerName ?? DEFAULT_BUYER_NAME
  if (typeof accountId !== 'string' || !ACCOUNT_ID.test(accountId)) {
    throw invalid('accountId must be the 12 digits of an AWS account')
  }
  if (typeof buyerName !== 'string' || buyerName.length > BUYER_NAME_LENGTH_MAX) {
    throw invalid(`buyerName must be text of at most ${BUYER_NAME_LENGTH_MAX} characters`)
  }
  return { accountId, buyerName }
}

/**
 * @returns the account of the channel partner that sells, if one does
 * @throws {SimulatorError} `invalid`
 */
export function parsePartner({ sellerRole, channelPartner }: Order): string | undefined {
  const role: unknown = sellerRole ?? (channelPartner === undefined ? 'proposer' : 'manufacturer')
  if (role !== 'proposer' && role !== 'manufacturer') {
    throw invalid('sellerRole must be proposer or manufacturer')
  }
  if (role === 'proposer') {
    if (channelPartner !== undefined) throw invalid('with a channelPartner, sellerRole is manufacturer')
    return undefined
  }
  const partner: unknown = channelPartner ?? DEFAULT_PARTNER_ID
  if (typeof partner !== 'string' || !ACCOUNT_ID.test(partner)) {
    throw invalid('channelPartner must be the 12 digits of an AWS account')
  }
  return partner
}

/** @throws {SimulatorError} `invalid` */
export function parseTermsOfOrder(product: SimulatedProduct, order: Order, now: number): AcceptedTerms {
  const freeTrial = parseFlag(order.freeTrial, 'freeTrial')
  if (order.trialDays !== undefined && !freeTrial) throw invalid('trialDays is for a free trial')
  const days = whole(order.trialDays ?? TRIAL_DAYS_DEFAULT, 'trialDays', 1, TRIAL_DAYS_MAX)
  const paid = parsePaidTerms(product, order, now)
  if (freeTrial && paid.autoRenew) throw invalid('a free trial does not renew')
  if (order.fail === true && paid.autoRenew) throw invalid('an agreement whose payment fails does not renew')
  return {
    ...paid,
    startAt: parseStart(order.startAt, now),
    freeTrial,
    ...(freeTrial && { length: { days } }),
  }
}

/**
 * Of a paid agreement.
 *
 * @throws {SimulatorError} `invalid`
 */
export function parsePaidTerms(product: SimulatedProduct, terms: Terms, startAt: number): AcceptedTerms {
  const autoRenew = parseFlag(terms.autoRenew, 'autoRenew')
  if (autoRenew && !hasContract(product)) throw invalid('only a contract renews at the end of its term')
  const months = whole(terms.termMonths ?? TERM_MONTHS_DEFAULT, 'termMonths', 1, TERM_MONTHS_MAX)
  return {
    quantities: parseQuantities(product, terms.quantities ?? {}),
    startAt,
    freeTrial: false,
    ...(hasContract(product) && { length: { months } }),
    autoRenew,
  }
}

/**
 * @returns a quantity for each entitled dimension of the product
 * @throws {SimulatorError} `invalid`
 */
export function parseQuantities(product: SimulatedProduct, given: Quantities): Quantities {
  const entitled = product.dimensions
    .filter((dimension) => isEntitled(product, dimension))
    .map(({ key }) => key)
  if (typeof given !== 'object' || given === null) throw invalid('quantities must be an object')
  for (const [key, quantity] of Object.entries(given)) {
    if (!entitled.includes(key)) {
      throw invalid(`${key} is not an entitled dimension of product ${product.productCode}`)
    }
    whole(quantity, `the quantity of ${key}`, 0, QUANTITY_MAX)
  }
  return Object.fromEntries(entitled.map((key) => [key, given[key] ?? 1]))
}

/** @throws {SimulatorError} `invalid` */
export function parseFlag(value: unknown, name: string): boolean {
  if (value === undefined) return false
  if (typeof value !== 'boolean') throw invalid(`${name} must be true or false`)
  return value
}

function parseStart(startAt: Date | number | undefined, now: number): number {
  const start = startAt === undefined ? now : Number(startAt)
  if (!Number.isInteger(start) || Math.abs(start) > 8.64e15) throw invalid('startAt must be a time')
  return start
}

function whole(value: unknown, name: string, min: number, max: number): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalid(`${name} must be a whole number from ${min} to ${max}`)
  }
  return value as number
}

function invalid(message: string): SimulatorError {
  return new SimulatorError('invalid', message)
}
