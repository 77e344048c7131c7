import { consumptionContract } from '../contract/consumption.contract.ts'
import { entitlementStoreContract } from '../contract/entitlement-store.contract.ts'
import { createSqlBuyerCaseStore } from './buyer-case-store.ts'
import { createSqlEntitlementStore } from './entitlement-store.ts'
import { migrate } from './migrations.ts'
import { text } from './rows.ts'
import { openSqlite } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

const open = async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return {
    cases: createSqlBuyerCaseStore(database),
    entitlements: createSqlEntitlementStore(database),
    subscriptions: createSqlSubscriptionStore(database),
    usage: createSqliteUsageStore(database),
    told: async (subscription: string) => {
      const rows = await database.read((sql) =>
        sql.all('SELECT type FROM domain_event WHERE subscription = ? ORDER BY seq', subscription),
      )
      return rows.map((row) => text(row.type))
    },
  }
}

entitlementStoreContract('SQLite', open)
consumptionContract('SQLite', open)
