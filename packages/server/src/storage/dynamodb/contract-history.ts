import type { ContractHistory } from '../../domain/entitlements/contract-history.ts'
import type { EntitlementPeriod } from '../../domain/entitlements/entitlement.ts'
import { int, optionalText, text } from './fields.ts'
import { contractKey, readingKey } from './keys.ts'
import type { Attribute, Item, Reader, Transaction } from './table.ts'

type Fields = Readonly<Record<string, Attribute | undefined>>

/** All periods of a subscription are one item: there are a few a year. */
export async function readContractHistory(reader: Reader, subscription: string): Promise<ContractHistory> {
  const [reading, contract] = await reader.getMany([readingKey(subscription), contractKey(subscription)])
  return {
    isRead: reading !== undefined && text(reading.entitlements) !== '[]',
    entitlements: periodsOf(contract),
    plans: plansOf(contract),
    terms: termsOf(contract),
  }
}

/** Notes since when a plan holds, in the step that changes it. */
export async function notePlan(
  tx: Transaction,
  before: { readonly id: string; readonly plan: string | undefined },
  plan: string | undefined,
  from: number,
): Promise<void> {
  const item = await tx.get(contractKey(before.id))
  const known = plansOf(item)
  const plans = known.length === 0 ? [{ plan: before.plan, from: 0 }] : known
  // A clock that went back: what was noted for later times did not come about.
  const earlier = plans.filter((period) => period.from < from)
  tx.put({ ...item, ...contractKey(before.id), plans: [...earlier, { plan, from }] })
}

/** Notes what an answer of AWS changed. */
export async function notePeriods(
  tx: Transaction,
  subscription: string,
  changed: readonly EntitlementPeriod[],
  term: number | undefined,
): Promise<void> {
  if (changed.length === 0 && term === undefined) return
  const item = await tx.get(contractKey(subscription))
  const periods = changed.reduce(
    (known, period) => [
      ...known.filter(({ dimension, from }) => dimension !== period.dimension || from < period.from),
      period,
    ],
    periodsOf(item),
  )
  const terms = term === undefined ? termsOf(item) : [...new Set([...termsOf(item), term])]
  tx.put({
    ...item,
    ...contractKey(subscription),
    periods: periods.map(({ dimension, units, from }) => ({ dimension, units, from })),
    terms,
  })
}

function periodsOf(item: Item | undefined): EntitlementPeriod[] {
  return listOf(item?.periods)
    .map((period) => ({
      dimension: text(period.dimension),
      units: int(period.units),
      from: int(period.from),
    }))
    .sort((a, b) => a.from - b.from || (a.dimension < b.dimension ? -1 : 1))
}

function plansOf(item: Item | undefined) {
  return listOf(item?.plans)
    .map((period) => ({ plan: optionalText(period.plan), from: int(period.from) }))
    .sort((a, b) => a.from - b.from)
}

function termsOf(item: Item | undefined): number[] {
  return ((item?.terms as readonly Attribute[] | undefined) ?? []).map(int).sort((a, b) => a - b)
}

function listOf(value: Attribute | undefined): readonly Fields[] {
  return (value as readonly Fields[] | undefined) ?? []
}
