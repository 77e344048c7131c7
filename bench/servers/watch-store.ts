import type { StoreConfig } from '../../packages/server/src/config/store.ts'
import { watchPostgres } from './watch-postgres.ts'
import { watchSqlite } from './watch-sqlite.ts'

/** What this process asks of the store that it is configured for, seen from below the product. */
export interface StoreWatch {
  /** Transactions that were committed since the start. */
  commits(): number
  /** @throws where the store could lose what it acknowledged */
  assertDurable(store: StoreConfig): Promise<void>
}

/** Call before the store is opened. */
export function watchStore(): StoreWatch {
  const [sqlite, postgres] = [watchSqlite(), watchPostgres()]
  return {
    commits: () => sqlite.commits() + postgres.commits(),
    async assertDurable(store) {
      if (store.kind === 'postgres') await postgres.assertDurable(store.url)
      else sqlite.assertDurable()
    },
  }
}
