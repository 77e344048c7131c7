/** What a contract grants of one dimension, as AWS's `GetEntitlements` says it. */
export interface Entitlement {
  /** AWS's dimension key. */
  readonly dimension: string
  readonly value: EntitlementValue
  /** The earliest time through which it stays valid, ms: a renewal moves it. Not an end of access by itself. */
  readonly expiresAt: number | undefined
}

/** AWS fills exactly one kind. One that nobody knows is kept as text. */
export type EntitlementValue =
  | { readonly kind: 'integer'; readonly value: number }
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }

/** Whom entitlements are asked for: the license, or of a legacy product the customer. */
export type EntitledCustomer =
  | { readonly licenseArn: string }
  | { readonly customerIdentifier: string }
  | { readonly customerAwsAccountId: string }

/** AWS Marketplace's entitlement service. */
export interface EntitlementService {
  /**
   * All pages. An ended contract, and a product without contracts, is an empty list.
   *
   * @throws {DomainError} `marketplace.unavailable`: not answered, throttled, refused
   */
  getEntitlements(
    productCode: string,
    customer: EntitledCustomer,
    signal?: AbortSignal,
  ): Promise<readonly Entitlement[]>
}

/** AWS's last answer for a subscription: AWS is the truth, this a cache with an age. */
export interface EntitlementReading {
  readonly subscription: string
  /**
   * The last answer that granted something. An empty one does not empty it: by itself that may be AWS's slip, and if
   * it is not, access ends (`revoke-unentitled.ts`).
   */
  readonly entitlements: readonly Entitlement[]
  /** When AWS was asked what it answered last, ms: the answer is not older. Undefined until it answered once. */
  readonly readAt: number | undefined
  /** Since when every answer was empty, ms; undefined where the last one was not. */
  readonly emptySince: number | undefined
  /** When AWS was asked in vain after `readAt`, ms. */
  readonly failedAt: number | undefined
  /** What went wrong then. */
  readonly failure: string | undefined
}

/** What a subscription was entitled to from a time on: included units of an hour are counted by what held then. */
export interface EntitlementPeriod {
  readonly dimension: string
  /** Whole units; 0 after it was taken away. */
  readonly units: number
  /** ms; 0: what the first answer said holds for all that came before it. */
  readonly from: number
}

/** Does a value grant anything? */
export function isGranted({ kind, value }: EntitlementValue): boolean {
  if (kind === 'boolean') return value
  if (kind === 'string') return value !== '' && value !== 'false' && value !== '0'
  return value > 0
}

/** Whole units that a value stands for: a switch, or a text that is no number, is one. */
export function unitsOf(granted: EntitlementValue): number {
  if (!isGranted(granted)) return 0
  if (granted.kind === 'integer' || granted.kind === 'double')
    return Math.min(Math.floor(granted.value), Number.MAX_SAFE_INTEGER)
  return granted.kind === 'string' && /^\d{1,15}$/.test(granted.value) ? Number(granted.value) : 1
}

/** Units by dimension. Where AWS lists one twice (two agreements of a legacy customer), they add up. */
export function unitsByDimension(entitlements: readonly Entitlement[]): ReadonlyMap<string, number> {
  const units = new Map<string, number>()
  for (const { dimension, value } of entitlements)
    units.set(dimension, (units.get(dimension) ?? 0) + unitsOf(value))
  return units
}

/** Is anything of the dimension granted? */
export function isEntitledTo(entitlements: readonly Entitlement[], dimension: string): boolean {
  return entitlements.some(
    (entitlement) => entitlement.dimension === dimension && isGranted(entitlement.value),
  )
}

/** The last of the dates through which it holds, ms; undefined where AWS gave none. */
export function lastExpiry(entitlements: readonly Entitlement[]): number | undefined {
  const dates = entitlements.flatMap(({ expiresAt }) => expiresAt ?? [])
  return dates.length === 0 ? undefined : Math.max(...dates)
}
