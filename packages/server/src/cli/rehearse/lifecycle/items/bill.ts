import { baseUnitsPerUnit } from '../../../../domain/products/product.ts'
import { licenseTail } from '../../../../domain/subscriptions/subscription.ts'
import { auditUsage } from '../../../../domain/usage/audit-usage.ts'
import { HOUR_MS } from '../../../../domain/usage/hour.ts'
import { type ItemGroup, unlessMetered } from '../checklist.ts'
import { expectSame, expectThat, shown } from '../finding.ts'
import type { World } from '../world.ts'

/** All that is on its way is settled by then: the last goodbye's hour, and the grace of the hours before. */
const HOURS_MAX = 30

export const billItems: ItemGroup = {
  title: 'The final bill',
  items: [
    {
      title: 'Nothing is left open, held, unsent or in doubt',
      play: async (world) => {
        for (let hour = 0; hour < HOURS_MAX && (await leftOf(world)) !== undefined; hour++)
          await world.pass(HOUR_MS)
        const left = await leftOf(world)
        expectThat(left === undefined, {
          expected: 'everything to be settled',
          seen: left ?? '',
          look: '`tollkeeper usage status`',
        })
        return undefined
      },
    },
    {
      title: 'AWS’s bill equals the ledger, to the unit',
      unless: unlessMetered,
      play: async (world) => {
        const [ours, theirs] = [await ledgerUnits(world), marketplaceUnits(world)]
        for (const meter of new Set([...ours.keys(), ...theirs.keys()])) {
          expectSame(`AWS’s units of ${meter} to be those of the ledger,`, {
            expected: ours.get(meter) ?? 0n,
            seen: theirs.get(meter) ?? 0n,
            look: 'GET /usage/records',
          })
        }
        const total = [...theirs.values()].reduce((sum, units) => sum + units, 0n)
        const { total: amount } = world.simulator.marketplace.bill()
        return `${total} units of ${theirs.size} meters, ${amount} USD`
      },
    },
    {
      title: 'usage audit balances',
      play: async ({ engine }) => {
        const { balanced, meters, discrepancies } = await auditUsage(engine.ledger.usage)
        expectThat(balanced, {
          expected: 'journal, rows and events to agree',
          seen: shown(discrepancies.slice(0, 3)),
          look: '`tollkeeper usage audit`',
        })
        return `${meters} meters`
      },
    },
    {
      title: 'No job failed on the way',
      play: async (world) => {
        const errors = world
          .logged()
          .split('\n')
          .filter((line) => line.includes('"level":50') || line.includes('"level":60'))
        expectThat(errors.length === 0, {
          expected: 'no error in the server’s log',
          seen: `${errors.length}: ${shown(errors[0] ?? '')}`,
          look: 'the server’s log',
        })
        return undefined
      },
    },
  ],
}

async function leftOf({ engine, product }: World): Promise<string | undefined> {
  const status = await engine.ledger.usage.status(product.id)
  const { openBuckets, heldBuckets, records } = status
  const { ready, sent, in_doubt: inDoubt, conflict } = records
  const left = { open: openBuckets, held: heldBuckets, ready, sent, inDoubt, conflict }
  const parts = Object.entries(left).filter(([, count]) => count > 0)
  return parts.length === 0 ? undefined : parts.map(([name, count]) => `${count} ${name}`).join(', ')
}

/** What the ledger says AWS has: whole units by AWS's identity and dimension. */
async function ledgerUnits({ engine, product }: World): Promise<ReadonlyMap<string, bigint>> {
  const { usage, subscriptions } = engine.ledger
  const accepted: { subscription: string; dimension: string; units: bigint }[] = []
  await usage.audit((meters) => {
    for (const { subscription, dimension, balances } of meters) {
      const known = product.dimensions.find(({ key }) => key === dimension)
      const units =
        (balances.accepted + balances.assumed) / (known === undefined ? 1n : baseUnitsPerUnit(known))
      accepted.push({ subscription, dimension, units })
    }
  })
  const sums = new Map<string, bigint>()
  for (const { subscription, dimension, units } of accepted)
    add(sums, `${identityOf(await subscriptions.get(subscription))} ${dimension}`, units)
  return sums
}

function marketplaceUnits({ simulator: { marketplace } }: World): ReadonlyMap<string, bigint> {
  const sums = new Map<string, bigint>()
  for (const record of marketplace.listRecords({ from: 0, limit: marketplace.recordCount }))
    add(sums, `${identityOf(record)} ${record.dimension}`, BigInt(record.quantity))
  return sums
}

function add(sums: Map<string, bigint>, meter: string, units: bigint): void {
  if (units > 0n) sums.set(meter, (sums.get(meter) ?? 0n) + units)
}

function identityOf({
  licenseArn,
  customerIdentifier,
}: {
  readonly licenseArn?: string | undefined
  readonly customerIdentifier?: string | undefined
}): string {
  return licenseArn === undefined ? `customer ${customerIdentifier}` : licenseTail(licenseArn)
}
