import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { ledgerSecret } from './ledger-secret.ts'
import { migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'

function aFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-secret-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'ledger.db')
}

async function open(file: string) {
  const database = openSqlite(file)
  onTestFinished(() => database.close())
  await migrate(database)
  return database
}

it('a ledger’s secret is one for all its processes, and is there after a restart', async () => {
  const file = aFile()
  const [one, two] = [await open(file), await open(file)]
  const [a, b] = await Promise.all([ledgerSecret(one, 'tickets', 32), ledgerSecret(two, 'tickets', 32)])
  expect(a).toHaveLength(32)
  expect(a).toEqual(b)
  one.close()
  two.close()
  expect(await ledgerSecret(await open(file), 'tickets', 32)).toEqual(a)
})

it('no two ledgers, and no two purposes, have the same', async () => {
  const database = await open(aFile())
  const secrets = [
    await ledgerSecret(database, 'tickets', 32),
    await ledgerSecret(database, 'other', 32),
    await ledgerSecret(await open(aFile()), 'tickets', 32),
  ]
  expect(new Set(secrets.map((secret) => Buffer.from(secret).toString('hex'))).size).toBe(3)
})
