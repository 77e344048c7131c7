import { createHmac } from 'node:crypto'
import type {
  DeliveredNotification,
  NotificationFaultKind,
  NotificationFaultOrder,
} from '@tollkeeper/simulator'
import { MINUTE_MS } from '../../../../domain/usage/hour.ts'
import { expectAccess, expectNoAccess } from '../access.ts'
import { type Buyer, grantingWord, register, subscribe, subscriptionsOf } from '../buyer.ts'
import { type ItemGroup, unlessMetered } from '../checklist.ts'
import { expectSame, expectThat, shown } from '../finding.ts'
import type { Answer } from '../seller-api.ts'
import { expectBilled, untilGoodbyeIsOver, use } from '../usage.ts'
import type { World } from '../world.ts'

const WEBHOOK = '/marketplace/webhook'
/** A registration that waits for AWS's word makes the server ask, after some minutes. */
const ASKED_WITHIN_MS = 15 * MINUTE_MS
const REFUSALS = 'GET /audit, action notification.refused'

/** Orders under which a whole life must come to the same. */
const DISTURBANCES: readonly {
  readonly title: string
  readonly faults: readonly NotificationFaultOrder[]
}[] = [
  {
    title: 'Notifications that come three times change nothing',
    faults: [{ kind: 'repeat', copies: 3 }],
  },
  {
    title: 'Notifications that come late change nothing',
    faults: [{ kind: 'delay', by: '10m' }],
  },
  {
    title: 'Notifications that come in reverse order change nothing',
    faults: [{ kind: 'reorder', times: 2 }],
  },
]

const FORGERIES = [
  { kind: 'forge', title: 'A message that somebody else signed is refused' },
  { kind: 'tamper', title: 'A message that was changed after it was signed is refused' },
  { kind: 'wrongTopic', title: 'A message of another account’s topic is refused' },
  { kind: 'wrongCertHost', title: 'A message whose certificate is elsewhere is refused' },
] as const satisfies readonly { readonly kind: NotificationFaultKind; readonly title: string }[]

export const notificationItems: ItemGroup = {
  title: 'Notifications: at least once, in any order, and only AWS’s own',
  items: [
    ...DISTURBANCES.map(({ title, faults }) => ({
      title,
      play: (world: World) => playDisturbedLife(world, faults),
    })),
    ...FORGERIES.map(({ kind, title }) => ({
      title,
      play: (world: World) => playForgery(world, kind),
    })),
    {
      title: 'A relay is believed by its signature; a forged and a replayed message are refused',
      play: playRelay,
    },
    {
      title: 'What nobody knows yet is kept and listed',
      play: async (world) => {
        const id = `unheard-of-${world.now()}`
        const event = {
          version: '0',
          id,
          'detail-type': 'Purchase Agreement Blessed - Proposer',
          source: 'aws.agreement-marketplace',
          account: world.simulator.marketplace.settings.sellerAccountId,
          time: new Date(world.now()).toISOString(),
          region: 'us-east-1',
          resources: [],
          detail: { agreement: { id: 'agmt-unheard-of' } },
        }
        const answer = await relay(world, JSON.stringify(event))
        expectThat(answer.status === 200, {
          expected: 'an event of an unknown kind to be taken',
          seen: `${answer.status} ${shown(answer.body)}`,
          look: `POST ${WEBHOOK}`,
        })
        const { items } = await world.api.ask<{ items: { id: string }[] }>('/marketplace/events?kind=unknown')
        expectThat(
          items.some((item) => item.id === id),
          {
            expected: 'it to be listed',
            seen: `${items.length} others`,
            look: 'GET /marketplace/events?kind=unknown',
          },
        )
        return undefined
      },
    },
    {
      title: 'A notification that never came is made good by asking AWS',
      unless: ({ productId, metering }) =>
        metering === 'legacy' && productId === undefined
          ? 'the Agreement API knows products by productId, which the configuration does not say'
          : undefined,
      play: async (world) => {
        const { delivery } = world.simulator
        const buyer = subscribe(world)
        const lost = delivery.faults.order({ kind: 'drop', subscriptionId: buyer.agreement.id })
        await register(world, buyer)
        await world.passUntil(buyer.agreement.licensedAt + ASKED_WITHIN_MS)
        delivery.faults.withdraw(lost.id)
        await expectAccess(world, buyer, 'a while after a notification that was lost')
        return undefined
      },
    },
  ],
}

