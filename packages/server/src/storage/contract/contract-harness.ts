import type { EntitledCustomer, Entitlement } from '../../domain/entitlements/entitlement.ts'
import type { EntitlementStore } from '../../domain/entitlements/entitlement-store.ts'
import {
  createRefreshEntitlements,
  refreshDueEntitlements,
} from '../../domain/entitlements/refresh-entitlements.ts'
import { DomainError } from '../../domain/error.ts'
import type { Product } from '../../domain/products/product.ts'
import type { BuyerCaseStore } from '../../domain/subscriptions/buyer-case.ts'
import { lookAfterSubscriptions } from '../../domain/subscriptions/look-after.ts'
import { createReceiveEvent } from '../../domain/subscriptions/receive-event.ts'
import { licenseTail } from '../../domain/subscriptions/subscription.ts'
import { aProduct } from './fixtures.ts'
import { type Stores, startLedger } from './ledger-harness.ts'

export interface ContractStores extends Stores {
  readonly cases: BuyerCaseStore
  readonly entitlements: EntitlementStore
  /** Names of the events that are told, oldest first. */
  readonly told: (subscription: string) => Promise<readonly string[]>
}

export const REFRESH_MS = 3_600_000

/** A product that is sold by contract. */
export function aContract(values: Partial<Product> = {}): Product {
  return aProduct({ pricing: 'contract-with-consumption', ...values })
}

export function seats(units: number, expiresAt?: number): Entitlement {
  return { dimension: 'seats', value: { kind: 'integer', value: units }, expiresAt }
}

/** The ledger with contracts, and an AWS that grants what it is told. */
export async function startContracts<S extends ContractStores = ContractStores>(
  open: () => Promise<S>,
  product: Product = aContract(),
  now?: number,
) {
  const ledger = await startLedger(open, product, now)
  const { entitlements, cases, usage, catalog, clock } = ledger
  const grants = new Map<string, readonly Entitlement[]>()
  const asked: string[] = []
  const trouble = { isDown: false }
  const deps = {
    entitlements,
    cases,
    usage,
    catalog,
    clock,
    refreshMs: REFRESH_MS,
    service: {
      getEntitlements: async (_: string, customer: EntitledCustomer) => {
        const name = nameOf(customer)
        asked.push(name)
        if (trouble.isDown) throw new DomainError('marketplace.unavailable', 'AWS is down')
        return grants.get(name) ?? []
      },
    },
  }
  const refresh = createRefreshEntitlements(deps)
  return {
    ...ledger,
    ...deps,
    refresh,
    /** Customers that AWS was asked for. */
    asked,
    trouble,
    /** From now on. Nothing: the contract is over. */
    grant: (of: string, ...granted: Entitlement[]) => void grants.set(of, granted),
    /** @param read - stands in the place of `refresh` */
    refreshDue: (read = refresh) => refreshDueEntitlements({ ...deps, refresh: read }),
    receive: createReceiveEvent({ cases, catalog, clock }),
    lookAfter: () => lookAfterSubscriptions({ cases, usage, catalog }, clock.now()),
    statusOf: async (id: string) => (await ledger.subscriptions.get(id)).status,
  }
}

/** What AWS knows a customer by. */
export function nameOf(customer: EntitledCustomer | { readonly licenseArn: string | undefined }): string {
  if ('licenseArn' in customer) return licenseTail(customer.licenseArn!)
  return 'customerIdentifier' in customer ? customer.customerIdentifier : customer.customerAwsAccountId
}
