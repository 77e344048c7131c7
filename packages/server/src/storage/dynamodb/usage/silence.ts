import { licenseTail } from '../../../domain/subscriptions/subscription.ts'
import type { BucketKey, MeterKind, SealedRecord } from '../../../domain/usage/usage-store.ts'
import { bucketKey } from '../keys.ts'
import { getName } from '../names.ts'
import type { Transaction } from '../table.ts'
import { lookAtBucket, newShard, writeShard } from './buckets.ts'
import { changeMeter, ensureMeter, findMeterItem, heldHoursOf, meterAt, openHoursOf } from './meters.ts'
import { fixedOf, insertRecord, isTaken } from './records.ts'

/** Seals a zero where nothing else is, was or may be sealed. @returns whether it did */
export async function sealSilence(
  tx: Transaction,
  key: BucketKey,
  kind: MeterKind,
  record: SealedRecord,
  now: number,
): Promise<boolean> {
  const meter = meterAt(key)
  await ensureMeter(tx, meter, kind)
  const bucket = await lookAtBucket(tx, meter, key.hour)
  if (bucket !== undefined && bucket.status !== 'untouched') return false
  const sealed = { ...record, ...(await fixedOf(tx, key.subscription, key.hour)) }
  if ((await isTaken(tx, sealed, key)) || (await isAwaited(tx, sealed, kind.product, key))) return false
  // The meter vouches for the hour: whoever would open it meanwhile adds to the meter.
  await changeMeter(tx, meter, {})
  const first = bucketKey(meter.pk, key.hour, 0)
  if (bucket === undefined)
    tx.put({ ...newShard(meter, kind.product, key.hour, 0), ...first, status: 'closed' })
  else for (const shard of bucket.shards) writeShard(tx, shard, { status: 'closed' })
  await insertRecord(tx, key, sealed, [], now)
  return true
}

/** Has another subscription of the same customer usage of this hour that is not sealed yet? A zero would take its place at AWS. */
async function isAwaited(
  tx: Transaction,
  { identity }: SealedRecord,
  product: string,
  key: BucketKey,
): Promise<boolean> {
  const { subscriptions } =
    identity.kind === 'license'
      ? await getName(tx, 'license', licenseTail(identity.licenseArn), product)
      : await getName(tx, 'customer', identity.customerIdentifier, product)
  for (const other of subscriptions) {
    if (other === key.subscription) continue
    const item = await findMeterItem(tx, meterAt({ subscription: other, dimension: key.dimension }))
    if (item === undefined) continue
    if ([...openHoursOf(item), ...heldHoursOf(item)].includes(key.hour)) return true
  }
  return false
}
