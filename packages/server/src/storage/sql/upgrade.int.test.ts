import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { upgradeContract } from '../contract/upgrade.contract.ts'
import { migrate, SQLITE_SCHEMA } from './migrations.ts'
import { usePostgres } from './postgres.fixture.ts'
import { openPostgres } from './postgres.ts'
import { migratePostgres, POSTGRES_SCHEMA } from './postgres-migrations.ts'
import { openPostgresStores } from './postgres-stores.ts'
import { levelOf, type SchemaVersion } from './schema-level.ts'
import { openSqlite } from './sqlite.ts'
import { openSqliteStores } from './sqlite-stores.ts'

const postgres = usePostgres()

/** Tables of this version, by what makes them. */
function tablesOf({ migrations }: SchemaVersion): string[] {
  const script = Object.values(migrations).join('\n')
  return [...script.matchAll(/^CREATE TABLE (\w+)/gm)].map(([, name]) => name!)
}

/** What any later version may do: a table, and a column that may be left out in each one that there is. */
function nextAfter(version: SchemaVersion, floor: number): SchemaVersion {
  const adds = ['CREATE TABLE next_version (name TEXT PRIMARY KEY)']
  for (const table of tablesOf(version)) adds.push(`ALTER TABLE ${table} ADD COLUMN next_version TEXT`)
  return { migrations: { ...version.migrations, '2999-01-01-next': `${adds.join(';\n')};\n` }, floor }
}

upgradeContract('SQLite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-upgrade-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'ledger.db')
  const openAs = async (version: SchemaVersion) => {
    const database = openSqlite(file)
    onTestFinished(() => database.close())
    return migrate(database, version)
  }
  return {
    open: async () => {
      const stores = await openSqliteStores(file)
      onTestFinished(() => stores.close())
      return stores
    },
    openAsNext: () => openAs(nextAfter(SQLITE_SCHEMA, 1)),
    openWithRaisedFloor: () => openAs(nextAfter(SQLITE_SCHEMA, levelOf(SQLITE_SCHEMA) + 1)),
    contents: async () => {
      const database = openSqlite(file)
      try {
        return await database.read((sql) => sql.all('SELECT * FROM ledger ORDER BY name'))
      } finally {
        database.close()
      }
    },
  }
})

upgradeContract('PostgreSQL', async () => {
  const url = await postgres.server().createEmpty()
  onTestFinished(() => postgres.server().drop(url))
  const openAs = async (version: SchemaVersion) => {
    const database = openPostgres(url)
    try {
      return await migratePostgres(database, version)
    } finally {
      await database.close()
    }
  }
  return {
    open: async () => {
      const stores = await openPostgresStores(url)
      onTestFinished(() => stores.close())
      return stores
    },
    openAsNext: () => openAs(nextAfter(POSTGRES_SCHEMA, 1)),
    openWithRaisedFloor: () => openAs(nextAfter(POSTGRES_SCHEMA, levelOf(POSTGRES_SCHEMA) + 1)),
    contents: async () => {
      const database = openPostgres(url)
      try {
        return await database.read((sql) => sql.all('SELECT * FROM ledger ORDER BY name'))
      } finally {
        await database.close()
      }
    },
  }
})

it('has the same levels on both engines', () => {
  expect(Object.keys(POSTGRES_SCHEMA.migrations)).toEqual(Object.keys(SQLITE_SCHEMA.migrations))
  expect(POSTGRES_SCHEMA.floor).toBeLessThanOrEqual(levelOf(POSTGRES_SCHEMA))
})
