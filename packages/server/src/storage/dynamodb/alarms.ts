import type { Alarm, OpenAlarm } from '../../domain/usage/usage-store.ts'
import { int, text } from './fields.ts'
import { alarmKey, alarmPartition, isolationPartition, lateKey, padded, part } from './keys.ts'
import type { Item, Reader, Transaction } from './table.ts'

const ALARMS = 'ALARMS'
/** More than any time: in the list, what was raised last comes first. */
const LAST_MS = 999_999_999_999_999

/** What is raised again is the same alarm. */
export async function raiseAlarm(tx: Transaction, { kind, subject, message, at }: Alarm): Promise<void> {
  const key = alarmKey(kind, subject)
  const known = await tx.get(key)
  const lastAt = Math.max(at, int(known?.lastAt ?? 0))
  tx.put({
    ...key,
    kind,
    subject,
    message,
    count: int(known?.count ?? 0) + 1,
    firstAt: int(known?.firstAt ?? at),
    lastAt,
    list: ALARMS,
    listed: `${padded(LAST_MS - lastAt)}.${kind}.${part(subject)}`,
  })
}

/** @returns whether it was open */
export async function clearAlarm(tx: Transaction, kind: Alarm['kind'], subject: string): Promise<boolean> {
  if (kind === 'late_across_edge' && (await tx.get(lateKey(subject))) !== undefined)
    tx.delete(lateKey(subject))
  const key = alarmKey(kind, subject)
  if ((await tx.get(key)) === undefined) return false
  tx.delete(key)
  return true
}

/** An isolation ended: where it was the product's last, so did all that AWS refused for its sake. */
export async function clearPoison(
  tx: Transaction,
  product: string,
  dimension: string | undefined,
): Promise<void> {
  if (dimension !== undefined) await clearAlarm(tx, 'poison', `${product}/${dimension}`)
  const [left] = await tx.query({ pk: isolationPartition(product) })
  if (left !== undefined) {
    // While it is there, this was not the last.
    tx.guard(left)
    return
  }
  for (const item of await tx.query({ pk: alarmPartition('poison') })) {
    if (text(item.subject).startsWith(`${product}/`)) await clearAlarm(tx, 'poison', text(item.subject))
  }
}

/** Open alarms, newest first. */
export async function listAlarms(reader: Reader, limit: number): Promise<OpenAlarm[]> {
  return (await reader.queryIndex('ListIndex', { pk: ALARMS, limit })).map(toAlarm)
}

export function toAlarm(item: Item): OpenAlarm {
  return {
    kind: text(item.kind) as Alarm['kind'],
    subject: text(item.subject),
    message: text(item.message),
    at: int(item.lastAt),
    firstAt: int(item.firstAt),
    count: int(item.count),
  }
}
