import assert from 'node:assert'
import { addAmounts, compareAmounts, priceOf } from '../../domain/money.ts'
import { baseUnitsPerUnit, type Dimension } from '../../domain/products/product.ts'
import { ACCOUNTS, type Account, type Balances } from '../../domain/usage/account.ts'
import type { EventCounts, LineCounts, TallySummary } from './tally.ts'

/** Whole units: a number while it is exact as one, a decimal string beyond 2^53 - 1. */
export type Units = number | string

/** A usage record that AWS accepted, by AWS's own account of it. */
export interface AcceptedRecord {
  readonly buyer: string
  readonly dimension: string
  readonly units: bigint
}

export interface BuyerBill {
  readonly buyer: string
  /** Decimal string, never rounded. A dimension without a price adds nothing. */
  readonly amount: string
  /** Billed units by dimension; those without a record are left out. */
  readonly units: Readonly<Record<string, Units>>
}

export interface Bill {
  readonly currency: string
  readonly total: string
  /** Everyone with a record, highest amount first. */
  readonly buyers: readonly BuyerBill[]
}

export interface DimensionReport {
  /** Whole units that AWS accepted. */
  readonly billed: Units
  /** Base units left over that make no whole unit yet, of all buyers together. */
  readonly carried: string
  /** Records that AWS accepted, those of zero units included. */
  readonly records: number
  /** What became of its reports: `events` of the whole report counts lines. */
  readonly events: EventCounts
}

export interface ReportAudit {
  /** Log, ledger and AWS agree: nothing was found. */
  readonly balanced: boolean
  /** What does not agree, in words. */
  readonly findings: readonly string[]
  /** Where each dimension's base units are; empty accounts are left out. `measured` is the source: negative. */
  readonly accounts: Readonly<Record<string, Readonly<Partial<Record<Account, string>>>>>
}

/** The result of a rehearsal: what `--json` prints. Prices and quantities are exact. */
export interface RehearsalReport {
  readonly lines: LineCounts
  /** Of lines, whatever the number of dimensions. */
  readonly events: EventCounts
  /** Buyers that the log names. */
  readonly buyers: number
  readonly dimensions: Readonly<Record<string, DimensionReport>>
  readonly bill: Bill
  readonly audit: ReportAudit
  /** How often each ordered fault struck. */
  readonly faults: Readonly<Record<string, number>>
}

export interface ReportInput {
  readonly summary: TallySummary
  readonly dimensions: readonly Dimension[]
  readonly buyers: number
  /** From AWS's side, not from the ledger. */
  readonly records: Iterable<AcceptedRecord>
  /** From the ledger, all buyers together; a dimension without usage may be missing. */
  readonly balances: ReadonlyMap<string, Balances>
  /** What the ledger's own audit found wrong. */
  readonly findings?: readonly string[]
  readonly faults?: Readonly<Record<string, number>>
  readonly currency?: string
}

export function buildReport(input: ReportInput): RehearsalReport {
  const { summary } = input
  const billed = new Map(input.dimensions.map(({ key }) => [key, { units: 0n, records: 0 }]))
  const perBuyer = new Map<string, Map<string, bigint>>()
  for (const { buyer, dimension, units } of input.records) {
    const sum = billed.get(dimension)
    assert(sum !== undefined, `a record of ${dimension}, which is not rehearsed`)
    sum.units += units
    sum.records++
    const ofBuyer = perBuyer.get(buyer) ?? new Map<string, bigint>()
    perBuyer.set(buyer, ofBuyer.set(dimension, (ofBuyer.get(dimension) ?? 0n) + units))
  }
  const dimensions = input.dimensions.map(({ key }): [string, DimensionReport] => [
    key,
    {
      billed: toUnits(billed.get(key)!.units),
      carried: (input.balances.get(key)?.carry ?? 0n).toString(),
      records: billed.get(key)!.records,
      events: summary.dimensions.get(key) ?? { accepted: 0, duplicate: 0, refused: 0, late: 0 },
    },
  ])
  const findings = [
    ...auditLines(summary),
    ...input.dimensions.flatMap((dimension) =>
      auditDimension(dimension, summary, input.balances.get(dimension.key), billed.get(dimension.key)!.units),
    ),
    ...(input.findings ?? []),
  ]
  return {
    lines: summary.lines,
    events: summary.events,
    buyers: input.buyers,
    dimensions: Object.fromEntries(dimensions),
    bill: makeBill(perBuyer, input.dimensions, input.currency ?? 'USD'),
    audit: {
      balanced: findings.length === 0,
      findings,
      accounts: Object.fromEntries(
        input.dimensions.map(({ key }) => [key, nonZero(input.balances.get(key))]),
      ),
    },
    faults: input.faults ?? {},
  }
}

