/** What can happen to a subscription that a seller is told of. */
export type Moment =
  | 'created'
  | 'licensed'
  | 'amended'
  | 'updated'
  | 'ended'
  | 'deprovisioned'
  | 'closed'
  | 'failed'

/** What AWS would have sent the seller. */
export interface Notification {
  /** Epoch milliseconds. */
  readonly at: number
  readonly subscriptionId: string
  readonly channel: 'eventbridge' | 'sns'
  /** The EventBridge event whole, or the SNS message that its envelope would carry as a string. */
  readonly payload: Readonly<Record<string, unknown>>
}

/** A moment of a subscription's way, and the how-manieth of its kind. */
export interface Happening {
  readonly moment: Moment
  readonly at: number
  readonly number: number
  /** `amended`: whether the agreement renewed by itself from then on. */
  readonly autoRenew?: boolean
}
