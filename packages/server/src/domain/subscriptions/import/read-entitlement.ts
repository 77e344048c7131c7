import type { Entitlement, EntitlementValue } from '../../entitlements/entitlement.ts'
import { isObject, parseExact } from './read-table.ts'
import { readAnyTime } from './read-values.ts'

/** What a `GetEntitlements` answer that somebody kept says, besides the entitlements. */
export interface KeptEntitlements {
  readonly entitlements: readonly Entitlement[]
  readonly licenses: readonly string[]
  readonly accounts: readonly string[]
  readonly customers: readonly string[]
  readonly productCodes: readonly string[]
}

const NOTHING: KeptEntitlements = {
  entitlements: [],
  licenses: [],
  accounts: [],
  customers: [],
  productCodes: [],
}
/** JSON within JSON within JSON: the sample writes two. */
const LAYERS_MAX = 4

/** Undoes JSON that was written as text, and perhaps written as text again. @returns undefined for what is none */
export function readJsonLayers(value: unknown): unknown {
  let inner = value
  for (let layer = 0; layer < LAYERS_MAX && typeof inner === 'string'; layer++)
    inner = parseExact(inner)?.value
  return typeof inner === 'string' ? undefined : inner
}

/**
 * Reads `entitlement` as the sample keeps it (the answer as JSON text), or one entitlement as an object
 * (`{dimension, expirationDate}`). @returns undefined where it cannot be read
 */
export function readEntitlements(value: unknown): KeptEntitlements | undefined {
  if (value === undefined || value === null || value === '') return NOTHING
  const kept = readJsonLayers(value)
  if (!isObject(kept)) return undefined
  const list = Array.isArray(kept.Entitlements) ? kept.Entitlements : 'dimension' in kept ? [kept] : []
  const items = list.filter(isObject)
  const named = (field: string) => [
    ...new Set(
      items.flatMap((item) => (typeof item[field] === 'string' && item[field] !== '' ? [item[field]] : [])),
    ),
  ]
  return {
    entitlements: items.flatMap((item) => toEntitlement(item) ?? []),
    licenses: named('LicenseArn'),
    accounts: named('CustomerAWSAccountId'),
    customers: named('CustomerIdentifier'),
    productCodes: named('ProductCode'),
  }
}

function toEntitlement(item: Record<string, unknown>): Entitlement | undefined {
  const dimension = item.Dimension ?? item.dimension
  if (typeof dimension !== 'string' || dimension === '') return undefined
  return {
    dimension,
    value: toValue(item.Value),
    expiresAt: readAnyTime(item.ExpirationDate ?? item.expirationDate),
  }
}

/** AWS fills exactly one kind; where none was kept, that it is there is all that is known. */
function toValue(value: unknown): EntitlementValue {
  const fields = isObject(value) ? value : {}
  const integer = Number(fields.IntegerValue)
  if (fields.IntegerValue !== undefined && Number.isSafeInteger(integer))
    return { kind: 'integer', value: integer }
  const double = Number(fields.DoubleValue)
  if (fields.DoubleValue !== undefined && Number.isFinite(double)) return { kind: 'double', value: double }
  if (typeof fields.StringValue === 'string') return { kind: 'string', value: fields.StringValue }
  return { kind: 'boolean', value: fields.BooleanValue !== false }
}
