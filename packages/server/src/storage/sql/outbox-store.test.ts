import { outboxStoreContract } from '../contract/outbox-store.contract.ts'
import { appendDomainEvent } from './domain-events.ts'
import { migrate } from './migrations.ts'
import { createSqlOutboxStore } from './outbox-store.ts'
import { openSqlite } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'

outboxStoreContract('SQLite', async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return {
    outbox: createSqlOutboxStore(database),
    usage: createSqliteUsageStore(database),
    append: (event) => database.transaction((sql) => appendDomainEvent(sql, event)),
  }
})