/** Subscribed, used, cancelled: with something wrong with all notifications of it. */
async function playDisturbedLife(
  world: World,
  faults: readonly NotificationFaultOrder[],
): Promise<string | undefined> {
  const { delivery, marketplace } = world.simulator
  const isMetered = unlessMetered(world.product) === undefined
  const buyer = subscribe(world)
  const subscriptionId = buyer.agreement.id
  let ordered: readonly string[] = []
  const order = () => {
    ordered = faults.map((fault) => delivery.faults.order({ ...fault, subscriptionId }).id)
  }
  const withdraw = () => {
    for (const id of ordered) if (delivery.faults.has(id)) delivery.faults.withdraw(id)
  }
  try {
    order()
    await register(world, buyer)
    await world.passUntil(buyer.agreement.licensedAt + MINUTE_MS)
    // What waits for another to overtake it does not wait for ever.
    await world.pass(12 * MINUTE_MS)
    withdraw()
    await world.settle()
    await expectAccess(world, buyer, `after ${grantingWord(world)}`)
    if (isMetered) await use(world, buyer, 6)
    await world.pass(MINUTE_MS)
    order()
    marketplace.cancel(subscriptionId)
    await world.pass(12 * MINUTE_MS)
    withdraw()
    await world.settle()
    await expectNoAccess(world, buyer, 'after the end', ['cancelling', 'ended'])
    await untilGoodbyeIsOver(world)
    await expectNoAccess(world, buyer, 'after AWS’s hour', ['ended'])
  } finally {
    withdraw()
  }
  expectSame('subscriptions of that account', {
    expected: 1,
    seen: (await subscriptionsOf(world, buyer.accountId)).length,
    look: 'GET /marketplace/subscriptions',
  })
  if (isMetered) expectBilled(world, buyer, 6)
  return undefined
}

/** AWS's word, spoilt on its way: it is refused, and noted; then the genuine one comes. */
async function playForgery(world: World, kind: NotificationFaultKind): Promise<string> {
  const { delivery } = world.simulator
  await world.route('https')
  try {
    const before = (await refusals(world)).length
    const buyer = subscribe(world)
    delivery.faults.order({
      kind,
      subscriptionId: buyer.agreement.id,
      type: grantingType(world),
      times: 1,
    })
    await register(world, buyer)
    await world.passUntil(buyer.agreement.licensedAt + MINUTE_MS)
    const sent = grantOf(world, buyer)
    const [attempt] = sent.deliveries.filter(({ state }) => state !== 'waiting')
    expectThat(attempt?.state === 'failed' && /status 4\d\d/.test(attempt.error ?? ''), {
      expected: 'a 4xx',
      seen: attempt === undefined ? 'it was not sent' : `${attempt.state} ${attempt.error ?? ''}`.trim(),
      look: `POST ${WEBHOOK}: signature, certificate and topic must be checked`,
    })
    await expectStillWithheld(world, buyer, 'from a message that is not AWS’s')
    const noted = await refusals(world)
    expectThat(noted.length > before, {
      expected: 'an audit entry',
      seen: 'none',
      look: REFUSALS,
    })
    delivery.redeliver(sent.id)
    await world.settle()
    await expectAccess(world, buyer, 'after the genuine message')
    return `${attempt.error?.replace('status ', '')}, ${noted[0]?.after?.why ?? 'noted'}`
  } finally {
    await world.route(world.usualRoute)
  }
}

