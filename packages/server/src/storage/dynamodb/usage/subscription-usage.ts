import type { Hour } from '../../../domain/usage/hour.ts'
import { big } from '../fields.ts'
import { subscriptionKey, unsealedPartition } from '../keys.ts'
import type { Attribute, Item, Transaction } from '../table.ts'
import type { Metered, UsageOfSubscriptions } from '../usage-of-subscriptions.ts'
import { lookAtBucket, openBucket } from './buckets.ts'
import { owedOf, oweOpenHours } from './hand-over.ts'
import { changeMeter, findMeterItem, type Meter, meterAt, openHoursOf, readKin } from './meters.ts'
import { foldInto } from './moves.ts'

/** Usage, as far as a change of a subscription moves it within the same step. */
export const usageOfSubscriptions: Pick<
  UsageOfSubscriptions,
  'touchGates' | 'openFinalBuckets' | 'moveOpenBuckets' | 'handOver'
> = {
  /** Usage is turned back at the meter's item, or at the shard of an open bucket that it is added to. */
  async touchGates(tx, of, epoch) {
    for (const meter of metersOf(of)) await touch(tx, meter, epoch)
    const counted = await countedTogether(tx, of)
    if (counted.length === 0) return
    // Peaks, values and totals go on through renewals: who counts by them must know of each new one.
    for (const { id } of await readKin(tx, of.id)) {
      if (id === of.id) continue
      for (const dimension of counted)
        await touch(tx, meterAt({ subscription: id as string, dimension }), epoch)
    }
  },

  async openFinalBuckets(tx, of, hour) {
    for (const meter of metersOf(of)) {
      const item = await findMeterItem(tx, meter)
      if (item === undefined) continue
      const open = openHoursOf(item)
      if (big(item.carry ?? 0n) === 0n && open.length === 0) continue
      for (const one of open) await listAsEnded(tx, meter, one)
      const target = await openBucket(tx, meter, hour)
      if (target === undefined) continue
      for (const later of foldable(open, item).filter((one) => one > target)) {
        // What no 64 bits hold stays where it is.
        if (!(await foldInto(tx, meter, later, target))) break
      }
    }
  },

  /** AWS takes nothing from before an agreement's start. */
  async moveOpenBuckets(tx, of, first) {
    for (const meter of metersOf(of)) {
      const item = await findMeterItem(tx, meter)
      if (item === undefined) continue
      for (const earlier of foldable(openHoursOf(item), item).filter((hour) => hour < first)) {
        const target = await openBucket(tx, meter, first)
        if (target !== undefined) await foldInto(tx, meter, earlier, target)
      }
    }
  },

  async handOver(tx, from, to, since) {
    const subscription = (await tx.get(subscriptionKey(from.id)))!
    for (const meter of metersOf(from)) await oweOpenHours(tx, meter, to, since, big(subscription.changedAt))
  },
}

function metersOf({ id, dimensions }: Metered): Meter[] {
  return [...dimensions].sort().map((dimension) => meterAt({ subscription: id, dimension }))
}

/** Hours that nothing is owed of: those that something is are settled first, and then folded. */
function foldable(open: readonly Hour[], item: Parameters<typeof owedOf>[0]): Hour[] {
  const owed = new Set(owedOf(item).map(({ hour }) => hour))
  return open.filter((hour) => !owed.has(hour))
}

async function touch(tx: Transaction, meter: Meter, epoch: bigint): Promise<void> {
  const item = await findMeterItem(tx, meter)
  if (item === undefined) return
  await changeMeter(tx, meter, { changedAt: epoch })
  for (const hour of openHoursOf(item)) {
    const bucket = await lookAtBucket(tx, meter, hour)
    for (const shard of bucket?.shards ?? []) setInShard(tx, shard, { changedAt: epoch })
  }
}

/** Dimensions that are counted against what others' subscriptions counted. */
async function countedTogether(tx: Transaction, of: Metered): Promise<string[]> {
  const found: string[] = []
  for (const meter of metersOf(of)) {
    const item = await findMeterItem(tx, meter)
    if (['max', 'unique', 'total'].includes(item?.aggregation as string)) found.push(meter.dimension)
  }
  return found
}

/** Those that ended are closed first: they are listed apart. */
async function listAsEnded(tx: Transaction, meter: Meter, hour: Hour): Promise<void> {
  const bucket = await lookAtBucket(tx, meter, hour)
  const [shard] = bucket?.shards ?? []
  if (shard === undefined) return
  setInShard(tx, shard, { unsealed: unsealedPartition('ENDED', shard.product as string, meter.pk) })
}

/** Beside usage that comes in all the time, which would keep a step from ever finding the shard as it had read it. */
function setInShard(tx: Transaction, { pk, sk }: Item, set: { readonly [name: string]: Attribute }): void {
  tx.add({ pk, sk }, { amounts: {}, set, mayCreate: false })
}
