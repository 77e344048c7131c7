import { randomUUID } from 'node:crypto'
import type { Clock } from '../domain/clock.ts'
import { DomainError } from '../domain/error.ts'
import { declareProducts } from '../domain/products/declare-products.ts'
import { newSubscription } from '../domain/subscriptions/subscription.ts'
import type { Ledger } from './ledger.ts'

/**
 * Takes what the configuration declares into the ledger: products and plans, whose changes hold from now on, and
 * subscriptions.
 *
 * @throws {DomainError} `product.exists`, `request.invalid`
 */
export async function declareConfiguration(ledger: Ledger, clock: Clock): Promise<void> {
  // What is being moved is left as it is: the copy would not have it.
  if (ledger.guard.waiting()?.copy !== undefined) return
  await declareProducts(ledger.catalogStore, ledger.config.products, clock.now())
  await ledger.catalog.refresh()
  await declareSubscriptions(ledger, clock)
}

/**
 * Adds the subscriptions that the configuration declares and that the ledger never had. One that has ended stays
 * ended; a changed plan or tenant id is taken over, audited.
 *
 * @throws {DomainError} `request.invalid` where a declared start differs from the ledger's: what was billed stands on it
 */
async function declareSubscriptions({ config, subscriptions }: Ledger, clock: Clock): Promise<void> {
  for (const declared of config.subscriptions) {
    const { product, licenseArn, customerIdentifier, plan, tenantId, accessStart } = declared
    const reference = licenseArn === undefined ? { customerIdentifier } : { licenseArn }
    const [known] = await subscriptions.findMatching(product, reference)
    const now = clock.now()
    if (known === undefined) {
      await subscriptions.create(
        newSubscription({
          ...declared,
          id: `sub_${randomUUID()}`,
          buyer: `buy_${randomUUID()}`,
          status: 'active',
          grantedAt: declared.accessStart,
          createdAt: now,
        }),
        'config',
      )
      continue
    }
    if (known.accessStart !== accessStart) {
      const time = new Date(known.accessStart).toISOString()
      throw new DomainError(
        'request.invalid',
        `the subscription of ${licenseArn ?? customerIdentifier} starts at ${time} in the ledger: set its accessStart to that`,
      )
    }
    const changed =
      (plan !== undefined && plan !== known.plan) || (tenantId !== undefined && tenantId !== known.tenantId)
    if (changed) await subscriptions.change(known.id, () => ({ plan, tenantId }), 'config', now)
  }
}
