/** When included units start anew. */
export type IncludedReset = 'calendarMonth' | 'anniversary' | 'term'

/** Units of a metered dimension that a contract already paid for (contract with consumption). */
export interface Included {
  readonly dimension: string
  /** Billed units per period; where `per` is set, for each entitled unit of that dimension. */
  readonly units: bigint
  /** Key of an entitled dimension of the contract; undefined: a fixed number. */
  readonly per: string | undefined
  readonly reset: IncludedReset
}

/** When a limit starts anew, in UTC; `month` from the subscription's anniversary, `lifetime` never. */
export type LimitWindow = 'minute' | 'hour' | 'day' | 'month' | 'lifetime'

/** How much of something a plan allows. */
export interface Limit {
  /** Key of a dimension of the product, or a name that only plans know. */
  readonly dimension: string
  /** Units as they are reported; `unlimited` is a value: it says that nobody forgot. */
  readonly quantity: number | 'unlimited'
  readonly window: LimitWindow
  /** What happens to more: it is refused, or let through and billed. `bill` only for a dimension of the product. */
  readonly onExceed: 'block' | 'bill'
}

/** What a plan costs; for people to read. AWS bills its own price. */
export type Price =
  | {
      /** A decimal string such as `49.00`. */
      readonly amount: string
      /** ISO 4217. */
      readonly currency: string
      readonly per: 'month' | 'year'
    }
  /** Agreed with each buyer. */
  | 'custom'

/** Who gets a plan: a visitor without a key, one who registered and pays nothing, or one who bought it. */
export type Audience = 'anonymous' | 'registered' | 'paid'

export interface Plan {
  readonly id: string
  readonly title: string
  readonly audience: Audience
  /** Key of the entitled dimension that grants it; undefined: no contract does. */
  readonly grantedBy: string | undefined
  /** Its end refuses all use, whatever limits are left; counted from the holder's first day. */
  readonly trial: { readonly days: number } | undefined
  readonly price: Price | undefined
  /** Id of the plan of the same product that one moves up to. */
  readonly upgradeTo: string | undefined
  /** What the product asks for: on or off, a number, or a text. */
  readonly features: Readonly<Record<string, boolean | number | string>>
  readonly limits: readonly Limit[]
  readonly included: readonly Included[]
  /** Nobody gets it any more; whoever is on it keeps it. */
  readonly isRetired: boolean
}

/** What a plan that is bought need not say. */
export const PLAIN_PLAN = {
  audience: 'paid',
  grantedBy: undefined,
  trial: undefined,
  price: undefined,
  upgradeTo: undefined,
  features: {},
  limits: [],
  included: [],
  isRetired: false,
} as const satisfies Omit<Plan, 'id' | 'title'>

/** The one plan that can have been bought; where there are several, only AWS's entitlements or a person can say. */
export function onlyPaidPlan(plans: readonly Plan[]): Plan | undefined {
  const paid = plans.filter(({ audience, isRetired }) => audience === 'paid' && !isRetired)
  return paid.length === 1 ? paid[0] : undefined
}
