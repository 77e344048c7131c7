import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { ledgerCopyContract, ledgerCopyRefusals } from '../contract/ledger-copy.contract.ts'
import { usePostgres } from './postgres.fixture.ts'
import { openPostgresStores } from './postgres-stores.ts'
import { openSqliteStores } from './sqlite-stores.ts'

const postgres = usePostgres()

async function aFile() {
  const directory = mkdtempSync(join(tmpdir(), 'tollkeeper-copy-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return async () => {
    const stores = await openSqliteStores(join(directory, 'ledger.db'))
    onTestFinished(() => stores.close())
    return stores
  }
}

async function aDatabase() {
  const url = await postgres.createLedger()
  return async () => {
    const stores = await openPostgresStores(url)
    onTestFinished(() => stores.close())
    return stores
  }
}

ledgerCopyContract('SQLite to PostgreSQL', { from: aFile, to: aDatabase })
ledgerCopyRefusals('SQLite to PostgreSQL', { from: aFile, to: aDatabase })
ledgerCopyContract('PostgreSQL to SQLite', { from: aDatabase, to: aFile })
