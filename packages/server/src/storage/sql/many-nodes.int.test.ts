import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { manyNodesContract } from '../contract/many-nodes.contract.ts'
import { migrate } from './migrations.ts'
import { openSqlite, type SqliteDatabase } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'
import { createSqlWorkLeases } from './work-leases.ts'

const files = new Map<symbol, string>()
const databases: SqliteDatabase[] = []

afterEach(() => {
  for (const database of databases.splice(0)) database.close()
  for (const folder of files.values()) rmSync(folder, { recursive: true, force: true })
  files.clear()
})

for (const slices of [1, 16]) {
  manyNodesContract(`SQLite, ${slices === 1 ? 'whole' : `in ${slices} slices`}`, async (ledger) => {
    const folder = files.get(ledger) ?? mkdtempSync(join(tmpdir(), 'tollkeeper-nodes-'))
    files.set(ledger, folder)
    const database = openSqlite(join(folder, 'ledger.db'))
    databases.push(database)
    await migrate(database)
    return {
      usage: createSqliteUsageStore(database),
      subscriptions: createSqlSubscriptionStore(database),
      leases: createSqlWorkLeases(database, slices),
    }
  })
}
