import type { Plan } from '../../../../domain/plans/plan.ts'
import type { Product } from '../../../../domain/products/product.ts'
import { HOUR_MS, MINUTE_MS } from '../../../../domain/usage/hour.ts'
import { type AccessView, accessOf, askAccess, eventually, expectAccess, expectNoAccess } from '../access.ts'
import { activeBuyer, type Buyer, CONTRACT_UNITS, referenceOf, register, subscribe } from '../buyer.ts'
import { type ItemGroup, unlessContract } from '../checklist.ts'
import { expectSame, expectThat, shown } from '../finding.ts'
import { quantitiesOf } from '../listing.ts'
import { allowanceOf, expectBilled, includedIn, tooMany, untilHourIsSent, use } from '../usage.ts'
import type { World } from '../world.ts'

const READ_LOOK = 'GET /marketplace/subscriptions/{id}/entitlements shows AWS’s last answer'
/** Two empty answers this far apart are believed, and a bit. */
const REVOKED_AFTER_MS = 45 * MINUTE_MS

export const contractItems: ItemGroup = {
  title: 'Contract: GetEntitlements at registration and on update; none, no access; upgrade reflected',
  items: [
    {
      title: 'Entitlements are read at registration',
      unless: unlessContract,
      play: async (world) => {
        const buyer = subscribe(world)
        // Licensed before anybody registers: what follows is the registration’s own doing.
        await world.passUntil(buyer.agreement.licensedAt + MINUTE_MS)
        const before = calls(world)
        await register(world, buyer)
        const access = await untilGranted(world, buyer, CONTRACT_UNITS)
        expectThat(calls(world) > before, {
          expected: 'GetEntitlements to be called',
          seen: 'no call',
          look: 'aws-marketplace:GetEntitlements, in us-east-1',
        })
        return shown(granted(access)).replaceAll('"', '')
      },
    },
    {
      title: 'An upgrade within the contract is reflected',
      unless: unlessContract,
      play: async (world) => {
        const buyer = await activeBuyer(world)
        await untilGranted(world, buyer, CONTRACT_UNITS)
        upgrade(world, buyer, CONTRACT_UNITS + 4)
        await world.pass(5 * MINUTE_MS)
        await untilGranted(world, buyer, CONTRACT_UNITS + 4)
        return `${CONTRACT_UNITS} → ${CONTRACT_UNITS + 4}`
      },
    },
    {
      title: 'Another plan that is bought is the plan that is served',
      unless: (product) =>
        unlessContract(product) ?? (nextPlan(product) === undefined ? 'the product has one plan' : undefined),
      play: async (world) => {
        const { product, listing, simulator } = world
        const [first] = product.plans
        const next = nextPlan(product)!
        const buyer = await activeBuyer(world)
        await expectPlan(world, buyer, first!)
        simulator.marketplace.amend(buyer.agreement.id, quantitiesOf(listing, next, CONTRACT_UNITS))
        await world.pass(5 * MINUTE_MS)
        await expectPlan(world, buyer, next)
        return `${first!.id} → ${next.id}`
      },
    },
    {
      title: 'All pages of an answer count, an empty first one too',
      unless: unlessContract,
      play: async (world) => {
        const { marketplace } = world.simulator
        marketplace.updateSettings({ emptyEntitlementPage: true })
        try {
          const buyer = await activeBuyer(world)
          await untilGranted(world, buyer, CONTRACT_UNITS)
        } finally {
          marketplace.updateSettings({ emptyEntitlementPage: false })
        }
        return undefined
      },
    },
    {
      title: 'What the contract does not grant is not given',
      unless: unlessContract,
      play: async (world) => {
        const buyer = subscribe(world, { quantities: quantitiesOf(world.listing, undefined, 0) })
        await register(world, buyer)
        await world.passUntil(buyer.agreement.licensedAt + 5 * MINUTE_MS)
        for (const dimension of entitledKeys(world)) {
          const { status, body } = await askAccess(world, referenceOf(buyer), { dimension })
          expectThat(status === 200 && !(body as AccessView).allowed, {
            expected: `no access to ${dimension}, of which the contract grants nothing`,
            seen: `${status} ${shown(body)}`,
            look: 'GET /entitlements/check?dimension=…',
          })
        }
        return undefined
      },
    },
    {
      title: 'AWS’s last answer serves while AWS does not answer, and says its age',
      unless: unlessContract,
      play: async (world) => {
        const buyer = await activeBuyer(world)
        await untilGranted(world, buyer, CONTRACT_UNITS)
        const { faults } = world.simulator
        const fault = faults.order({
          kind: 'html503',
          operation: 'GetEntitlements',
          productCode: world.product.productCode,
        })
        try {
          await world.pass(world.engine.ledger.config.entitlements.refreshMs + HOUR_MS)
          const access = await expectAccess(world, buyer, 'while GetEntitlements fails')
          const seconds = access.ageSeconds ?? 0
          expectThat(seconds >= 3_600 && granted(access).length > 0, {
            expected: 'the last answer, more than an hour old',
            seen: `${shown(granted(access))}, ${seconds} s old`,
            look: READ_LOOK,
          })
          return `${Math.floor(seconds / 60)} minutes old`
        } finally {
          faults.withdraw(fault.id)
        }
      },
    },
    {
      title: 'Access is revoked when the contract has ended',
      unless: unlessContract,
      play: async (world) => {
        const buyer = await activeBuyer(world)
        await untilGranted(world, buyer, CONTRACT_UNITS)
        world.simulator.marketplace.cancel(buyer.agreement.id)
        await world.pass(REVOKED_AFTER_MS)
        await expectNoAccess(world, buyer, 'after the contract ended', ['cancelling', 'ended'])
        return undefined
      },
    },
  ],
}

