import type { StoreConfig } from '../../packages/server/src/config/store.ts'
import { watchDynamo } from './watch-dynamo.ts'
import { watchPostgres } from './watch-postgres.ts'
import { watchSqlite } from './watch-sqlite.ts'

/** What this process asks of the store that it is configured for, seen from below the product. */
export interface StoreWatch {
  /** Call before the store is opened. */
  begin(store: StoreConfig): Promise<void>
  /** Transactions that were committed since the start. */
  commits(): number
  /** Of DynamoDB alone. */
  requests(): number
  /** As `DynamoWatch` counts them. */
  writeUnits(): number
  /** @throws where the store could lose what it acknowledged; but for DynamoDB Local, which keeps nothing */
  assertDurable(store: StoreConfig): Promise<void>
}

/** Call before the store is opened. */
export function watchStore(): StoreWatch {
  const [sqlite, postgres, dynamo] = [watchSqlite(), watchPostgres(), watchDynamo()]
  return {
    async begin(store) {
      if (store.kind === 'dynamodb') await dynamo.begin()
    },
    commits: () => sqlite.commits() + postgres.commits() + dynamo.commits(),
    requests: dynamo.requests,
    writeUnits: dynamo.writeUnits,
    async assertDurable(store) {
      if (store.kind === 'postgres') await postgres.assertDurable(store.url)
      else if (store.kind === 'sqlite') sqlite.assertDurable()
    },
  }
}
