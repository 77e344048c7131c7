/**
 * Where usage can be on its way. Every step moves an amount, in base units, from one account to another,
 * so per subscription and dimension they sum to zero at every moment.
 *
 * `measured` is the source and therefore negative. The others say where it went:
 * - `open` in a bucket that grows · `held` closed, waiting for a person
 * - `ready` sealed; AWS certainly does not have it · `sent` an attempt has no answer (yet)
 * - `accepted` AWS said so · `assumed` AWS knows the record and we had an unanswered attempt
 * - `in_doubt` AWS takes it no more and we do not know · `conflict` somebody else metered that hour
 * - `refused` AWS said no for good · `carry` less than a unit, or for the next hour
 * - `included` paid for by a contract · `waived` by a person · `unbillable` no live subscription
 * - `forgiven` a remainder at the end (negative where it was rounded up)
 */
export const ACCOUNTS = [
  'measured',
  'open',
  'held',
  'ready',
  'sent',
  'accepted',
  'assumed',
  'in_doubt',
  'conflict',
  'refused',
  'carry',
  'included',
  'waived',
  'unbillable',
  'forgiven',
] as const

export type Account = (typeof ACCOUNTS)[number]

/** One step of the way. */
export interface Transfer {
  readonly from: Account
  readonly to: Account
  /** Base units, above zero. */
  readonly amount: bigint
}

export type Balances = Readonly<Record<Account, bigint>>
