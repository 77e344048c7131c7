import { HOUR_MS, MINUTE_MS } from '../../../../domain/usage/hour.ts'
import { expectAccess, expectNoAccess } from '../access.ts'
import { activeBuyer, type Buyer, subscriptionOf } from '../buyer.ts'
import { type ItemGroup, unlessAll, unlessMetered } from '../checklist.ts'
import { expectSame, expectThat, shown } from '../finding.ts'
import { expectBilled, untilGoodbyeIsOver, untilHourIsSent, untilRetried, use } from '../usage.ts'
import type { World } from '../world.ts'

export const suspensionItems: ItemGroup = {
  title: 'An account that AWS suspends: usage waits, and is billed when it is reinstated',
  items: [
    {
      title: 'Usage that AWS does not take meanwhile is kept, and billed afterwards',
      unless: unlessMetered,
      play: async (world) => {
        const { marketplace } = world.simulator
        const buyer = await activeBuyer(world)
        marketplace.suspend(buyer.agreement.id, true)
        await use(world, buyer, 8)
        await untilHourIsSent(world)
        await untilRetried(world)
        expectBilled(world, buyer, 0, 'while suspended')
        await world.pass(2 * HOUR_MS)
        marketplace.suspend(buyer.agreement.id, false)
        await untilRetried(world)
        expectBilled(world, buyer, 8, 'after it was reinstated')
        return '3 hours suspended'
      },
    },
  ],
}

const REASON = 'TEST_AGREEMENT'
const NO_PARTNER_OR_LEGACY = ({
  metering,
  productId,
}: {
  metering: string
  productId: string | undefined
}) =>
  metering === 'legacy' && productId === undefined
    ? 'the Agreement API knows products by productId, which the configuration does not say'
    : undefined

export const cancellationItems: ItemGroup = {
  title: 'The seller asks for a cancellation, and the buyer decides',
  items: [
    {
      title: 'Approved by the buyer, it ends as any cancellation does',
      unless: NO_PARTNER_OR_LEGACY,
      play: async (world) => {
        const buyer = await activeBuyer(world)
        const isMetered = unlessMetered(world.product) === undefined
        if (isMetered) await use(world, buyer, 3)
        const request = await askForCancellation(world, buyer)
        await world.pass(HOUR_MS)
        await expectAccess(world, buyer, 'while the buyer has not answered')
        world.simulator.marketplace.answerCancellationRequest(request, 'approve')
        await world.pass(2 * MINUTE_MS)
        await expectNoAccess(world, buyer, 'after the buyer approved', ['cancelling', 'ended'])
        await untilGoodbyeIsOver(world)
        const { status } = await subscriptionOf(world, buyer)
        expectSame('the subscription to be', {
          expected: 'cancelled',
          seen: status,
          look: 'GET /marketplace/subscriptions/{id}',
        })
        if (isMetered) expectBilled(world, buyer, 3)
        return undefined
      },
    },
    {
      title: 'Rejected by the buyer, all goes on',
      unless: unlessAll(NO_PARTNER_OR_LEGACY),
      play: async (world) => {
        const buyer = await activeBuyer(world)
        const request = await askForCancellation(world, buyer)
        world.simulator.marketplace.answerCancellationRequest(request, 'reject', 'we need it')
        await world.pass(10 * MINUTE_MS)
        await expectAccess(world, buyer, 'after the buyer rejected')
        return undefined
      },
    },
  ],
}

/** @returns AWS's id of the request */
async function askForCancellation(world: World, buyer: Buyer): Promise<string> {
  const { api, simulator } = world
  const { id } = await subscriptionOf(world, buyer)
  const answer = await api.call(`/marketplace/subscriptions/${id}?reasonCode=${REASON}`, { method: 'DELETE' })
  expectThat(answer.status === 202, {
    expected: 'the request to be sent: 202',
    seen: `${answer.status} ${shown(answer.body)}`,
    look: 'DELETE /marketplace/subscriptions/{id}, aws-marketplace:SendAgreementCancellationRequest',
  })
  const [request] = simulator.marketplace.listCancellationRequests(buyer.agreement.id)
  expectSame('AWS to have a request', {
    expected: `PENDING_APPROVAL ${REASON}`,
    seen: request === undefined ? 'none' : `${request.status} ${request.reasonCode}`,
    look: 'aws-marketplace:SendAgreementCancellationRequest',
  })
  return request!.id
}
