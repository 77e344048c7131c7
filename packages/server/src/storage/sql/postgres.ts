import pg from 'pg'
import { DomainError } from '../../domain/error.ts'
import type { Row, Sql, SqlDatabase, SqlValue, StepOptions } from './database.ts'
import { createListeners } from './listeners.ts'
import { createBackOff, isConflict, isDuplicate, isUnreachable, toLedgerError } from './postgres-errors.ts'
import { isRefused } from './postgres-refusal.ts'
import { refuseStandby } from './postgres-standby.ts'
import { toPostgres } from './postgres-text.ts'
import { type PostgresAddress, parsePostgresUrl } from './postgres-url.ts'

export interface PostgresOptions {
  /** Connections of this process at most. */
  readonly poolMax: number
  /** How long to wait for a connection, ms: until the server answers, or until another step gives its own back. */
  readonly connectTimeoutMs: number
  /** How long one statement may take, ms; reads of a whole ledger, such as the audit, take as long as they take. */
  readonly statementTimeoutMs: number
  /** How long one statement may wait for another's lock, ms. */
  readonly lockTimeoutMs: number
  /** How long the server keeps a transaction whose process says nothing, ms: a process that hangs holds nobody up for longer. */
  readonly idleInTransactionTimeoutMs: number
}

export const POSTGRES_DEFAULTS: PostgresOptions = {
  poolMax: 10,
  connectTimeoutMs: 10_000,
  statementTimeoutMs: 30_000,
  lockTimeoutMs: 10_000,
  idleInTransactionTimeoutMs: 60_000,
}

export interface ConnectionOptions {
  /** Statements are sent without waiting for the answers to earlier ones. */
  readonly pipeline?: boolean
  /** A server that says nothing for this long, ms, is taken for lost. */
  readonly query_timeout?: number
}

/** How often a step is run again since something was there already: what still is then has another reason than a race. */
const DUPLICATES_MAX = 2
/** What the server itself should have ended by its own timeouts was lost on the way, ms. */
const ANSWER_MARGIN_MS = 15_000

/** Any number of connections; each step has one of its own. */
export interface PostgresDatabase extends SqlDatabase {
  readonly engine: 'postgres'
  /** For the hot path, which has transactions of its own kind, and for migrations. */
  readonly pool: pg.Pool
  /** A connection beside the pool, for what takes long or goes on for ever. The caller ends it. */
  connect(options?: ConnectionOptions): Promise<pg.Client>
  close(): Promise<void>
}

/**
 * How a transaction begins. Its first statement is a lock, which is taken before its snapshot is: so it sees all that was done
 * by those it waited for. What takes usage in has the table in ROW EXCLUSIVE MODE, so `withoutIngest` keeps it out, and `alone`
 * keeps everybody out. But for those who only read it (ACCESS SHARE): a `pg_dump` does for as long as it runs.
 */
const BEGIN = {
  beside: 'BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE ingest_gate IN ROW SHARE MODE',
  withoutIngest: 'BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE ingest_gate IN SHARE ROW EXCLUSIVE MODE',
  alone: 'BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE ingest_gate IN EXCLUSIVE MODE',
} as const
/** Only steps of the turn write to the table. */
const TURN = { sending: 'LOCK TABLE rate IN EXCLUSIVE MODE' } as const
/**
 * A step that was undone so often is done alone: usage that comes in all the time would else keep an hour from being closed,
 * and many small steps a large one.
 */
const TRIES_BESIDE = 3
const BEGIN_READ = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'
/** It may take its time; nobody waits for it. */
const BEGIN_SNAPSHOT = `${BEGIN_READ}; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`

/** Locks of ours by number: no other program's, as the first half says. */
const TURNS = { events: '1416588364, 1' } as const

/**
 * Connects when it is first asked for something.
 *
 * @throws {TypeError} for an address that is none; its message has nothing of the password
 */
export function openPostgres(url: string, options: Partial<PostgresOptions> = {}): PostgresDatabase {
  const address = parsePostgresUrl(url)
  const settings = { ...POSTGRES_DEFAULTS, ...options }
  const config = configOf(address, settings)
  const queryTimeoutMs = settings.statementTimeoutMs + ANSWER_MARGIN_MS
  const pool = new pg.Pool({ ...config, query_timeout: queryTimeoutMs, onConnect: refuseStandby })
  // A connection that breaks while nobody uses it is replaced when the next is needed.
  pool.on('error', () => {})
  const listeners = createListeners()
  const named = <T>(work: Promise<T>) =>
    work.catch((error: unknown) => {
      throw toLedgerError(error, address.name)
    })

  const connect = async (connectionOptions: ConnectionOptions = {}): Promise<pg.Client> => {
    const client = new pg.Client({ ...config, ...connectionOptions })
    client.on('error', () => {})
    try {
      await client.connect()
      await refuseStandby(client)
    } catch (error) {
      await client.end().catch(() => {})
      throw toLedgerError(error, address.name)
    }
    return client
  }

  return {
    engine: 'postgres',
    name: address.name,
    pool,
    connect,
    listen: listeners.listen,
    async transaction(step, stepOptions = {}) {
      const backOff = createBackOff()
      let duplicates = 0
      for (let tries = 1; ; tries++) {
        try {
          const begin = beginning(stepOptions, tries)
          const { result, isAnnounced } = await writeOnce(pool, step, begin)
          if (isAnnounced) listeners.tell()
          return result
        } catch (error) {
          const isRaced = isDuplicate(error) && ++duplicates <= DUPLICATES_MAX
          if (!isConflict(error) && !isRaced) throw toLedgerError(error, address.name)
          await backOff(error)
        }
      }
    },
    read: (step) => named(onClient(pool, (client) => readOn(client, BEGIN_READ, step))),
    get: async (text, ...values) => (await named(query(pool, text, values))).rows[0],
    async snapshot(step) {
      const client = await connect()
      try {
        return await named(readOn(client, BEGIN_SNAPSHOT, step))
      } finally {
        await client.end().catch(() => {})
      }
    },
    close: () => pool.end(),
  }
}

