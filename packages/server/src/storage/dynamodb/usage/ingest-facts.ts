import { int, optionalText, text } from '../fields.ts'
import { meterPartition, subscriptionKey } from '../keys.ts'
import type { Item, Reader } from '../table.ts'
import { type Meter, readKin } from './meters.ts'

/** What taking in usage of a meter has to know of its subscription. */
export interface MeterFacts {
  readonly accessStart: number
  /** It has an end, now or later. */
  readonly isEnded: boolean
  /** Partitions of the meters of the same dimension whose subscriptions renew each other: itself first. */
  readonly kin: readonly string[]
}

const FACTS_MAX = 200_000

export interface IngestFacts {
  of(meter: Meter): Promise<MeterFacts>
}

/**
 * Facts as they were at one epoch or later. What is later changed the meter's item too, and so the step that goes by them
 * is refused.
 */
export function createFacts(reader: Pick<Reader, 'getMany'>): IngestFacts {
  const known = new Map<string, Promise<MeterFacts>>()
  return {
    of(meter) {
      let facts = known.get(meter.pk)
      if (facts === undefined) {
        facts = readFacts(reader, meter)
        if (known.size >= FACTS_MAX) known.clear()
        known.set(meter.pk, facts)
        facts.catch(() => known.delete(meter.pk))
      }
      return facts
    },
  }
}

async function readFacts(reader: Pick<Reader, 'getMany'>, meter: Meter): Promise<MeterFacts> {
  const kin = await readKin(reader, meter.subscription)
  const own = kin.find(({ id }) => id === meter.subscription)
  if (own === undefined) throw new Error(`subscription ${meter.subscription} is unknown to the ledger`)
  return {
    accessStart: int(own.accessStart),
    isEnded: own.accessEnd !== undefined,
    kin: kin.map(({ id }) => meterPartition(text(id), meter.dimension)),
  }
}

/** A buyer who left and came back: what a retry is resolved to may have changed meanwhile, and it is the same event. */
export async function areSameBuyer(
  reader: Pick<Reader, 'getMany'>,
  one: string,
  other: string,
): Promise<boolean> {
  const [a, b] = await reader.getMany([subscriptionKey(one), subscriptionKey(other)])
  if (a === undefined || b === undefined) return false
  if (a.accessEnd === undefined && b.accessEnd === undefined) return false
  const isShared = (name: string, item: Item, than: Item) =>
    item[name] !== undefined && optionalText(item[name]) === optionalText(than[name])
  return ['customerIdentifier', 'customerAwsAccountId', 'tenantId'].some((name) => isShared(name, a, b))
}
