import type { Account } from '../../domain/usage/account.ts'
import {
  type DimensionAccounts,
  emptyBalances,
  type PeriodAccounts,
  type UsageAccounts,
} from '../../domain/usage/usage-accounts.ts'
import type { Row, Sql, SqlDatabase } from './database.ts'
import { int, text } from './rows.ts'
import { exact, exactSum } from './usage-queries.ts'

type Range = Parameters<UsageAccounts['read']>[1]

/** Longer than any ledger: all hours are of one period. */
const ALL_HOURS = 1_000_000_000

export function createSqlUsageAccounts(database: SqlDatabase): UsageAccounts {
  return {
    read: (subscription, range) =>
      database.read(async (sql) => {
        const meters = await sql.all(
          `SELECT m.seq, m.dimension, m.scale FROM subscription s CROSS JOIN meter m ON m.subscription = s.seq WHERE s.id = ? ORDER BY m.dimension`,
          subscription,
        )
        const found: DimensionAccounts[] = []
        for (const meter of meters) {
          const periods = await readPeriods(sql, int(meter.seq), range)
          if (periods.length > 0)
            found.push({ dimension: text(meter.dimension), scale: int(meter.scale), periods })
        }
        return found
      }),
  }
}

async function readPeriods(sql: Sql, meter: number, range: Range): Promise<PeriodAccounts[]> {
  const length = range.hoursPerPeriod ?? ALL_HOURS
  const periods = new Map<number, { events: number; balances: Record<Account, bigint> }>()
  const periodOf = (row: Row) => {
    const number = int(row.period)
    const period = periods.get(number) ?? { events: 0, balances: emptyBalances() }
    periods.set(number, period)
    return period
  }
  for (const row of await sql.all(
    `SELECT hour / ?1 AS period, SUM(events) AS events, ${exactSum('quantity', 'quantity')}, ${exactSum('unbillable', 'unbillable')}
     FROM bucket WHERE meter = ?2 AND hour >= ?3 AND hour < ?4 GROUP BY hour / ?1`,
    length,
    meter,
    range.from,
    range.to,
  )) {
    const period = periodOf(row)
    const [quantity, unbillable] = [exact(row, 'quantity'), exact(row, 'unbillable')]
    period.events += int(row.events)
    period.balances.measured -= quantity + unbillable
    period.balances.open += quantity
    period.balances.unbillable += unbillable
  }
  for (const row of await sql.all(
    `SELECT hour / ?1 AS period, source, target, ${exactSum('amount', 'amount')}
     FROM transfer WHERE meter = ?2 AND hour >= ?3 AND hour < ?4 GROUP BY hour / ?1, source, target`,
    length,
    meter,
    range.from,
    range.to,
  )) {
    const { balances } = periodOf(row)
    const amount = exact(row, 'amount')
    balances[text(row.source) as Account] -= amount
    balances[text(row.target) as Account] += amount
  }
  return [...periods]
    .sort(([a], [b]) => a - b)
    .filter(([, { events, balances }]) => events > 0 || Object.values(balances).some((base) => base !== 0n))
    .map(([number, { events, balances }]) => ({
      from: Math.max(number * length, range.from),
      events,
      balances,
    }))
}
