import { meteringRulesContract } from '../contract/metering-rules.contract.ts'
import { usageStoreContract } from '../contract/usage-store.contract.ts'
import { openSqlite } from './database.ts'
import { migrate } from './migrations.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'
import { createSqlUsageStore } from './usage-store.ts'

const open = async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return { usage: createSqlUsageStore(database), subscriptions: createSqlSubscriptionStore(database) }
}

usageStoreContract('SQLite', open)
meteringRulesContract('SQLite', open)
