import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { DomainError } from '../../domain/error.ts'

/**
 * Copies a SQLite ledger as it is at one moment, while others write. A plain copy of the file would lack what is in the
 * write-ahead log, or be of several moments.
 *
 * @param to - never there half written
 */
export async function backUpSqlite(file: string, to: string): Promise<void> {
  if (!existsSync(file)) throw new DomainError('request.invalid', `there is no ledger at ${file}`)
  if (existsSync(to))
    throw new DomainError('request.invalid', `${to} is there already: name a file that is not`)
  const partial = `${to}.partial`
  rmSync(partial, { force: true })
  const source = new Database(file)
  try {
    source.pragma('busy_timeout = 15000')
    source.prepare('VACUUM INTO ?').run(partial)
  } finally {
    source.close()
  }
  const copy = new Database(partial, { readonly: true })
  const found = copy.pragma('quick_check(1)', { simple: true })
  copy.close()
  if (found !== 'ok') throw new DomainError('request.invalid', `the copy of ${file} is damaged: ${found}`)
  flush(partial)
  renameSync(partial, to)
  flush(dirname(to))
}

function flush(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
