import type { ExpectedUsage } from './expected-usage.ts'
import type { Random } from './random.ts'
import type { Scenario } from './scenario.ts'
import type { World } from './world.ts'

export interface Trouble {
  /** Processes die. */
  readonly crashes: boolean
  /** AWS fails, the network fails, buyers and listings are in a bad state. */
  readonly faults: boolean
  /** The clock jumps. */
  readonly jumps: boolean
}

/** One agreement, as AWS and as we know it. */
export interface Deal {
  readonly aws: string
  readonly product: string
  readonly account: string
  readonly tenant: string
  readonly lineage: number
  /** Ours, once AWS's news of it has arrived. */
  id: string | undefined
  ended: boolean
  /** Renews another; AWS's news of that has arrived. */
  isLinked: boolean
}

/** What AWS said that a contract grants, and when it was asked. */
export interface Grant {
  /** Ours. */
  readonly subscription: string
  readonly at: number
  readonly seats: number
  readonly isEnterprise: boolean
}

export interface Run {
  readonly scenario: Scenario
  readonly world: World
  readonly random: Random
  readonly trouble: Trouble
  readonly expected: ExpectedUsage
  readonly deals: Deal[]
  /** In the order of asking. */
  readonly grants: Grant[]
  /** Keys of records that somebody else metered. */
  readonly foreign: Set<string>
  readonly trace: string[]
  /** Nothing went wrong that could cost usage: then none may be refused, in doubt or in conflict. */
  readonly calm: boolean
}
