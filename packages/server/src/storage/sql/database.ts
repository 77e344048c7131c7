import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { DomainError } from '../../domain/error.ts'

/** A value as it goes into a statement. */
export type SqlValue = string | number | bigint | Uint8Array | null
/** A row as it comes out: integers are `bigint`, whatever their size. */
export type Row = Record<string, string | bigint | Uint8Array | null>

/**
 * One connection, as the stores use it. Statements are asynchronous so that the same step can run on a server's
 * database; here they resolve at once, and a step is never interleaved with another: `exclusive` sees to that.
 */
export interface Sql {
  all(text: string, ...values: SqlValue[]): Promise<Row[]>
  get(text: string, ...values: SqlValue[]): Promise<Row | undefined>
  /** @returns how many rows changed, and the last row's number */
  run(text: string, ...values: SqlValue[]): Promise<{ changes: number; lastId: number }>
}

export interface SqlDatabase {
  /** Runs a step in a transaction of its own: all of it is durable when it resolves, or none of it happened. */
  transaction<T>(step: (sql: Sql) => Promise<T>): Promise<T>
  /** Reads without a transaction of others in between. */
  read<T>(step: (sql: Sql) => Promise<T>): Promise<T>
  /** The same as `transaction` for the hot path: synchronous statements, no promise for each. */
  transactionSync<T>(step: () => T): Promise<T>
  /** Reads one consistent snapshot for as long as it takes, without holding up anybody. */
  snapshot<T>(step: (sql: Sql) => Promise<T>): Promise<T>
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
export function openSqlite(file: string): SqlDatabase {
  if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true })
  const handle = new Database(file)
  handle.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
  handle.pragma('journal_mode = WAL')
  handle.pragma('synchronous = FULL')
  handle.pragma('foreign_keys = ON')
  handle.pragma('cache_size = -65536')
  handle.pragma('wal_autocheckpoint = 4000')
  handle.pragma('temp_store = MEMORY')
  const sql = sqlOn(handle)
  const queue = createQueue()

  const transaction = <T>(step: (sql: Sql) => Promise<T>): Promise<T> =>
    queue(async () => {
      await begin(handle)
      try {
        const result = await step(sql)
        handle.exec('COMMIT')
        return result
      } catch (error) {
        if (handle.inTransaction) handle.exec('ROLLBACK')
        throw error
      }
    })

  return {
    handle,
    file,
    transaction,
    read: (step) => queue(() => step(sql)),
    transactionSync: (step) =>
      queue(async () => {
        await begin(handle)
        try {
          const result = step()
          handle.exec('COMMIT')
          return result
        } catch (error) {
          if (handle.inTransaction) handle.exec('ROLLBACK')
          throw error
        }
      }),
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
    close: () => handle.close(),
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
      const { changes, lastInsertRowid } = statement.run(...bind(values))
      return { changes, lastId: Number(lastInsertRowid) }
    },
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

/** Takes SQLite's one write lock; gives way to the event loop while another process has it. */
async function begin(handle: Database.Database): Promise<void> {
  const startedAt = performance.now()
  for (;;) {
    try {
      handle.exec('BEGIN IMMEDIATE')
      return
    } catch (error) {
      if (!isBusy(error)) throw error
      if (performance.now() - startedAt > BUSY_TOTAL_MS)
        throw new DomainError('ledger.busy', 'the ledger is locked by another process; try again', {
          cause: error,
        })
      await new Promise((resolve) => setTimeout(resolve, 2 + Math.random() * 8))
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')
}
