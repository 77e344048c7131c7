import { randomUUID } from 'node:crypto'
import { checkAccount, checkDimension, checkFilled, checkMode } from '../../domain/ledger-identity.ts'
import type { ProductCatalog } from '../../domain/products/product.ts'
import type { LedgerMode } from '../../domain/stores.ts'
import type { Sql, SqlDatabase } from './database.ts'
import { readFilling } from './ledger-copy.ts'
import { int, optionalText, text } from './rows.ts'

/**
 * A ledger is simulated, shadow or live for good, and of one seller's account: pretend and real usage never mix.
 *
 * @throws {DomainError} `ledger.mode_mismatch`
 */
export function claimLedger(
  database: SqlDatabase,
  wanted: { mode: LedgerMode; accountId: string | undefined },
): Promise<void> {
  const ledger = {
    name: database.name,
    kind: database.engine === 'sqlite' ? 'file' : 'database',
  } as const
  return database.transaction(async (sql) => {
    checkFilled(ledger, await readFilling(sql))
    checkMode(ledger, await claim(sql, 'mode', wanted.mode), wanted.mode)
    if (wanted.accountId !== undefined)
      checkAccount(ledger, await claim(sql, 'account', wanted.accountId), wanted.accountId)
    await claim(sql, 'id', randomUUID())
  })
}

/** The first to set a value sets it for good. */
async function claim(sql: Sql, name: string, value: string): Promise<string> {
  await sql.run('INSERT INTO ledger (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING', name, value)
  return text((await sql.get('SELECT value FROM ledger WHERE name = ?', name))!.value)
}

/**
 * A dimension keeps its smallest unit and its way of adding up: what was counted in cents cannot go on in dollars, and a
 * month's unique users would be billed again as a day's.
 *
 * @throws {DomainError} `ledger.dimension_changed`
 */
export function checkDimensions(database: SqlDatabase, catalog: ProductCatalog): Promise<void> {
  return database.read(async (sql) => {
    const counted = await sql.all('SELECT DISTINCT product, dimension, scale, aggregation, per FROM meter')
    for (const row of counted) {
      const { product, dimension, scale, aggregation, per } = row
      checkDimension(
        {
          product: text(product),
          dimension: text(dimension),
          scale: int(scale),
          aggregation: text(aggregation),
          per: optionalText(per),
        },
        catalog,
      )
    }
  })
}
