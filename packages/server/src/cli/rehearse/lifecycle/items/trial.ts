import { HOUR_MS, MINUTE_MS } from '../../../../domain/usage/hour.ts'
import { eventually, expectAccess } from '../access.ts'
import { activeBuyer, buyerOf, LICENSED_MS, nameTenant, subscriptionOf } from '../buyer.ts'
import { type ItemGroup, unlessMetered } from '../checklist.ts'
import { expectSame } from '../finding.ts'
import { expectBilled, unitsOf, untilHourIsSent, use } from '../usage.ts'
import type { World } from '../world.ts'

export const trialItems: ItemGroup = {
  title: 'Free trial: detected, metered as usual, converted',
  items: [
    {
      title: 'A free trial is detected',
      play: async (world) => {
        const buyer = await activeBuyer(world, { freeTrial: true })
        // AWS says it in the agreement's terms alone, which are read hourly.
        if (world.product.metering === 'license') await world.pass(HOUR_MS + 10 * MINUTE_MS)
        const trial = await eventually(
          () => subscriptionOf(world, buyer),
          ({ freeTrial }) => freeTrial === true,
        )
        expectSame('the subscription’s freeTrial', {
          expected: true,
          seen: trial.freeTrial ?? 'unknown',
          look:
            world.product.metering === 'legacy'
              ? 'isFreeTrialTermPresent of subscribe-success'
              : 'events do not say it: aws-marketplace:GetAgreementTerms, freeTrialPricingTerm',
        })
        const paying = await activeBuyer(world)
        const { freeTrial = false } = await subscriptionOf(world, paying)
        expectSame('freeTrial of a paying buyer', {
          expected: false,
          seen: freeTrial,
          look: 'GET /marketplace/subscriptions/{id}',
        })
        return undefined
      },
    },
    {
      title: 'A trial is metered as usual, and costs nothing at AWS',
      unless: unlessMetered,
      play: async (world) => {
        const buyer = await activeBuyer(world, { freeTrial: true })
        await use(world, buyer, 6)
        await untilHourIsSent(world)
        expectBilled(world, buyer, 6)
        expectSame('AWS’s price of it', {
          expected: ['0'],
          seen: amountsOf(world, buyer.agreement.id),
          look: 'the rehearsed AWS itself',
        })
        return undefined
      },
    },
    {
      title: 'Its conversion to a paid agreement keeps tenant and access',
      play: async (world) => {
        const buyer = await activeBuyer(world, { freeTrial: true })
        const tenantId = await nameTenant(world, buyer)
        const isMetered = unlessMetered(world.product) === undefined
        if (isMetered) await use(world, buyer, 2, { by: { tenantId } })
        const agreement = world.simulator.marketplace.replace(buyer.agreement.id)
        const paid = buyerOf(world, agreement, buyer)
        for (const wait of [20_000, 20_000, LICENSED_MS]) {
          await world.pass(wait)
          await expectAccess(world, buyer, 'during the conversion', { tenantId })
        }
        const { subscription } = await expectAccess(world, paid, 'after it, under the new agreement')
        const { tenantId: kept } = await world.api.ask<{ tenantId?: string }>(
          `/marketplace/subscriptions/${subscription}`,
        )
        expectSame('its tenant', {
          expected: tenantId,
          seen: kept,
          look: 'GET /marketplace/subscriptions/{id}',
        })
        if (!isMetered) return undefined
        await use(world, paid, 3, { by: { tenantId } })
        await untilHourIsSent(world)
        await untilHourIsSent(world)
        if (world.product.metering === 'license') {
          expectBilled(world, paid, 3, 'after the conversion')
          expectBilled(world, buyer, 2, 'in the trial')
          return undefined
        }
        // A legacy customer is one to AWS, before and after.
        expectSame('units that AWS accepted of this customer', {
          expected: 5,
          seen: unitsOf(world, [buyer, paid]),
          look: 'GET /usage/records',
        })
        return undefined
      },
    },
  ],
}

function amountsOf({ simulator }: World, subscriptionId: string): readonly string[] {
  return simulator.marketplace
    .bill()
    .lines.filter((line) => line.subscriptionId === subscriptionId && line.units !== '0')
    .map(({ amount }) => amount)
}
