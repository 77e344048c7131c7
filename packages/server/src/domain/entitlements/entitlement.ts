/** What a contract grants of one dimension, as AWS's `GetEntitlements` says it. */
export interface Entitlement {
  /** AWS's dimension key. */
  readonly dimension: string
  readonly value: EntitlementValue
  /** The earliest time through which it stays valid, ms: a renewal moves it. Not an end of access by itself. */
  readonly expiresAt: number | undefined
}

/** AWS fills exactly one kind. */
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
  readonly entitlements: readonly Entitlement[]
  /** When AWS answered last, ms. */
  readonly readAt: number
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
  /** ms */
  readonly from: number
}
