import type { Clock } from '../clock.ts'
import type { CheckAccess } from '../entitlements/check-access.ts'
import type { ProductCatalog } from '../products/product.ts'
import { whenKnown } from '../prompt.ts'
import type { OutboxStore } from '../telling/outbox-store.ts'
import type { IngestUsage } from '../usage/ingest-usage.ts'
import type { UsageStore } from '../usage/usage-store.ts'
import type { FindVisitor } from '../visitors/find-visitor.ts'
import { createDescribeQuota, type DescribeQuota } from './describe-quota.ts'
import { createFindHolders, type VerifyKey } from './find-holders.ts'
import { createLeases } from './leases.ts'
import type { QuotaStore } from './quota-store.ts'
import { createReserveQuota, type ReserveQuota } from './reserve-quota.ts'
import { createThresholdTeller } from './tell-thresholds.ts'
import { createValidateQuota, type ValidateQuota } from './validate-quota.ts'

/** The gate of this node: who may do what now, and what was used. */
export interface QuotaGate extends ReserveQuota {
  readonly validate: ValidateQuota
  readonly describe: DescribeQuota
  /** Gives back what slices of limits have left when their time is over; round about each second. */
  sweep(): Promise<void>
  /** Gives all slices back: this node stops. */
  close(): Promise<void>
}

export function createQuotaGate(deps: {
  readonly checkAccess: CheckAccess
  readonly verifyKey: VerifyKey
  readonly findVisitor: FindVisitor
  readonly catalog: ProductCatalog
  readonly quotas: QuotaStore
  readonly usage: Pick<UsageStore, 'isRecorded'>
  readonly ingest: IngestUsage
  readonly outbox: Pick<OutboxStore, 'tellOnce'>
  readonly clock: Clock
  /** Something could not be told; who asked was answered. */
  readonly onError: (error: unknown) => void
}): QuotaGate {
  const { quotas, clock } = deps
  const leases = createLeases(quotas)
  const parts = { ...deps, leases, findHolders: createFindHolders(deps) }
  const thresholds = createThresholdTeller(parts)
  const validate = createValidateQuota(parts)
  const reservations = createReserveQuota(parts)
  return {
    validate: (question) =>
      whenKnown(validate(question), (answer) =>
        question.mode === 'look' ? answer : whenKnown(thresholds.look(answer), () => answer),
      ),
    describe: createDescribeQuota(parts),
    ...reservations,
    async reserve(question) {
      const answer = await reservations.reserve(question)
      await thresholds.look(answer)
      return answer
    },
    async settle(id, quantity, scope) {
      const settled = await reservations.settle(id, quantity, scope)
      await thresholds.lookAtSettled(settled)
      return settled
    },
    sweep: () => leases.sweep(clock.now()),
    close: () => leases.close(clock.now()),
  }
}
