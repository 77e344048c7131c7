import type { Clock } from '../clock.ts'
import type { ProductCatalog } from '../products/product.ts'
import type { BuyerCaseStore } from './buyer-case.ts'
import { follow } from './follow.ts'
import type { EventState, MarketplaceEvent } from './marketplace-event.ts'

/**
 * Takes a notification in: kept once by its id, added to what is known of its agreement, and followed by the buyer's
 * subscriptions, all in one step that is on disk when it resolves. Safe to call again with the same.
 *
 * @returns what became of it, and the subscriptions that follow its agreement
 */
export type ReceiveEvent = (
  event: MarketplaceEvent,
) => Promise<{ state: EventState; subscriptions: readonly string[] }>

/** @param onFollowed - told after each event that a subscription follows, such as to read its entitlements anew */
export function createReceiveEvent(deps: {
  readonly cases: BuyerCaseStore
  readonly catalog: ProductCatalog
  readonly clock: Clock
  readonly onFollowed?: (subscription: string, event: MarketplaceEvent) => void
}): ReceiveEvent {
  const { cases, catalog, clock } = deps
  return async (event) => {
    const now = clock.now()
    const result = await cases.receive(
      event,
      productOf(catalog, event),
      (buyerCase) => follow(buyerCase, catalog.find(buyerCase.product), now),
      now,
    )
    for (const id of result.subscriptions) deps.onFollowed?.(id, event)
    return result
  }
}

function productOf(catalog: ProductCatalog, event: MarketplaceEvent): string | undefined {
  const { productCode, productId } = event
  return catalog
    .list()
    .find(
      (product) =>
        product.productCode === productCode || (productId !== undefined && product.productId === productId),
    )?.id
}
