import { lifecycleContract } from '../contract/lifecycle.contract.ts'
import { createSqlBuyerCaseStore } from './buyer-case-store.ts'
import { openSqlite } from './database.ts'
import { migrate } from './migrations.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'
import { createSqlUsageStore } from './usage-store.ts'

lifecycleContract('SQLite', async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return {
    cases: createSqlBuyerCaseStore(database),
    subscriptions: createSqlSubscriptionStore(database),
    usage: createSqlUsageStore(database),
  }
})