function makeBill(
  perBuyer: ReadonlyMap<string, ReadonlyMap<string, bigint>>,
  dimensions: readonly Dimension[],
  currency: string,
): Bill {
  const rows = [...perBuyer].map(([buyer, units]) => ({
    buyer,
    units,
    amount: addAmounts(
      dimensions.map(({ key, price }) => (price === undefined ? '0' : priceOf(units.get(key) ?? 0n, price))),
    ),
  }))
  rows.sort(
    (a, b) =>
      compareAmounts(b.amount, a.amount) ||
      dimensions.reduce((order, { key }) => order || compareUnits(b.units.get(key), a.units.get(key)), 0) ||
      (a.buyer < b.buyer ? -1 : 1),
  )
  return {
    currency,
    total: addAmounts(rows.map((row) => row.amount)),
    buyers: rows.map(({ buyer, amount, units }) => ({
      buyer,
      amount,
      units: Object.fromEntries([...units].map(([key, value]) => [key, toUnits(value)])),
    })),
  }
}

function compareUnits(a = 0n, b = 0n): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function toUnits(units: bigint): Units {
  return units <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(units) : units.toString()
}

function nonZero(balances: Balances | undefined): Partial<Record<Account, string>> {
  const left = ACCOUNTS.flatMap((account): [Account, string][] => {
    const amount = balances?.[account] ?? 0n
    return amount === 0n ? [] : [[account, amount.toString()]]
  })
  return Object.fromEntries(left)
}

function auditLines({ lines, events }: TallySummary): string[] {
  const ends = lines.malformed + events.accepted + events.duplicate + events.refused + events.late
  return ends === lines.read ? [] : [`${lines.read} lines were read, but ${ends} came to an end`]
}

/** Three accounts of one dimension that share no figure: the log's, the ledger's and AWS's. */
function auditDimension(
  dimension: Dimension,
  summary: TallySummary,
  balances: Balances | undefined,
  awsUnits: bigint,
): string[] {
  const account = (name: Account) => balances?.[name] ?? 0n
  const findings: string[] = []
  const find = (text: string) => findings.push(`${dimension.key}: ${text}`)

  const sum = ACCOUNTS.reduce((total, name) => total + account(name), 0n)
  if (sum !== 0n) find(`the ledger's accounts sum to ${sum}, not to 0`)

  const expected = summary.expected.get(dimension.key)
  if (expected !== undefined) {
    const measured = -account('measured')
    const { counted, refused } = expected
    // What the server turns away it may keep as unbillable, and then it is measured too.
    if (measured < counted || measured > counted + refused)
      find(`the log has ${counted} base units, the ledger measured ${measured}`)
  }

  const aws = awsUnits * baseUnitsPerUnit(dimension)
  const known = account('accepted') + account('assumed')
  const unknown = account('in_doubt') + account('sent')
  if (aws < known || aws > known + unknown)
    find(
      `the ledger has ${known} base units as accepted${unknown > 0n ? ` and ${unknown} in doubt` : ''}, AWS has ${aws}`,
    )
  return findings
}
