import { HOUR_MS, type Hour, hourOf } from '../../usage/hour.ts'
import type { UsageReport } from '../../usage/ingest-usage.ts'
import type { MeteringRow } from './read-metering-row.ts'

/** Under this name the ledger knows usage that came from another system's table. */
const SOURCE = 'import:metering-table'

/** Hours that AWS has from the old system, by customer and dimension. */
export type TakenHours = ReadonlyMap<string, ReadonlySet<Hour>>

export interface MeteringReport {
  readonly report: UsageReport
  /** Its own hour, where AWS has that already and it is counted later. */
  readonly movedFrom: Hour | undefined
}

/**
 * Which hours AWS has of each customer and dimension. The old system stamps what it sends with the time of sending: the
 * usage of several hours under one, and AWS takes no second record of that hour.
 */
export function takenHours(rows: readonly MeteringRow[]): TakenHours {
  const taken = new Map<string, Set<Hour>>()
  for (const { customer, usage, sentAt } of rows) {
    if (sentAt === undefined) continue
    for (const { dimension } of usage) {
      const key = JSON.stringify([customer, dimension])
      taken.set(key, (taken.get(key) ?? new Set()).add(hourOf(sentAt)))
    }
  }
  return taken
}

export function isTaken(
  taken: TakenHours,
  { customer }: Pick<MeteringRow, 'customer'>,
  dimension: string,
  hour: Hour,
): boolean {
  return taken.get(JSON.stringify([customer, dimension]))?.has(hour) ?? false
}

/**
 * Usage that was never sent, as events of its own time; where AWS has that hour already, of the first hour after it that
 * AWS has not. Ids follow from the row's key and times from the table alone, so that importing it again counts nothing
 * twice.
 *
 * @param product - our product id, where it is known
 */
export function meteringReports(
  row: MeteringRow,
  product: string | undefined,
  taken: TakenHours,
): readonly MeteringReport[] {
  const times = new Map<string, number>()
  return row.usage.map(({ dimension, quantity }) => {
    const nth = (times.get(dimension) ?? 0) + 1
    times.set(dimension, nth)
    const own = hourOf(row.time)
    let hour = own
    while (isTaken(taken, row, dimension, hour)) hour++
    return {
      movedFrom: hour === own ? undefined : own,
      report: {
        ...(product !== undefined && { product }),
        reference: row.identity,
        dimension,
        id: `${row.customer}/${row.stamp}/${dimension}${nth === 1 ? '' : `#${nth}`}`,
        source: SOURCE,
        time: hour === own ? row.time : hour * HOUR_MS,
        quantity,
      },
    }
  })
}
