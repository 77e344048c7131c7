import type { UnsettledUsage } from '../../../domain/subscriptions/subscription-history.ts'
import { meterKey, meterPartition, recordPrefix } from '../keys.ts'
import type { Reader } from '../table.ts'
import type { Metered } from '../usage-of-subscriptions.ts'
import { heldHoursOf, openHoursOf } from './meters.ts'

/** What of a subscription is not billed yet, or may never be. */
export async function readUnsettled(reader: Reader, of: Metered): Promise<UnsettledUsage> {
  const dimensions = [...of.dimensions]
  const meters = (await reader.getMany(dimensions.map((dimension) => meterKey(of.id, dimension)))).filter(
    (meter) => meter !== undefined,
  )
  let unsentRecords = 0
  let inDoubtRecords = 0
  for (const dimension of dimensions) {
    for (const { state } of await reader.query({
      pk: meterPartition(of.id, dimension),
      prefix: recordPrefix,
    })) {
      if (state === 'ready' || state === 'sent') unsentRecords++
      if (state === 'in_doubt') inDoubtRecords++
    }
  }
  return {
    openHours: meters.reduce((sum, meter) => sum + openHoursOf(meter).length, 0),
    heldHours: meters.reduce((sum, meter) => sum + heldHoursOf(meter).length, 0),
    unsentRecords,
    inDoubtRecords,
  }
}
