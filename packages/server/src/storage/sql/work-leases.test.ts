import { workLeasesContract } from '../contract/work-leases.contract.ts'
import { migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import { createSqlWorkLeases } from './work-leases.ts'

workLeasesContract('SQLite', async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  return createSqlWorkLeases(database, 1)
})
