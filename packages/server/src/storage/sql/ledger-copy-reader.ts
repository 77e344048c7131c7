import type { CopyPage } from '../../domain/moving/ledger-copy.ts'
import { type CopyRow, isCopied, type LedgerKind } from '../../domain/moving/ledger-kinds.ts'
import { COPIED_TABLES, type CopiedTable } from './copied-tables.ts'
import type { Row, Sql, SqlDatabase, SqlValue } from './database.ts'
import { int, text } from './rows.ts'

/** Where in its table a page ended; `number` is the last row's number among those of its meter and hour. */
interface Place {
  readonly at: readonly SqlValue[]
  readonly number: number
}

export async function readRows(
  sql: Sql,
  engine: SqlDatabase['engine'],
  kind: LedgerKind,
  cursor: string | undefined,
  limit: number,
): Promise<CopyPage> {
  const table = COPIED_TABLES[kind.name]
  const order = engine === 'postgres' ? (table.orderOnPostgres ?? table.order) : table.order
  const place = cursor === undefined ? undefined : readPlace(cursor)
  const rows = await sql.all(
    selectOf(kind, { ...table, order }, place !== undefined),
    ...(place?.at ?? []),
    limit,
  )
  const read = kind.name === 'transfer' ? numbered(rows, place) : rows
  const last = read.at(-1)
  return {
    rows: read.filter((row) => isWorthIt(kind, row)).map((row) => toCopyRow(kind, row)),
    next:
      last === undefined || rows.length < limit
        ? undefined
        : writePlace({
            at: order.map((_, index) => last[`at${index}`]!),
            number: last.number === undefined ? 0 : int(last.number),
          }),
  }
}

/** Events are numbered anew where they are copied to: how many come after its place stays the same. */
const BEHIND = '(SELECT COUNT(*) FROM domain_event e WHERE e.seq > t.cursor) AS "behind"'

/** Values of a place, if there is one, then the limit. */
function selectOf(kind: LedgerKind, table: CopiedTable, isAfter: boolean): string {
  const { order, ofMeter, references = [] } = table
  const fields = Object.keys(kind.fields).flatMap((field) => {
    if (ofMeter === true && field === 'subscription') return ['owner.id AS "subscription"']
    if (ofMeter === true && field === 'dimension') return ['m.dimension AS "dimension"']
    if (kind.name === 'transfer' && field === 'number') return []
    if (kind.name === 'sink' && field === 'behind') return [BEHIND]
    const at = references.findIndex((reference) => reference.field === field)
    const column = at < 0 ? `t.${snakeCase(field)}` : `r${at}.${references[at]!.by}`
    return [`${column} AS "${field}"`]
  })
  const places = order.map((column, index) => `t.${column} AS "at${index}"`)
  const joins = [
    ...(ofMeter === true
      ? ['JOIN meter m ON m.seq = t.meter JOIN subscription owner ON owner.seq = m.subscription']
      : []),
    ...references.map(
      ({ table: other, column }, at) => `LEFT JOIN ${other} r${at} ON r${at}.seq = t.${column}`,
    ),
  ]
  const ordered = order.map((column) => `t.${column}`).join(', ')
  const after = isAfter ? `WHERE (${ordered}) > (${order.map(() => '?').join(', ')})` : ''
  return `SELECT ${[...places, ...fields].join(', ')} FROM ${table.table} t ${joins.join(' ')} ${after} ORDER BY ${ordered} LIMIT ?`
}

/** Transfers have no name of their own: each is numbered among those of its meter's hour. */
function numbered(rows: readonly Row[], place: Place | undefined): Row[] {
  let [meter, hour] = place?.at ?? []
  let number = place?.number ?? -1
  return rows.map((row) => {
    number = row.at0 === meter && row.at1 === hour ? number + 1 : 0
    meter = row.at0!
    hour = row.at1!
    return { ...row, number: BigInt(number) }
  })
}

/** Sums by tag set of which nothing is left are none. */
function isWorthIt({ name }: LedgerKind, row: Row): boolean {
  if (name === 'ledger') return isCopied(text(row.name), text(row.value))
  return (name !== 'bucketTag' && name !== 'carryTag') || row.quantity !== 0n
}

function toCopyRow(kind: LedgerKind, row: Row): CopyRow {
  return Object.fromEntries(Object.keys(kind.fields).map((field) => [field, row[field]!]))
}

export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function writePlace({ at, number }: Place): string {
  return JSON.stringify([
    number,
    ...at.map((value) =>
      typeof value === 'string'
        ? value
        : value instanceof Uint8Array
          ? { hex: Buffer.from(value).toString('hex') }
          : { integer: String(value) },
    ),
  ])
}

function readPlace(cursor: string): Place {
  const [number, ...at] = JSON.parse(cursor) as [number, ...(string | { hex?: string; integer?: string })[]]
  return {
    number,
    at: at.map((value) =>
      typeof value === 'string'
        ? value
        : value.hex !== undefined
          ? Buffer.from(value.hex, 'hex')
          : BigInt(value.integer!),
    ),
  }
}
