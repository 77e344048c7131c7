import { outboxStoreContract } from '../contract/outbox-store.contract.ts'
import { openSqlite } from './database.ts'
import { appendDomainEvent } from './domain-events.ts'
import { migrate } from './migrations.ts'
import { createSqlOutboxStore } from './outbox-store.ts'
import { createSqlUsageStore } from './usage-store.ts'

outboxStoreContract('SQLite', async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return {
    outbox: createSqlOutboxStore(database),
    usage: createSqlUsageStore(database),
    append: (event) => database.transaction((sql) => appendDomainEvent(sql, event)),
  }
})
