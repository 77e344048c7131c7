import { MINUTE_MS } from '../../../../domain/usage/hour.ts'
import { expectAccess, expectNoAccess } from '../access.ts'
import {
  activeBuyer,
  grantingWord,
  notificationsLook,
  register,
  setUpAccount,
  subscribe,
  subscriptionOf,
  titleOf,
} from '../buyer.ts'
import type { ItemGroup } from '../checklist.ts'
import { expectSame, expectThat } from '../finding.ts'
import type { World } from '../world.ts'

export const accessItems: ItemGroup = {
  title: 'Service withheld until subscribe-success or License Updated; subscribe-fail handled',
  items: [
    {
      title: 'Service is withheld until AWS says that access starts',
      play: async (world) => {
        const buyer = subscribe(world)
        await register(world, buyer)
        await expectNoAccess(world, buyer, 'right after the registration', ['pending'])
        await world.passUntil(buyer.agreement.licensedAt - 1_000)
        await expectNoAccess(world, buyer, `a second before ${grantingWord(world)}`, ['pending'])
        return 'the check says pending'
      },
    },
    {
      title: 'Access starts with AWS’s word',
      play: async (world) => {
        const buyer = subscribe(world)
        await register(world, buyer)
        await world.passUntil(buyer.agreement.licensedAt + MINUTE_MS)
        const { status } = await subscriptionOf(world, buyer)
        expectThat(status === 'active', {
          expected: `the subscription to be active a minute after AWS sent ${grantingWord(world)}`,
          seen: `${status}${lostWord(world, buyer.agreement.id)}`,
          look: notificationsLook(world),
        })
        await expectAccess(world, buyer, `after ${grantingWord(world)}`)
        return grantingWord(world)
      },
    },
    {
      title: 'AWS’s word before the registration is not lost',
      play: async (world) => {
        const buyer = subscribe(world)
        await world.passUntil(buyer.agreement.licensedAt + 5 * MINUTE_MS)
        await register(world, buyer)
        await world.settle()
        const { status } = await subscriptionOf(world, buyer)
        expectSame('the subscription, registered after AWS’s word, to be', {
          expected: 'active',
          seen: status,
          look: notificationsLook(world),
        })
        await expectAccess(world, buyer, 'right after a late registration')
        return undefined
      },
    },
    {
      title: 'A subscription whose payment fails is never served',
      play: async (world) => {
        const buyer = subscribe(world, { fail: true })
        await register(world, buyer)
        await world.passUntil(buyer.agreement.licensedAt + 5 * MINUTE_MS)
        await expectNoAccess(world, buyer, 'after the payment failed', ['pending', 'cancelling', 'ended'])
        const { status } = await subscriptionOf(world, buyer)
        if (world.product.metering === 'legacy') {
          expectSame('the subscription after subscribe-fail to be', {
            expected: 'failed',
            seen: status,
            look: 'GET /marketplace/subscriptions/{id}',
          })
          const page = await setUpAccount(world, buyer)
          expectThat(page.status < 500, {
            expected: 'a page that says so',
            seen: `${page.status} ${titleOf(page)}`,
            look: 'GET /l/{listing}',
          })
        }
        return world.product.metering === 'legacy' ? 'subscribe-fail' : 'no License Updated came'
      },
    },
    {
      title: 'The seller’s provisioning webhook is told of the start and the end, signed',
      play: async (world) => {
        const buyer = await activeBuyer(world)
        const { id } = await subscriptionOf(world, buyer)
        world.simulator.marketplace.cancel(buyer.agreement.id)
        await world.pass(2 * MINUTE_MS)
        const told = world.provisioning.told.filter(({ data }) => data.subscription?.id === id)
        const types = told.map(({ type }) => type)
        const wanted = ['subscription.created', 'subscription.activated', 'subscription.cancelling']
        expectSame('what it was told', {
          expected: wanted,
          seen: types.filter((type) => wanted.includes(type)),
          look: 'events.webhooks of the configuration, and GET /deliveries',
        })
        expectThat(
          told.every(({ isSigned }) => isSigned),
          { expected: 'all of it signed', seen: 'a message without', look: 'webhook-signature' },
        )
        return types.map((type) => type.replace('subscription.', '')).join(', ')
      },
    },
    {
      title: 'A gateway’s questions by license, account and id are answered alike',
      play: async (world) => {
        const buyer = await activeBuyer(world)
        const { id } = await subscriptionOf(world, buyer)
        await expectAccess(world, buyer, 'asked by subscription', { subscriptionId: id })
        await expectAccess(world, buyer, 'asked by account', { customerAWSAccountId: buyer.accountId })
        return undefined
      },
    },
  ],
}

/** Says where AWS's word went, if the server did not get it. */
function lostWord({ simulator, product }: World, agreement: string): string {
  const type = product.metering === 'legacy' ? 'subscribe-success' : 'License Updated - Manufacturer'
  const sent = simulator.delivery
    .notifications()
    .find((notification) => notification.subscriptionId === agreement && notification.type === type)
  if (sent === undefined) return ` (AWS sent no ${type})`
  const [delivery] = sent.deliveries
  if (delivery === undefined) return ` (${type} was sent to nobody)`
  const why = delivery.error === undefined ? '' : `: ${delivery.error}`
  return delivery.state === 'delivered'
    ? ` (${type} was delivered)`
    : ` (${type} was ${delivery.state}${why})`
}
