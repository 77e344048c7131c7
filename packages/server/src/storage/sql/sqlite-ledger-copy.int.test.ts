import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { LEDGER_KINDS } from '../../domain/moving/ledger-kinds.ts'
import { ledgerCopyContract, ledgerCopyRefusals } from '../contract/ledger-copy.contract.ts'
import { COPIED_TABLES, UNCOPIED_TABLES } from './copied-tables.ts'
import { snakeCase } from './ledger-copy-reader.ts'
import { migrate } from './migrations.ts'
import { text } from './rows.ts'
import { openSqlite } from './sqlite.ts'
import { openSqliteStores } from './sqlite-stores.ts'

async function aFile() {
  const directory = mkdtempSync(join(tmpdir(), 'tollkeeper-copy-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return async () => {
    const stores = await openSqliteStores(join(directory, 'ledger.db'))
    onTestFinished(() => stores.close())
    return stores
  }
}

ledgerCopyContract('SQLite to SQLite', { from: aFile, to: aFile })
ledgerCopyRefusals('SQLite to SQLite', { from: aFile, to: aFile })

it('copies every column of every table that is not made anew', async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  const found = await database.read((sql) =>
    sql.all(
      `SELECT t.name AS tab, c.name AS col FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'`,
    ),
  )
  const known = new Set<string>()
  for (const { name, fields } of LEDGER_KINDS) {
    const { table, ofMeter, references = [] } = COPIED_TABLES[name]
    for (const field of Object.keys(fields)) {
      const reference = references.find((one) => one.field === field)
      known.add(`${table}.${reference?.column ?? snakeCase(field)}`)
    }
    known.add(`${table}.seq`)
    if (ofMeter) known.add(`${table}.meter`)
  }
  const left = found
    .map((row) => ({ table: text(row.tab), name: `${row.tab}.${row.col}` }))
    .filter(({ table, name }) => !known.has(name) && !UNCOPIED_TABLES.includes(table))
    .map(({ name }) => name)
  // Events are numbered anew: a sink's place among them is copied as `behind`.
  expect(left).toEqual(['sink.cursor'])
  await database.close()
})
