import type { Hour } from './hour.ts'

/** The account its amount is in, and so its state. `carried`: its amount went on to a later hour. */
export type RecordState =
  | 'ready'
  | 'sent'
  | 'accepted'
  | 'assumed'
  | 'in_doubt'
  | 'conflict'
  | 'refused'
  | 'carried'

/** States that no attempt changes any more. A late `Success` may still turn a guess into knowledge. */
export const CLOSED_STATES: readonly RecordState[] = [
  'accepted',
  'assumed',
  'in_doubt',
  'conflict',
  'refused',
  'carried',
]

/** How AWS is told who used it; frozen per subscription and hour. */
export type MeteringIdentityValue =
  | { readonly kind: 'license'; readonly licenseArn: string; readonly customerAwsAccountId: string }
  | { readonly kind: 'legacy'; readonly productCode: string; readonly customerIdentifier: string }

export interface Allocation {
  readonly quantity: number
  /** Empty for the untagged share. */
  readonly tags: readonly (readonly [key: string, value: string])[]
}

/** What AWS is sent for one identity, dimension and hour. Frozen before its first byte leaves. */
export interface UsageRecord {
  /** `rec_` and a UUID. */
  readonly id: string
  readonly product: string
  readonly subscription: string
  readonly dimension: string
  readonly hour: Hour
  readonly region: string
  readonly identity: MeteringIdentityValue
  /** Inside the hour, ms: `max(hour start, access start)`. */
  readonly timestamp: number
  /** Whole units, 0 to 2,147,483,647. */
  readonly quantity: number
  /** Base units in one of those units at the time of sealing. */
  readonly unitBase: bigint
  readonly allocations: readonly Allocation[]
  readonly state: RecordState
  /** When AWS stops taking it, ms. */
  readonly deadline: number
  readonly sealedAt: number
  /** Attempts made, and how many of them have no answer. */
  readonly attempts: number
  readonly unanswered: number
  readonly nextAttemptAt: number
  readonly meteringRecordId: string | undefined
  /** Why it is in its state, in words for a person. */
  readonly note: string | undefined
}

/** AWS's own key: the first record of it wins, whatever the subscription. */
export function awsIdentityKey(identity: MeteringIdentityValue): string {
  return identity.kind === 'license'
    ? `license:${identity.licenseArn.slice(Math.max(identity.licenseArn.lastIndexOf(':'), identity.licenseArn.lastIndexOf('/')) + 1)}`
    : `legacy:${identity.productCode}:${identity.customerIdentifier}`
}
