import { licenseTail } from '../../domain/subscriptions/subscription.ts'
import type { BucketKey, MeterKind, SealedRecord } from '../../domain/usage/usage-store.ts'
import type { Sql } from './database.ts'
import { int } from './rows.ts'
import { fixedOf, insertRecord, isTaken } from './usage-closer.ts'

/** Seals a zero where nothing else is, was or may be sealed. @returns whether it did */
export async function sealSilence(
  sql: Sql,
  key: BucketKey,
  kind: MeterKind,
  record: SealedRecord,
  now: number,
): Promise<boolean> {
  await sql.run(
    // A number that is asked for is used up, also where nothing is inserted.
    `INSERT INTO meter (subscription, dimension, product, scale, aggregation, per) SELECT s.seq, ?1, ?2, ?3, ?4, ?5 FROM subscription s
     WHERE s.id = ?6 AND NOT EXISTS (SELECT 1 FROM meter m WHERE m.subscription = s.seq AND m.dimension = ?1)
     ON CONFLICT (subscription, dimension) DO NOTHING`,
    key.dimension,
    kind.product,
    kind.scale,
    kind.aggregation,
    kind.per ?? null,
    key.subscription,
  )
  const row = await sql.get(
    `SELECT m.seq, m.subscription, EXISTS (SELECT 1 FROM bucket b WHERE b.meter = m.seq AND b.hour = ? AND b.status < 3) AS used
     FROM meter m JOIN subscription s ON s.seq = m.subscription WHERE s.id = ? AND m.dimension = ?`,
    key.hour,
    key.subscription,
    key.dimension,
  )
  if (row!.used === 1n) return false
  const sealed = { ...record, ...(await fixedOf(sql, int(row!.subscription), key.hour)) }
  if ((await isTaken(sql, sealed, key)) || (await isAwaited(sql, sealed, key))) return false
  const { changes } = await sql.run(
    'INSERT INTO bucket (meter, hour, status) VALUES (?, ?, 2) ON CONFLICT (meter, hour) DO UPDATE SET status = 2 WHERE bucket.status = 3',
    int(row!.seq),
    key.hour,
  )
  if (changes === 1) await insertRecord(sql, int(row!.seq), key, sealed, now)
  return changes === 1
}

/** Has another subscription of the same customer usage of this hour that is not sealed yet? A zero would take its place at AWS. */
async function isAwaited(sql: Sql, { identity }: SealedRecord, key: BucketKey): Promise<boolean> {
  const [column, value] =
    identity.kind === 'license'
      ? ['license_tail', licenseTail(identity.licenseArn)]
      : ['customer_identifier', identity.customerIdentifier]
  const row = await sql.get(
    `SELECT 1 AS one FROM subscription s JOIN meter m ON m.subscription = s.seq JOIN bucket b ON b.meter = m.seq
     WHERE s.${column} = ? AND s.id <> ? AND m.dimension = ? AND b.hour = ? AND b.status < 2 LIMIT 1`,
    value!,
    key.subscription,
    key.dimension,
    key.hour,
  )
  return row !== undefined
}
