import { lifecycleContract } from '../contract/lifecycle.contract.ts'
import { subscriberMeteringContract } from '../contract/subscriber-metering.contract.ts'
import { createSqlBuyerCaseStore } from './buyer-case-store.ts'
import { migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

const open = async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return {
    cases: createSqlBuyerCaseStore(database),
    subscriptions: createSqlSubscriptionStore(database),
    usage: createSqliteUsageStore(database),
  }
}

lifecycleContract('SQLite', open)
subscriberMeteringContract('SQLite', open)
