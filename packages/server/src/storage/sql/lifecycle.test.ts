import { lifecycleContract } from '../contract/lifecycle.contract.ts'
import { subscriberMeteringContract } from '../contract/subscriber-metering.contract.ts'
import { createSqlBuyerCaseStore } from './buyer-case-store.ts'
import { openSqlite } from './database.ts'
import { migrate } from './migrations.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'
import { createSqlUsageStore } from './usage-store.ts'

const open = async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return {
    cases: createSqlBuyerCaseStore(database),
    subscriptions: createSqlSubscriptionStore(database),
    usage: createSqlUsageStore(database),
  }
}

lifecycleContract('SQLite', open)
subscriberMeteringContract('SQLite', open)