function beginning({ excludesIngest = false, turn, locksRows }: StepOptions, tries: number): string {
  if (locksRows) return 'BEGIN ISOLATION LEVEL READ COMMITTED'
  if (tries > TRIES_BESIDE) return BEGIN.alone
  const begin = excludesIngest ? BEGIN.withoutIngest : BEGIN.beside
  return turn === undefined ? begin : `${begin}; ${TURN[turn]}`
}

function configOf(address: PostgresAddress, options: PostgresOptions): pg.PoolConfig {
  const { host, port, database, user, password, ssl } = address
  return {
    host,
    port,
    database,
    user,
    password,
    ssl,
    max: options.poolMax,
    connectionTimeoutMillis: options.connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    lock_timeout: options.lockTimeoutMs,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs,
    application_name: 'tollkeeper',
    keepAlive: true,
    types: { getTypeParser },
  }
}

/** A connection that an error may have left in the middle of something is not given back. */
async function onClient<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  const onError = (error: Error) => {
    broken = error
  }
  client.on('error', onError)
  try {
    return await work(client)
  } catch (error) {
    if (isUnreachable(error)) broken ??= error as Error
    else
      await client.query('ROLLBACK').catch((failed: Error) => {
        broken ??= failed
      })
    throw error
  } finally {
    client.off('error', onError)
    client.release(broken)
  }
}

function writeOnce<T>(
  pool: pg.Pool,
  step: (sql: Sql) => Promise<T>,
  begin: string,
): Promise<{ result: T; isAnnounced: boolean }> {
  return onClient(pool, async (client) => {
    await client.query(begin)
    let isAnnounced = false
    const sql = sqlOn(client, () => {
      isAnnounced = true
    })
    const result = await step(sql)
    try {
      await client.query('COMMIT')
    } catch (error) {
      // What the server itself refuses was not written; of a lost answer nobody knows.
      if (isRefused(error)) throw error
      throw new DomainError(
        'ledger.busy',
        'the connection to the database was lost while a change was being committed: it may or may not be there; look before you try again',
        { cause: error },
      )
    }
    return { result, isAnnounced }
  })
}

async function readOn<T>(client: pg.ClientBase, begin: string, step: (sql: Sql) => Promise<T>): Promise<T> {
  await client.query(begin)
  const result = await step(sqlOn(client, () => {}))
  await client.query('COMMIT')
  return result
}

/** A transaction's statements on its connection. */
export function sqlOn(client: pg.ClientBase, announce: () => void = () => {}): Sql {
  return {
    all: async (text, ...values) => (await query(client, text, values)).rows,
    get: async (text, ...values) => (await query(client, text, values)).rows[0],
    run: async (text, ...values) => ({ changes: (await query(client, text, values)).rowCount ?? 0 }),
    takeTurn: async (name) => {
      await client.query(`SELECT pg_advisory_xact_lock(${TURNS[name]})`)
    },
    announce,
  }
}

function query(client: pg.ClientBase | pg.Pool, text: string, values: readonly SqlValue[]) {
  return client.query<Row>(toPostgres(text), values.map(toParameter))
}

/** Its texts have no NUL, which JSON's may have. */
function toParameter(value: SqlValue): SqlValue {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value
}

const [BOOL, BYTEA, INT8, INT2, INT4, NUMERIC] = [16, 17, 20, 21, 23, 1700]
const asBigint = (text: string) => BigInt(text)
const asIs = (text: string) => text

/** Whole numbers as `bigint`, whatever their size: sums of them are of a type that has fractions, and never one itself. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (format === 'binary' || oid === BYTEA) return pg.types.getTypeParser(oid, format as 'text')
  if (oid === INT8 || oid === INT4 || oid === INT2 || oid === NUMERIC) return asBigint
  if (oid === BOOL) return (text: string) => (text === 't' ? 1n : 0n)
  return asIs
}
