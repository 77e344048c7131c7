/** How often what is random is tried, and how many stand for many: of a server less, since its steps take longer. */
export interface ContractRuns {
  readonly outbox: number
  readonly accounts: number
  readonly quotas: number
  /** In how many of its orders a renewal is told. */
  readonly orders: number
  /** How many hours of a month are lived through. */
  readonly hours: number
  /** More than a use case reads at once; a closing reads 100. */
  readonly pages: number
  /** Subscriptions of a seller of whom a few lose what AWS granted: few enough of them that four are many. */
  readonly sold: number
  /** Events that are forgotten in more steps than one. */
  readonly forgotten: number
  /** So many times longer is a step of time of which it only matters that it is short. */
  readonly pace: number
}

export const MANY: ContractRuns = {
  outbox: 150,
  accounts: 60,
  quotas: 30,
  orders: 24,
  hours: 720,
  pages: 201,
  sold: 20,
  forgotten: 12_000,
  pace: 1,
}

export const FEW: ContractRuns = {
  outbox: 8,
  accounts: 6,
  quotas: 6,
  orders: 5,
  hours: 72,
  pages: 101,
  sold: 10,
  forgotten: 2_000,
  pace: 5,
}
