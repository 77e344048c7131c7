import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { DomainError } from '../../domain/error.ts'
import type { Row, Sql, SqlDatabase, SqlValue } from './database.ts'
import { createListeners } from './listeners.ts'

/** One connection that writes, and of a file one that reads: steps are never interleaved, statements resolve at once. */
export interface SqliteDatabase extends SqlDatabase {
  readonly engine: 'sqlite'
  /** The same as `transaction` for the hot path: synchronous statements, no promise for each. */
  transactionSync<T>(step: () => T): Promise<T>
  /** SQLite's own handle: for prepared statements of the hot path and for migrations. */
  readonly handle: Database.Database
  readonly file: string
  close(): void
}

/** How long one attempt waits for another process; the event loop waits with it, so it is short. */
const BUSY_TIMEOUT_MS = 50
/** How long all attempts together wait before the caller is told that the database is busy. */
const BUSY_TOTAL_MS = 15_000

/**
 * Opens a SQLite file for durable use: write-ahead log, and every commit is flushed to the disk before it returns.
 *
 * @param file - a path, or `:memory:`
 */
export function openSqlite(file: string): SqliteDatabase {
  if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true })
  const handle = new Database(file)
  handle.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
  handle.pragma('journal_mode = WAL')
  handle.pragma('synchronous = FULL')
  handle.pragma('foreign_keys = ON')
  // 16 MB: four times as much took in no more, at ten million events a day; the system's own cache has the file.
  handle.pragma('cache_size = -16384')
  handle.pragma('wal_autocheckpoint = 4000')
  handle.pragma('temp_store = MEMORY')
  const listeners = createListeners()
  let isAnnounced = false
  const announce = () => {
    isAnnounced = true
  }
  const sql = { ...sqlOn(handle), announce }
  const queue = createQueue()

  const reader = file === ':memory:' ? undefined : createReader(file)
  const read: SqlDatabase['read'] = reader?.read ?? ((step) => queue(() => step(sql)))

  const transaction = <T>(step: (sql: Sql) => Promise<T>): Promise<T> => {
    const askedAt = performance.now()
    return queue(async () => {
      await begin(handle, askedAt)
      isAnnounced = false
      try {
        const result = await step(sql)
        handle.exec('COMMIT')
        if (isAnnounced) listeners.tell()
        return result
      } catch (error) {
        if (handle.inTransaction) handle.exec('ROLLBACK')
        throw error
      }
    })
  }

  return {
    engine: 'sqlite',
    name: file,
    handle,
    file,
    transaction,
    read,
    get: (text, ...values) => read((one) => one.get(text, ...values)),
    listen: listeners.listen,
    transactionSync: (step) => {
      const askedAt = performance.now()
      return queue(async () => {
        await begin(handle, askedAt)
        try {
          const result = step()
          handle.exec('COMMIT')
          return result
        } catch (error) {
          if (handle.inTransaction) handle.exec('ROLLBACK')
          throw error
        }
      })
    },
    async snapshot(step) {
      if (file === ':memory:') return queue(() => step(sql))
      const reader = new Database(file, { readonly: true })
      try {
        reader.pragma('temp_store = MEMORY')
        reader.exec('BEGIN')
        return await step(sqlOn(reader))
      } finally {
        reader.close()
      }
    },
    close: () => {
      reader?.close()
      handle.close()
    },
  }
}

/** Reads of a file, one after the other, beside whatever is being written. Opened with the first. */
function createReader(file: string): { read: SqlDatabase['read']; close(): void } {
  const queue = createQueue()
  let opened: { handle: Database.Database; sql: Sql } | undefined
  let isClosed = false
  const open = () => {
    if (isClosed) throw new TypeError('The database connection is not open')
    const handle = new Database(file, { readonly: true })
    handle.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
    handle.pragma('temp_store = MEMORY')
    return { handle, sql: sqlOn(handle) }
  }
  return {
    read: (step) =>
      queue(async () => {
        opened ??= open()
        const { handle, sql } = opened
        // What is read in several statements is of one moment.
        handle.exec('BEGIN')
        try {
          return await step(sql)
        } finally {
          if (handle.open && handle.inTransaction) handle.exec('COMMIT')
        }
      }),
    close: () => {
      isClosed = true
      opened?.handle.close()
    },
  }
}

interface Prepared {
  readonly statement: Database.Statement
  /** `?1`, `?2` may stand more than once; the driver takes them by name. */
  readonly bind: (values: readonly SqlValue[]) => unknown[]
}

function sqlOn(handle: Database.Database): Sql {
  const statements = new Map<string, Prepared>()
  const prepare = (text: string): Prepared => {
    let prepared = statements.get(text)
    if (prepared === undefined) {
      const statement = handle.prepare(text)
      if (statement.reader) statement.safeIntegers(true)
      prepared = { statement, bind: /\?\d/.test(text) ? byNumber : inOrder }
      statements.set(text, prepared)
    }
    return prepared
  }
  return {
    all: async (text, ...values) => {
      const { statement, bind } = prepare(text)
      return statement.all(...bind(values)) as Row[]
    },
    get: async (text, ...values) => {
      const { statement, bind } = prepare(text)
      return statement.get(...bind(values)) as Row | undefined
    },
    run: async (text, ...values) => {
      const { statement, bind } = prepare(text)
      return { changes: statement.run(...bind(values)).changes }
    },
    // There is one writer.
    takeTurn: async () => {},
    announce: () => {},
  }
}

function inOrder(values: readonly SqlValue[]): unknown[] {
  return values as unknown[]
}

function byNumber(values: readonly SqlValue[]): unknown[] {
  return [Object.fromEntries(values.map((value, index) => [index + 1, value]))]
}

/** One step after the other, in the order of asking. */
function createQueue(): <T>(step: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (step) => {
    const result = last.then(step, step)
    last = result.catch(() => undefined)
    return result
  }
}

/**
 * Takes SQLite's one write lock; gives way to the event loop while another process has it.
 *
 * @param askedAt - whoever waits behind others that wait does not wait anew
 */
async function begin(handle: Database.Database, askedAt: number): Promise<void> {
  let hasWaited = false
  try {
    for (;;) {
      try {
        handle.exec('BEGIN IMMEDIATE')
        return
      } catch (error) {
        if (!isBusy(error)) throw error
        if (performance.now() - askedAt > BUSY_TOTAL_MS)
          throw new DomainError('ledger.busy', 'the ledger is locked by another process; try again', {
            cause: error,
          })
        // From here on the event loop waits no more: it has reads to answer.
        if (!hasWaited) handle.pragma('busy_timeout = 0')
        hasWaited = true
        await new Promise((resolve) => setTimeout(resolve, 2 + Math.random() * 8))
      }
    }
  } finally {
    if (hasWaited && handle.open) handle.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')
}
