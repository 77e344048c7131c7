import type { Clock } from '../clock.ts'
import type { CheckAccess } from '../entitlements/check-access.ts'
import type { IngestUsage } from '../usage/ingest-usage.ts'
import { createDescribeQuota, type DescribeQuota } from './describe-quota.ts'
import { createFindHolders, type VerifyKey } from './find-holders.ts'
import { createLeases } from './leases.ts'
import type { QuotaStore } from './quota-store.ts'
import { createReserveQuota, type ReserveQuota } from './reserve-quota.ts'
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
  readonly quotas: QuotaStore
  readonly ingest: IngestUsage
  readonly clock: Clock
}): QuotaGate {
  const { quotas, clock } = deps
  const leases = createLeases(quotas)
  const parts = { ...deps, leases, findHolders: createFindHolders(deps) }
  return {
    validate: createValidateQuota(parts),
    describe: createDescribeQuota(parts),
    ...createReserveQuota(parts),
    sweep: () => leases.sweep(clock.now()),
    close: () => leases.close(clock.now()),
  }
}
