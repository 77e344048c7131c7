import { hash } from 'node:crypto'
import type { Balances } from '../usage/account.ts'
import { ACCOUNTS } from '../usage/account.ts'
import { checkMeter } from '../usage/audit-usage.ts'
import { addBalances } from '../usage/usage-accounts.ts'
import type { UsageStore } from '../usage/usage-store.ts'
import type { LedgerCopy } from './ledger-copy.ts'
import { type CopyRow, LEDGER_KINDS, type LedgerKind, type LedgerKindName } from './ledger-kinds.ts'

/** What all rows of a kind come to, whatever the order they are read in. */
export interface KindDigest {
  readonly rows: number
  /** Sum of the rows' hashes, modulo 2^128. */
  readonly sum: bigint
}

export interface LedgerDigest {
  readonly kinds: Readonly<Record<LedgerKindName, KindDigest>>
  /** Records by state. */
  readonly records: Readonly<Record<string, number>>
  readonly meters: number
  /** Of all meters, by product and dimension. */
  readonly balances: ReadonlyMap<string, Balances>
  /** What the audit found wrong. */
  readonly discrepancies: readonly string[]
}

export const PAGE_ROWS = 500
const DISCREPANCIES_MAX = 20
const MODULUS = 1n << 128n

/** Reads a whole ledger: every row of every kind, and its audit. */
export async function digestLedger(
  copy: LedgerCopy,
  usage: UsageStore,
  onPage: (kind: LedgerKindName, rows: number) => void = () => {},
): Promise<LedgerDigest> {
  const kinds: Partial<Record<LedgerKindName, KindDigest>> = {}
  const records: Record<string, number> = {}
  for (const kind of LEDGER_KINDS) {
    let rows = 0
    let sum = 0n
    for await (const page of pagesOf(copy, kind)) {
      for (const row of page) {
        sum = (sum + hashOf(kind, row)) % MODULUS
        if (kind.name === 'usageRecord') {
          const state = row.state as string
          records[state] = (records[state] ?? 0) + 1
        }
      }
      rows += page.length
      onPage(kind.name, page.length)
    }
    kinds[kind.name] = { rows, sum }
  }
  return { kinds: kinds as LedgerDigest['kinds'], records, ...(await auditLedger(usage)) }
}

async function auditLedger(
  usage: UsageStore,
): Promise<Pick<LedgerDigest, 'meters' | 'balances' | 'discrepancies'>> {
  const balances = new Map<string, Balances>()
  const discrepancies: string[] = []
  let meters = 0
  await usage.audit((page) => {
    for (const meter of page) {
      meters++
      const name = `${meter.product}/${meter.dimension}`
      const sum = balances.get(name)
      balances.set(
        name,
        addBalances([{ balances: meter.balances }, ...(sum === undefined ? [] : [{ balances: sum }])]),
      )
      for (const what of checkMeter(meter))
        if (discrepancies.length < DISCREPANCIES_MAX)
          discrepancies.push(`${meter.subscription} ${meter.dimension}: ${what}`)
    }
  })
  return { meters, balances, discrepancies }
}

/** In what two ledgers differ, in words; nothing where they are the same to the last row. */
export function compareDigests(from: LedgerDigest, to: LedgerDigest): string[] {
  const differences: string[] = []
  for (const { name } of LEDGER_KINDS) {
    const [here, there] = [from.kinds[name], to.kinds[name]]
    if (here.rows !== there.rows)
      differences.push(`${name}: ${here.rows} rows in the source, ${there.rows} in the copy`)
    else if (here.sum !== there.sum) differences.push(`${name}: as many rows, but not the same`)
  }
  for (const name of new Set([...from.balances.keys(), ...to.balances.keys()])) {
    for (const account of ACCOUNTS) {
      const [here, there] = [from.balances.get(name)?.[account], to.balances.get(name)?.[account]]
      if (here !== there)
        differences.push(`${name}, ${account}: ${here ?? 0n} in the source, ${there ?? 0n} in the copy`)
    }
  }
  return differences
}

export async function* pagesOf(copy: LedgerCopy, kind: LedgerKind): AsyncIterable<readonly CopyRow[]> {
  let cursor: string | undefined
  do {
    const page = await copy.read(kind, cursor, kind.pageMax ?? PAGE_ROWS)
    yield page.rows
    cursor = page.next
  } while (cursor !== undefined)
}

function hashOf(kind: LedgerKind, row: CopyRow): bigint {
  const compared = Object.keys(kind.fields).filter((field) => !kind.uncompared?.includes(field))
  const values = compared.map((field) => {
    const value = row[field]
    if (typeof value === 'bigint') return { integer: String(value) }
    return value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value
  })
  const digest = hash('sha256', JSON.stringify(values), 'buffer')
  return (digest.readBigUInt64BE(0) << 64n) + digest.readBigUInt64BE(8)
}
