/** What can happen to a subscription that a seller is told of. */
export type Moment = 'created' | 'licensed' | 'amended' | 'ended' | 'deprovisioned' | 'closed' | 'failed'

/** A moment of a subscription's way, and the how-manieth of its kind. */
export interface Happening {
  readonly moment: Moment
  readonly at: number
  readonly number: number
}
