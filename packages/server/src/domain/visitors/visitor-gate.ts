import type { Clock } from '../clock.ts'
import type { QuotaStore } from '../quotas/quota-store.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import type { Challenges } from './challenge.ts'
import { type ConvertVisitor, createConvertVisitor } from './convert-visitor.ts'
import {
  createFindVisitor,
  type FindVisitor,
  type VisitorCounts,
  type VisitorSettings,
} from './find-visitor.ts'
import { createIdentifyVisitor } from './identify-visitor.ts'
import type { VisitorStore } from './visitor.ts'

/** Those who show no key, as this node knows them. */
export interface VisitorGate {
  readonly find: FindVisitor
  readonly convert: ConvertVisitor
  /** Look-ups since the start. */
  readonly counts: () => VisitorCounts
}

export function createVisitorGate(deps: {
  readonly visitors: VisitorStore
  readonly quotas: Pick<QuotaStore, 'exchange' | 'read'>
  readonly subscriptions: Pick<SubscriptionStore, 'findMatching'>
  readonly challenges: Challenges
  readonly clock: Pick<Clock, 'now'>
  readonly settings: Pick<VisitorSettings, 'saltMs' | 'newPerAddress'>
}): VisitorGate {
  const { saltMs, newPerAddress } = deps.settings
  const identify = createIdentifyVisitor({ ...deps, saltMs })
  const parts = { ...deps, identify, newPerAddress }
  const { find, forget, counts } = createFindVisitor(parts)
  return { find, convert: createConvertVisitor({ ...parts, forget }), counts }
}
