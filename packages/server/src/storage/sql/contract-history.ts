import type { ContractHistory } from '../../domain/entitlements/contract-history.ts'
import type { Sql } from './database.ts'
import { int, optionalText, text } from './rows.ts'

export async function readContractHistory(sql: Sql, subscription: string): Promise<ContractHistory> {
  const reading = await sql.get(
    'SELECT entitlements FROM entitlement_reading WHERE subscription = ?',
    subscription,
  )
  const entitlements = await sql.all(
    'SELECT dimension, units, from_ms FROM entitlement_period WHERE subscription = ? ORDER BY from_ms, dimension',
    subscription,
  )
  const plans = await sql.all(
    'SELECT plan, from_ms FROM plan_period WHERE subscription = ? ORDER BY from_ms',
    subscription,
  )
  const terms = await sql.all(
    'SELECT from_ms FROM contract_term WHERE subscription = ? ORDER BY from_ms',
    subscription,
  )
  return {
    isRead: reading !== undefined && text(reading.entitlements) !== '[]',
    entitlements: entitlements.map((row) => ({
      dimension: text(row.dimension),
      units: int(row.units),
      from: int(row.from_ms),
    })),
    plans: plans.map((row) => ({ plan: optionalText(row.plan), from: int(row.from_ms) })),
    terms: terms.map((row) => int(row.from_ms)),
  }
}

/** Notes since when a plan holds, in the step that changes it. */
export async function notePlan(
  sql: Sql,
  before: { readonly id: string; readonly plan: string | undefined },
  plan: string | undefined,
  from: number,
): Promise<void> {
  const known = await sql.get('SELECT 1 AS one FROM plan_period WHERE subscription = ? LIMIT 1', before.id)
  if (known === undefined) await putPlan(sql, before.id, before.plan, 0)
  await putPlan(sql, before.id, plan, from)
}

async function putPlan(sql: Sql, subscription: string, plan: string | undefined, from: number) {
  // A clock that went back: what was noted for later times did not come about.
  await sql.run('DELETE FROM plan_period WHERE subscription = ? AND from_ms > ?', subscription, from)
  await sql.run(
    'INSERT INTO plan_period (subscription, from_ms, plan) VALUES (?, ?, ?) ON CONFLICT (subscription, from_ms) DO UPDATE SET plan = excluded.plan',
    subscription,
    from,
    plan ?? null,
  )
}