export const consumptionItems: ItemGroup = {
  title: 'Contract with consumption: both, overage only',
  items: [
    {
      title: 'Included units are used up first, and only what exceeds them is billed',
      unless: unlessIncluded,
      play: async (world) => {
        const { product } = world
        const dimension = includedDimension(product)!
        const allowance = allowanceOf(product, dimension.key)
        const why = tooMany(dimension, allowance + 7)
        if (why !== undefined) return `not ${why}`
        const buyer = await activeBuyer(world)
        await untilGranted(world, buyer, CONTRACT_UNITS)
        await use(world, buyer, allowance - 3, { dimension })
        await untilHourIsSent(world)
        expectBilled(world, buyer, 0, 'while included units last')
        await use(world, buyer, 10, { dimension })
        await untilHourIsSent(world)
        expectBilled(world, buyer, { [dimension.key]: 7 })
        await use(world, buyer, 5, { dimension })
        await untilHourIsSent(world)
        expectBilled(world, buyer, { [dimension.key]: 12 })
        return `${dimension.key}: ${allowance} included, 12 of ${allowance + 12} billed`
      },
    },
    {
      title: 'An upgrade raises what is included from its own time on',
      unless: (product) =>
        unlessIncluded(product) ??
        (includedPerUnit(product) === undefined ? 'nothing is included per entitled unit' : undefined),
      play: async (world) => {
        const { product } = world
        const { dimension: key } = includedPerUnit(product)!
        const dimension = product.dimensions.find((candidate) => candidate.key === key)!
        const before = allowanceOf(product, key)
        const after = allowanceOf(product, key, CONTRACT_UNITS + 1)
        const why = tooMany(dimension, after + 8)
        if (why !== undefined) return `not ${why}`
        const buyer = await activeBuyer(world)
        await untilGranted(world, buyer, CONTRACT_UNITS)
        await use(world, buyer, before + 2, { dimension })
        await untilHourIsSent(world)
        expectBilled(world, buyer, { [key]: 2 }, 'before the upgrade')
        upgrade(world, buyer, CONTRACT_UNITS + 1)
        await world.pass(5 * MINUTE_MS)
        await untilGranted(world, buyer, CONTRACT_UNITS + 1)
        await untilHourIsSent(world)
        await use(world, buyer, after - before + 6, { dimension })
        await untilHourIsSent(world)
        expectBilled(world, buyer, { [key]: 8 }, 'after the upgrade')
        return `${key}: ${before} → ${after} included`
      },
    },
  ],
}

function unlessIncluded(product: Product): string | undefined {
  if (product.pricing !== 'contract-with-consumption') return 'the product is no contract with consumption'
  return includedDimension(product) === undefined ? 'no plan includes units of a dimension' : undefined
}

function includedDimension(product: Product) {
  return product.dimensions.find(({ key }) => includedIn(product, key) !== undefined)
}

function includedPerUnit({ plans }: Product) {
  return plans[0]?.included.find(({ per }) => per !== undefined)
}

function nextPlan({ plans }: Product): Plan | undefined {
  const [first, ...others] = plans
  return others.find(({ grantedBy }) => grantedBy !== undefined && grantedBy !== first?.grantedBy)
}

function entitledKeys({ listing }: World): readonly string[] {
  return listing.dimensions.filter(({ types }) => types?.includes('Entitled')).map(({ key }) => key)
}

/** The buyer accepts more units within the agreement. */
function upgrade({ simulator, listing, product }: World, { agreement }: Buyer, units: number): void {
  simulator.marketplace.amend(agreement.id, quantitiesOf(listing, product.plans[0], units))
}

function calls({ simulator }: World): number {
  return simulator.marketplace.callCounts().GetEntitlements?.ok ?? 0
}

function granted({ entitlements = [] }: AccessView): readonly string[] {
  return entitlements.map(({ dimension, value }) => `${dimension} ${value}`).sort()
}

/** @throws {Finding} unless the server serves so many units of the plan that was bought */
async function untilGranted(world: World, buyer: Buyer, units: number): Promise<AccessView> {
  const quantities = quantitiesOf(world.listing, world.product.plans[0], units)
  const wanted = Object.entries(quantities).filter(([, quantity]) => quantity > 0)
  const expected = wanted.map(([key, quantity]) => `${key} ${quantity}`).sort()
  const access = await eventually(
    () => accessOf(world, buyer),
    (answer) => shown(granted(answer)) === shown(expected),
  )
  expectSame('the check to show', { expected, seen: granted(access), look: READ_LOOK })
  return access
}

async function expectPlan(world: World, buyer: Buyer, plan: Plan): Promise<void> {
  const access = await eventually(
    () => accessOf(world, buyer),
    (answer) => answer.plan === plan.id,
  )
  expectSame('the plan', { expected: plan.id, seen: access.plan, look: READ_LOOK })
  expectSame('its features', { expected: plan.features, seen: access.features, look: 'features of the plan' })
}
