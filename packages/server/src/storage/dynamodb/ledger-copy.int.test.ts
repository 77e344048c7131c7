import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { ledgerCopyContract, ledgerCopyRefusals } from '../contract/ledger-copy.contract.ts'
import { openSqliteStores } from '../sql/sqlite-stores.ts'
import { describeOnDynamo, openDynamoForTest } from './dynamodb.fixture.ts'

async function aFile() {
  const directory = mkdtempSync(join(tmpdir(), 'tollkeeper-copy-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return async () => {
    const stores = await openSqliteStores(join(directory, 'ledger.db'))
    onTestFinished(() => stores.close())
    return stores
  }
}

async function aTable() {
  const ledger = Symbol('a table')
  return () => openDynamoForTest(ledger)
}

describeOnDynamo('moving a ledger', () => {
  ledgerCopyContract('SQLite to DynamoDB', { from: aFile, to: aTable })
  ledgerCopyRefusals('SQLite to DynamoDB', { from: aFile, to: aTable })
  ledgerCopyContract('DynamoDB to SQLite', { from: aTable, to: aFile })
})
