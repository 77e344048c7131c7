import { randomUUID } from 'node:crypto'
import { readStoreUrl } from '../../packages/server/src/config/store.ts'
import { awsClientConfig } from '../../packages/server/src/marketplace/aws-client.ts'
import { openDynamoClient } from '../../packages/server/src/storage/dynamodb/client.ts'
import { createDynamoTable } from '../../packages/server/src/storage/dynamodb/dynamo-table.ts'
import { createDynamoEntitlementStore } from '../../packages/server/src/storage/dynamodb/entitlements.ts'
import { createDynamoSubscriptionStore } from '../../packages/server/src/storage/dynamodb/subscriptions.ts'
import { deleteTable, ensureTable } from '../../packages/server/src/storage/dynamodb/table-definition.ts'
import {
  createDynamoUsageStore,
  dynamoUsageOfSubscriptions,
} from '../../packages/server/src/storage/dynamodb/usage/usage-store.ts'
import { mortalRequests } from './mortal-requests.ts'
import type { SharedLedger } from './shared-ledger.ts'

const TIMEOUT_MS = 10_000
/** Of real time: those whose process died half-way are soon taken for dead. */
const GRACE_MS = 100

/**
 * A table of the run's own on an engine of this machine.
 *
 * @param url - `dynamodb://REGION/NAME?endpoint=…`; the table's name starts with the one that is named
 */
export async function onDynamo(url: string): Promise<SharedLedger> {
  const store = readStoreUrl(url, process.cwd())
  if (typeof store === 'string' || store.kind !== 'dynamodb') throw new Error(`--store ${store}`)
  const { region, endpoint, shards, transactionItems } = store
  const table = `${store.table}-${randomUUID()}`
  const client = await openDynamoClient({
    region,
    table,
    client: awsClientConfig({ mode: 'simulated', endpoint, timeoutMs: TIMEOUT_MS }, 'DynamoDB'),
    timeoutMs: TIMEOUT_MS,
  })
  await ensureTable(client, table)
  return {
    async open(life) {
      const requests = mortalRequests(client, life)
      const settings = { table, shards, transactionItems, graceMs: GRACE_MS }
      const mine = createDynamoTable(requests, settings)
      // As one who comes back does.
      await mine.recover()
      return {
        usage: requests.port(createDynamoUsageStore(mine)),
        subscriptions: requests.port(createDynamoSubscriptionStore(mine, dynamoUsageOfSubscriptions)),
        entitlements: requests.port(createDynamoEntitlementStore(mine, dynamoUsageOfSubscriptions)),
        close: async () => {},
      }
    },
    async remove() {
      await deleteTable(client, table)
      client.close()
    },
  }
}