/** Messages that a relay of the seller's forwards, with an HMAC. */
async function playRelay(world: World): Promise<string> {
  const { delivery } = world.simulator
  const buyer = subscribe(world)
  const lost = delivery.faults.order({ kind: 'drop', subscriptionId: buyer.agreement.id })
  await register(world, buyer)
  await world.passUntil(buyer.agreement.licensedAt + MINUTE_MS)
  delivery.faults.withdraw(lost.id)
  const body = relayedBody(grantOf(world, buyer))

  const refused = [
    {
      what: 'a message with a wrong signature',
      answer: await relay(world, body, { secret: 'a stranger’s' }),
    },
    {
      what: 'a message replayed ten minutes later',
      answer: await relay(world, body, { ageMs: 10 * MINUTE_MS }),
    },
    {
      what: 'a message without signature',
      answer: await world.api.call(WEBHOOK, { text: body, isOpen: true }),
    },
  ]
  for (const { what, answer } of refused) {
    expectThat(answer.status >= 400 && answer.status < 500, {
      expected: `${what} to be refused with a 4xx`,
      seen: `${answer.status} ${shown(answer.body)}`,
      look: `POST ${WEBHOOK} with X-Signature and X-Timestamp`,
    })
  }
  await expectStillWithheld(world, buyer, 'from messages that nobody vouched for')
  const noted = (await refusals(world)).slice(0, refused.length)
  expectSame('audit entries of the three', { expected: refused.length, seen: noted.length, look: REFUSALS })

  const taken = await relay(world, body)
  expectThat(taken.status === 200, {
    expected: 'the relay’s own message to be taken',
    seen: `${taken.status} ${shown(taken.body)}`,
    look: 'notifications.relaySecret',
  })
  await world.settle()
  await expectAccess(world, buyer, 'after the relay’s message')
  const again = await relay(world, body)
  expectSame('the same message again', {
    expected: '200 known',
    seen: `${again.status} ${(again.body as { status?: string } | undefined)?.status ?? ''}`.trim(),
    look: `POST ${WEBHOOK}`,
  })
  return noted.map(({ after }) => after?.why).join(', ')
}

/** @param forged - another secret, or another age, than a relay's message has */
function relay(
  { api, relaySecret }: World,
  body: string,
  { secret = relaySecret, ageMs = 0 }: { readonly secret?: string; readonly ageMs?: number } = {},
): Promise<Answer> {
  // A relay lives by real time, as its receiver does: that is no part of the rehearsal.
  const timestamp = String(Math.floor((Date.now() - ageMs) / 1_000))
  const signature = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
  return api.call(WEBHOOK, {
    text: body,
    isOpen: true,
    headers: { 'x-timestamp': timestamp, 'x-signature': signature },
  })
}

/** An EventBridge event as it is; SNS's bare message with the id that its envelope had. */
function relayedBody({ id, channel, payload, at }: DeliveredNotification): string {
  if (channel === 'eventbridge') return JSON.stringify(payload)
  const { message } = payload as { message: object }
  return JSON.stringify({ ...message, messageId: id, timestamp: new Date(at).toISOString() })
}

function grantingType({ product }: World): string {
  return product.metering === 'legacy' ? 'subscribe-success' : 'License Updated - Manufacturer'
}

function grantOf(world: World, { agreement }: Buyer): DeliveredNotification {
  const type = grantingType(world)
  return world.simulator.delivery
    .notifications()
    .find((sent) => sent.subscriptionId === agreement.id && sent.type === type)!
}

interface Refusal {
  readonly action: string
  readonly after?: { readonly why?: string }
}

/** Newest first. */
async function refusals(world: World): Promise<readonly Refusal[]> {
  const { items } = await world.api.ask<{ items: Refusal[] }>('/audit?limit=500', {
    key: await world.adminKey(),
  })
  return items.filter(({ action }) => action === 'notification.refused')
}

/** Of a contract, AWS's entitlement service says by itself that access has started. */
async function expectStillWithheld(world: World, buyer: Buyer, when: string): Promise<void> {
  if (world.product.pricing === 'usage') await expectNoAccess(world, buyer, when, ['pending'])
}
