import { goodbyeContract } from '../contract/usage-store-goodbye.contract.ts'
import { migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

goodbyeContract('SQLite', async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return { usage: createSqliteUsageStore(database), subscriptions: createSqlSubscriptionStore(database) }
})
