import { meteringRulesContract } from '../contract/metering-rules.contract.ts'
import { usageStoreContract } from '../contract/usage-store.contract.ts'
import { migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

const open = async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return { usage: createSqliteUsageStore(database), subscriptions: createSqlSubscriptionStore(database) }
}

usageStoreContract('SQLite', open)
meteringRulesContract('SQLite', open)
