import { randomBytes } from 'node:crypto'
import type { SqlDatabase } from './database.ts'
import { text } from './rows.ts'

/**
 * A random key of this ledger, made when it is first asked for and the same ever after, in every process.
 *
 * @param name - what it is for: one key, one purpose
 * @param bytes - its length; of an existing one it changes nothing
 */
export async function ledgerSecret(database: SqlDatabase, name: string, bytes: number): Promise<Uint8Array> {
  const row = `secret:${name}`
  const known = await database.read((sql) => sql.get('SELECT value FROM ledger WHERE name = ?', row))
  if (known !== undefined) return Buffer.from(text(known.value), 'base64url')
  return database.transaction(async (sql) => {
    // Another process may have been first: then its key is the one.
    await sql.run(
      'INSERT INTO ledger (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING',
      row,
      randomBytes(bytes).toString('base64url'),
    )
    const { value } = (await sql.get('SELECT value FROM ledger WHERE name = ?', row))!
    return Buffer.from(text(value), 'base64url')
  })
}
