import { goodbyeContract } from '../contract/usage-store-goodbye.contract.ts'
import { openSqlite } from './database.ts'
import { migrate } from './migrations.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'
import { createSqlUsageStore } from './usage-store.ts'

goodbyeContract('SQLite', async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return { usage: createSqlUsageStore(database), subscriptions: createSqlSubscriptionStore(database) }
})
