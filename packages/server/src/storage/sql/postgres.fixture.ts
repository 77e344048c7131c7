import { afterAll, beforeAll, onTestFinished } from 'vitest'
import type { OpenStores } from '../contract/open-stores.ts'
import { openPostgres, type PostgresDatabase, type PostgresOptions } from './postgres.ts'
import { type PostgresServer, startPostgresServer } from './postgres-server.fixture.ts'
import { openPostgresStores } from './postgres-stores.ts'

/** One server for all tests of a file, and a ledger of its own for each of them. */
export function usePostgres() {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgresServer()
  })
  afterAll(() => server?.stop())
  const createLedger = async (): Promise<string> => {
    const url = await server.createLedger()
    onTestFinished(() => server.giveBack(url))
    return url
  }
  const ledgers = new Map<symbol, Promise<string>>()
  const ledgerOf = (ledger: symbol): Promise<string> => {
    const url = ledgers.get(ledger) ?? createLedger()
    ledgers.set(ledger, url)
    return url
  }
  const openStores: OpenStores = async (ledger) => {
    const stores = await openPostgresStores(await (ledger === undefined ? createLedger() : ledgerOf(ledger)))
    onTestFinished(() => stores.close())
    return stores
  }
  return {
    openStores,
    server: () => server,
    /** @returns the address of a ledger without anything in it, which is gone when the test ends */
    createLedger,
    /** Opens a ledger: a new one, or what another has open already. */
    async open(url?: string, options?: Partial<PostgresOptions>): Promise<PostgresDatabase> {
      const database = openPostgres(url ?? (await createLedger()), options)
      onTestFinished(() => database.close())
      return database
    },
  }
}

/** Something that a step waits for until the test lets it go on. */
export function aGate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

/** Until somebody waits for a lock in this database, or what should wait is over. */
export async function waits(database: PostgresDatabase, isOver: () => boolean): Promise<boolean> {
  for (;;) {
    const { rows } = await database.pool.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    )
    if (rows.length > 0) return true
    if (isOver()) return false
  }
}
