import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { DomainError } from '../../domain/error.ts'
import { openPostgres } from './postgres.ts'

/** What PostgreSQL says of a user who may not make databases. */
const INSUFFICIENT_PRIVILEGE = '42501'

/**
 * A new, empty database on the same server, for what must not touch the one that the URL names.
 *
 * @returns its URL, and what removes it, with all connections that are left
 * @throws {DomainError} `request.invalid` where this user may not make one
 */
export async function createScratchDatabase(
  url: string,
  connectTimeoutMs: number,
): Promise<{ readonly url: string; remove(): Promise<void> }> {
  const name = `tollkeeper_rehearsal_${randomBytes(6).toString('hex')}`
  const run = async (statement: string) => {
    const database = openPostgres(url, { connectTimeoutMs })
    const client = await database.connect()
    try {
      await client.query(statement)
    } finally {
      await client.end()
      await database.close()
    }
  }
  try {
    await run(`CREATE DATABASE ${name}`)
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== INSUFFICIENT_PRIVILEGE) throw error
    throw new DomainError(
      'request.invalid',
      'a rehearsal makes a database of its own, and this user may not: `ALTER ROLE … CREATEDB`, or name another user',
      { cause: error },
    )
  }
  const scratch = new URL(url)
  scratch.pathname = `/${name}`
  return { url: scratch.href, remove: () => run(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) }
}
