import { SimulatorError } from '../errors.ts'
import { parseDecimal } from './decimal.ts'
import type { Identifiers } from './identifiers.ts'

export type DimensionType = 'ExternallyMetered' | 'Entitled'

export interface SimulatedDimension {
  /** What usage records name, case-sensitive: 1 to 100 of `A-Z a-z 0-9 _ . -`. */
  readonly key: string
  readonly name?: string
  readonly unit?: string
  /** Defaults by pricing: contract `Entitled`, contract with consumption both, else `ExternallyMetered`. */
  readonly types?: readonly DimensionType[]
  /** US dollars per unit, as a decimal string. Defaults to `"0"`. */
  readonly price?: string
}

/** A SaaS product on the simulated AWS Marketplace. */
export interface SimulatedProduct {
  readonly productCode: string
  /** `prod-…`; derived from the product code when absent. */
  readonly productId?: string
  readonly title: string
  readonly description?: string
  /** `license`: metered by `LicenseArn` (each new product since 1 June 2026). `legacy`: by `ProductCode`. */
  readonly metering: 'license' | 'legacy'
  readonly pricing: 'usage' | 'contract' | 'contractWithConsumption' | 'free'
  /** Where the buyer's browser posts the registration token. */
  readonly fulfillmentUrl: string
  readonly dimensions: readonly SimulatedDimension[]
}

/** Most dimensions of one type that AWS lets a product have (Catalog API quotas, read November 2026). */
const DIMENSIONS_MAX = 200
const DIMENSION_KEY = /^[A-Za-z0-9_.-]{1,100}$/
const PRODUCT_CODE = /^[-a-zA-Z0-9=:_.@]{1,255}$/
const METERINGS = ['license', 'legacy']
const PRICINGS = ['usage', 'contract', 'contractWithConsumption', 'free']
const TYPES: readonly string[] = ['ExternallyMetered', 'Entitled']

/**
 * Checks a product that came from outside: a file, the control API, a caller.
 *
 * @throws {SimulatorError} `invalid`, naming the field
 */
export function parseProduct(value: unknown): SimulatedProduct {
  const product = asObject(value, 'product')
  const { productCode, productId, title, description, metering, pricing, fulfillmentUrl, dimensions } =
    product
  check(
    typeof productCode === 'string' && PRODUCT_CODE.test(productCode),
    'productCode: letters, digits and -=:_.@',
  )
  const at = `product ${productCode}`
  check(
    productId === undefined || (typeof productId === 'string' && /^[\w-]{1,64}$/.test(productId)),
    `${at}: productId`,
  )
  check(typeof title === 'string' && title.length > 0 && title.length <= 255, `${at}: title is required`)
  check(description === undefined || typeof description === 'string', `${at}: description must be text`)
  check(METERINGS.includes(metering as string), `${at}: metering must be ${METERINGS.join(' or ')}`)
  check(PRICINGS.includes(pricing as string), `${at}: pricing must be one of ${PRICINGS.join(', ')}`)
  check(isWebUrl(fulfillmentUrl), `${at}: fulfillmentUrl must be an http or https URL`)
  check(
    Array.isArray(dimensions) && dimensions.length > 0,
    `${at}: dimensions must be a list of at least one`,
  )
  check((dimensions as unknown[]).length <= DIMENSIONS_MAX, `${at}: at most ${DIMENSIONS_MAX} dimensions`)
  const keys = new Set<string>()
  for (const dimension of dimensions as unknown[]) checkDimension(dimension, at, keys)
  return structuredClone(value) as SimulatedProduct
}

function checkDimension(value: unknown, at: string, keys: Set<string>): void {
  const { key, name, unit, types, price } = asObject(value, `${at}: dimension`)
  check(
    typeof key === 'string' && DIMENSION_KEY.test(key),
    `${at}: a dimension key is 1 to 100 of A-Z a-z 0-9 _ . -`,
  )
  check(!keys.has(key as string), `${at}: dimension ${key} appears twice`)
  keys.add(key as string)
  const where = `${at}, dimension ${key}`
  check(name === undefined || typeof name === 'string', `${where}: name must be text`)
  check(unit === undefined || typeof unit === 'string', `${where}: unit must be text`)
  check(
    types === undefined ||
      (Array.isArray(types) && types.length > 0 && types.every((type) => TYPES.includes(type))),
    `${where}: types must be a list of ${TYPES.join(', ')}`,
  )
  check(
    price === undefined || (typeof price === 'string' && parseDecimal(price) !== undefined),
    `${where}: price must be a decimal string such as "0.002"`,
  )
}

/** Whether usage of the dimension may be sent with `BatchMeterUsage`. */
export function isMetered(product: SimulatedProduct, dimension: SimulatedDimension): boolean {
  return dimension.types?.includes('ExternallyMetered') ?? product.pricing !== 'contract'
}

/** Whether a contract grants an amount of the dimension, which `GetEntitlements` then lists. */
export function isEntitled(product: SimulatedProduct, dimension: SimulatedDimension): boolean {
  return hasContract(product) && (dimension.types?.includes('Entitled') ?? true)
}

export function hasContract(product: SimulatedProduct): boolean {
  return product.pricing === 'contract' || product.pricing === 'contractWithConsumption'
}

/** The product's id in events and in the catalog and agreement services. */
export function productIdOf(product: SimulatedProduct, identifiers: Identifiers): string {
  return product.productId ?? identifiers.productId(product.productCode)
}

function isWebUrl(value: unknown): boolean {
  return typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  check(typeof value === 'object' && value !== null && !Array.isArray(value), `${what} must be an object`)
  return value as Record<string, unknown>
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new SimulatorError('invalid', message)
}
