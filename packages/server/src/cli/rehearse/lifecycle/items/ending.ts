import { HOUR_MS, hourEnd, hourOf, MINUTE_MS } from '../../../../domain/usage/hour.ts'
import { expectAccess, expectNoAccess } from '../access.ts'
import {
  activeBuyer,
  type Buyer,
  buyerOf,
  register,
  subscribe,
  subscriptionOf,
  subscriptionsOf,
  untilLicensed,
} from '../buyer.ts'
import { type ItemGroup, unlessMetered } from '../checklist.ts'
import { expectSame, expectThat, shown } from '../finding.ts'
import {
  acceptedRecords,
  expectBilled,
  report,
  takesBuffered,
  unitsOf,
  untilGoodbyeIsOver,
  untilHourIsSent,
  use,
} from '../usage.ts'
import type { World } from '../world.ts'

export const endingItems: ItemGroup = {
  title: 'Unsubscribe: final records within the hour, then access revoked; re-subscribe works',
  items: [
    {
      title: 'Finished hours are sent at once',
      unless: unlessMetered,
      play: async (world) => {
        const buyer = await activeBuyer(world)
        await use(world, buyer, 5)
        // Into the next hour, but not so far that the one before would be sent anyway.
        await world.passUntil(hourEnd(hourOf(world.now())) + MINUTE_MS)
        if (world.product.graceMs > 5 * MINUTE_MS) expectBilled(world, buyer, 0, 'before the end')
        cancel(world, buyer)
        await world.pass(2 * MINUTE_MS)
        expectBilled(world, buyer, 5, 'two minutes after the end')
        return undefined
      },
    },
    {
      title: 'The hour in progress is sent within AWS’s hour, and billed once',
      unless: unlessMetered,
      play: async (world) => {
        const buyer = await activeBuyer(world)
        await use(world, buyer, 3)
        await world.passUntil(hourEnd(hourOf(world.now())) + 20 * MINUTE_MS)
        await use(world, buyer, 4)
        const usedAt = world.now()
        await world.pass(MINUTE_MS)
        cancel(world, buyer)
        await world.pass(2 * MINUTE_MS)
        // What the product still had in its buffer when the buyer left.
        const buffered = takesBuffered(world.product) ? 2 : 0
        if (buffered > 0) await use(world, buyer, buffered, { time: usedAt })
        await untilGoodbyeIsOver(world)
        expectBilled(world, buyer, 7 + buffered)
        const { end } = world.simulator.marketplace.getSubscription(buyer.agreement.id)
        const last = Math.max(...acceptedRecords(world, buyer).map(({ receivedAt }) => receivedAt))
        const left = Math.floor((end!.closedAt - last) / MINUTE_MS)
        expectThat(last < end!.closedAt, {
          expected: `the last record before ${timeText(end!.closedAt)}`,
          seen: timeText(last),
          look: 'goodbyeSettleMinutes of the product, and that the jobs run',
        })
        await world.pass(2 * HOUR_MS)
        expectBilled(world, buyer, 7 + buffered, 'two hours later')
        return `${left} minutes before AWS’s hour was over`
      },
    },
    {
      title: 'Then access is revoked, and later usage is refused with the reason',
      play: async (world) => {
        const buyer = await activeBuyer(world)
        await expectAccess(world, buyer, 'before the end')
        cancel(world, buyer)
        await world.pass(2 * MINUTE_MS)
        await expectNoAccess(world, buyer, 'two minutes after the end', ['cancelling', 'ended'])
        await untilGoodbyeIsOver(world)
        await expectNoAccess(world, buyer, 'after AWS’s hour', ['ended'])
        const { status } = await subscriptionOf(world, buyer)
        expectThat(status === 'cancelled' || status === 'expired', {
          expected: 'the subscription to be cancelled',
          seen: status,
          look: 'GET /marketplace/subscriptions/{id}',
        })
        if (unlessMetered(world.product) !== undefined) return undefined
        const [outcome] = await report(world, buyer, 6)
        expectThat(outcome?.status === 'refused' && outcome.code === 'subscription_ended', {
          expected: 'later usage to be refused: subscription_ended',
          seen: shown(outcome),
          look: 'POST /usage',
        })
        await untilHourIsSent(world)
        expectBilled(world, buyer, 0)
        return outcome.reason
      },
    },
    {
      title: 'A buyer who comes back is served and billed anew',
      play: async (world) => {
        const isMetered = unlessMetered(world.product) === undefined
        const first = await activeBuyer(world)
        if (isMetered) await use(world, first, 2)
        cancel(world, first)
        await world.pass(2 * MINUTE_MS)
        await untilGoodbyeIsOver(world)
        const second = await comeBack(world, first)
        await expectNewIdentity(world, first, second)
        await expectAccess(world, second, 'after coming back')
        if (!isMetered) return undefined
        await use(world, second, 7)
        await untilHourIsSent(world)
        expectBilled(world, first, 2, 'for the first time')
        expectBilled(world, second, 7, 'for the second')
        return undefined
      },
    },
    {
      title: 'A buyer who is back within the same hour loses no unit, and pays none twice',
      unless: unlessMetered,
      play: async (world) => {
        const first = await activeBuyer(world)
        await world.passUntil(hourEnd(hourOf(world.now())) + 5 * MINUTE_MS)
        await use(world, first, 4)
        await world.pass(MINUTE_MS)
        cancel(world, first)
        await world.pass(15 * MINUTE_MS)
        const second = await comeBack(world, first)
        await use(world, second, 8)
        await untilHourIsSent(world)
        await untilHourIsSent(world)
        // A legacy customer is one to AWS, before and after.
        const isOne = world.product.metering === 'legacy'
        expectSame('units that AWS accepted, before and after,', {
          expected: isOne ? [12] : [4, 8],
          seen: (isOne ? [[first, second]] : [[first], [second]]).map((buyers) => unitsOf(world, buyers)),
          look: 'GET /usage/records',
        })
        return undefined
      },
    },
  ],
}

function cancel({ simulator }: World, { agreement }: Buyer): void {
  simulator.marketplace.cancel(agreement.id)
}

/** The same account subscribes again and registers again. */
async function comeBack(world: World, first: Buyer): Promise<Buyer> {
  const { accountId, browser, email } = first
  const second = subscribe(world, {}, { accountId, browser, email })
  await register(world, second)
  await untilLicensed(world, second)
  return world.product.metering === 'legacy' ? buyerOf(world, second.agreement, { browser, email }) : second
}

/** Legacy: the same customer. License: another one, and another subscription. */
async function expectNewIdentity(world: World, first: Buyer, second: Buyer): Promise<void> {
  const all = await subscriptionsOf(world, first.accountId)
  expectSame('subscriptions of that account', {
    expected: 2,
    seen: all.length,
    look: 'GET /marketplace/subscriptions',
  })
  const { licenseArn, customerIdentifier } = second.agreement
  expectSame('its identity at AWS to be', {
    expected: licenseArn ?? customerIdentifier,
    seen: licenseArn === undefined ? all[0]?.customerIdentifier : all[0]?.licenseArn,
    look: 'GET /marketplace/subscriptions',
  })
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
