import type { NotificationFault } from '../delivery/notification-faults.ts'
import type { Fault } from '../faults/faults.ts'
import type { Bill } from '../marketplace/bill.ts'

/** What commands print for people; `--json` prints the answer itself. */
export function formatClock({ now, running }: { now: string; running: boolean }): string {
  return `${now}${running ? '' : '  (frozen)'}`
}

export function formatFaults({ faults }: { faults: readonly Fault[] }): string {
  if (faults.length === 0) return 'No faults are ordered.'
  return formatTable(
    ['id', 'kind', 'operation', 'remaining', 'hits'],
    faults.map(({ id, kind, operation, remaining, hits }) => [
      id,
      kind,
      operation ?? 'any',
      String(remaining ?? 'no limit'),
      String(hits),
    ]),
  )
}

export function formatNotificationFaults({ faults }: { faults: readonly NotificationFault[] }): string {
  if (faults.length === 0) return 'No faults of notifications are ordered.'
  return formatTable(
    ['id', 'kind', 'of', 'remaining', 'hits'],
    faults.map(({ id, kind, type, remaining, hits }) => [
      id,
      kind,
      type ?? 'any',
      String(remaining ?? 'no limit'),
      String(hits),
    ]),
  )
}

interface NotificationLog {
  readonly notifications: readonly {
    readonly id: string
    readonly at: string
    readonly type: string
    readonly subscriptionId: string
    readonly deliveries: readonly {
      readonly state: string
      readonly attempts: number
      readonly error?: string
    }[]
  }[]
}

export function formatNotifications({ notifications }: NotificationLog): string {
  if (notifications.length === 0) return 'AWS would have sent nothing yet.'
  return formatTable(
    ['at', 'notification', 'subscription', 'delivery', 'id'],
    notifications.map(({ at, type, subscriptionId, deliveries, id }) => [
      at,
      type,
      subscriptionId,
      deliveries.map(({ state, attempts, error }) => `${state} (${error ?? `${attempts}×`})`).join(', ') ||
        'to nobody',
      id,
    ]),
  )
}

interface DestinationsAnswer {
  readonly topicSubscriptions: readonly {
    readonly topicArn: string
    readonly endpoint: string
    readonly state: string
    readonly error?: string
  }[]
  readonly rules: readonly { readonly name: string; readonly target: Readonly<Record<string, unknown>> }[]
}

export function formatDestinations({ topicSubscriptions, rules }: DestinationsAnswer): string {
  const rows = [
    ...topicSubscriptions.map(({ topicArn, endpoint, state, error }) => [
      topicArn,
      endpoint,
      error === undefined ? state : `${state} (${error})`,
    ]),
    ...rules.map(({ name, target: { queue, topicArn, url } }) => [
      `rule ${name}`,
      String(queue ?? topicArn ?? url),
      'active',
    ]),
  ]
  if (rows.length === 0) return 'Notifications go to nobody.'
  return formatTable(['from', 'to', 'state'], rows)
}

interface LedgerPage {
  readonly total: number
  readonly records: readonly {
    readonly hourStart: string
    readonly accountId: string
    readonly subscriptionId: string
    readonly dimension: string
    readonly quantity: number
    readonly region: string
  }[]
}

export function formatLedger({ records, total }: LedgerPage): string {
  if (total === 0) return 'No usage was accepted yet.'
  const table = formatTable(
    ['hour', 'account', 'subscription', 'dimension', 'quantity', 'region'],
    records.map((record) => [
      record.hourStart.slice(0, 16),
      record.accountId,
      record.subscriptionId,
      record.dimension,
      String(record.quantity),
      record.region,
    ]),
  )
  return total > records.length
    ? `${table}\n… and ${total - records.length} more (GET /_control/ledger?cursor=…)`
    : table
}

export function formatBill({ lines, total, currency }: Bill): string {
  if (lines.length === 0) return 'Nothing to invoice yet.'
  const table = formatTable(
    ['month', 'account', 'subscription', 'dimension', 'units', 'price', 'amount'],
    lines.map((line) => [
      line.month,
      line.accountId,
      line.subscriptionId,
      line.dimension,
      line.units,
      line.unitPrice,
      line.amount,
    ]),
  )
  return `${table}\nTotal ${total} ${currency}`
}

function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
