import { createCatalogReader } from '../config/catalog-reader.ts'
import type { Clock } from '../domain/clock.ts'
import { createManageApiKeys, type ManageApiKeys } from '../domain/keys/manage-api-keys.ts'
import type { ApiKeyVerifier } from '../domain/keys/verify-api-key.ts'
import { createManageProducts, type ManageProducts } from '../domain/products/manage-products.ts'
import type { AgreementService } from '../domain/subscriptions/agreement-service.ts'
import {
  createManageSubscriptions,
  type ManageSubscriptions,
} from '../domain/subscriptions/manage-subscription.ts'
import {
  createRequestCancellation,
  type RequestCancellation,
} from '../domain/subscriptions/request-cancellation.ts'
import { refuseWhileMoved } from '../domain/usage/ledger-guard.ts'
import type { Ledger } from './ledger.ts'

/** What a seller does with subscriptions by hand. */
export function composeManage(ledger: Ledger, clock: Clock): ManageSubscriptions {
  return createManageSubscriptions({ ...ledger, clock })
}

/** What a seller does with the keys of its users. @param verifier - of this process, if it checks keys */
export function composeManageApiKeys(
  { apiKeys, subscriptions }: Pick<Ledger, 'apiKeys' | 'subscriptions'>,
  clock: Clock,
  verifier?: ApiKeyVerifier,
): ManageApiKeys {
  return createManageApiKeys({ apiKeys, subscriptions, clock, verifier })
}

/** What a seller does with products and plans that configuration does not declare. */
export function composeManageProducts(ledger: Ledger, clock: Clock): ManageProducts {
  const { config, catalog, catalogStore, checkDimensions, cases, guard } = ledger
  return createManageProducts({
    catalog,
    store: {
      ...catalogStore,
      async change(decide) {
        await refuseWhileMoved(guard)
        await catalogStore.change(decide)
      },
    },
    reader: createCatalogReader(config.aws.region, config.mode),
    checkDimensions,
    adopt: ({ productCode, id }) => cases.adopt(productCode, id),
    configuration: config.file ?? 'the configuration',
    clock,
  })
}

/** Asks buyers, through AWS, to let an agreement be cancelled. */
export function composeRequestCancellation(
  ledger: Ledger,
  agreements: AgreementService,
  clock: Clock,
): RequestCancellation {
  return createRequestCancellation({ ...ledger, agreements, clock })
}
