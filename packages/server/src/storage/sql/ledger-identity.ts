import { randomUUID } from 'node:crypto'
import { DomainError } from '../../domain/error.ts'
import type { ProductCatalog } from '../../domain/products/product.ts'
import type { LedgerMode } from '../../domain/stores.ts'
import { aggregatedPer } from '../../domain/usage/aggregation.ts'
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
  return database.transaction(async (sql) => {
    const filling = await readFilling(sql)
    if (filling !== undefined)
      throw new DomainError(
        'ledger.half_copied',
        `the ledger at ${database.name} is half filled from ${filling.from}: run \`tollkeeper db copy\` again to its end, or name another store`,
      )
    const mode = await claim(sql, 'mode', wanted.mode)
    if (mode !== wanted.mode) {
      throw new DomainError(
        'ledger.mode_mismatch',
        `the ledger at ${database.name} is ${mode} for good; set \`mode: ${mode}\`, or give \`store.url\` another ${database.engine === 'sqlite' ? 'file' : 'database'} for ${wanted.mode}`,
      )
    }
    if (wanted.accountId !== undefined) {
      const account = await claim(sql, 'account', wanted.accountId)
      if (account !== wanted.accountId) {
        throw new DomainError(
          'ledger.mode_mismatch',
          `the ledger at ${database.name} is of AWS account ${account}, the configuration of ${wanted.accountId}`,
        )
      }
    }
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
      const dimension = catalog.find(text(row.product))?.dimensions.find(({ key }) => key === row.dimension)
      if (dimension === undefined) continue
      for (const [what, before, now] of [
        ['scale', int(row.scale), dimension.scale],
        ['aggregation', text(row.aggregation), dimension.aggregation],
        ['per', optionalText(row.per), aggregatedPer(dimension)],
      ] as const) {
        if (before !== now) {
          throw new DomainError(
            'ledger.dimension_changed',
            `${row.product}/${row.dimension} is counted with ${what} ${before}, the configuration says ${now}: a dimension keeps it; add a new dimension instead`,
          )
        }
      }
    }
  })
}
