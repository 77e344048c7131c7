import type { Settings } from '@tollkeeper/simulator'
import { HOUR_MS, MINUTE_MS } from '../../../../domain/usage/hour.ts'
import { expectAccess, expectNoAccess } from '../access.ts'
import {
  activeBuyer,
  type Buyer,
  buyerOf,
  grantingWord,
  LICENSED_MS,
  nameTenant,
  type Reference,
  referenceOf,
  register,
  subscribe,
  subscriptionOf,
  untilLicensed,
} from '../buyer.ts'
import { type ItemGroup, unlessAll, unlessLegacy, unlessLicense, unlessMetered } from '../checklist.ts'
import { expectSame, expectThat, shown } from '../finding.ts'
import { quantitiesOf } from '../listing.ts'
import {
  expectBilled,
  report,
  takesBuffered,
  unitsOf,
  untilGoodbyeIsOver,
  untilHourIsSent,
  use,
} from '../usage.ts'
import type { World } from '../world.ts'

export const concurrentItems: ItemGroup = {
  title: 'Concurrent agreements: two of one account stay separate',
  items: [
    {
      title: 'Usage is billed to the agreement that it is reported for',
      unless: unlessAll(unlessLicense, unlessMetered),
      play: async (world) => {
        const [first, second] = await twoAgreements(world)
        await use(world, first, 3)
        await use(world, second, 5)
        await untilHourIsSent(world)
        expectBilled(world, first, 3)
        expectBilled(world, second, 5)
        return undefined
      },
    },
    {
      title: 'A reference by account alone is told to be ambiguous, and nothing is guessed',
      unless: unlessAll(unlessLicense, unlessMetered),
      play: async (world) => {
        const [first, second] = await twoAgreements(world)
        const by = { customerAWSAccountId: first.accountId }
        const [outcome] = await report(world, first, 4, { by })
        expectSame('usage by account', {
          expected: 'refused subscription_ambiguous',
          seen: `${outcome?.status} ${outcome?.code ?? ''}`.trim(),
          look: 'POST /usage: name the license where a buyer has several',
        })
        await untilHourIsSent(world)
        expectBilled(world, first, 0)
        expectBilled(world, second, 0)
        return undefined
      },
    },
    {
      title: 'Entitlements are those of each agreement',
      unless: (product) =>
        unlessLicense(product) ??
        (product.pricing === 'usage' ? 'a product without contract has no entitlements' : undefined),
      play: async (world) => {
        const { listing, product } = world
        const accountId = world.newAccountId()
        const counts = [2, 9] as const
        for (const units of counts) {
          const quantities = quantitiesOf(listing, product.plans[0], units)
          const buyer = await activeBuyer(world, { quantities }, { accountId })
          const access = await expectAccess(world, buyer, 'for each agreement')
          expectSame('what the agreement grants', {
            expected: [units],
            seen: [...new Set((access.entitlements ?? []).map(({ value }) => value))],
            look: 'GetEntitlements must be filtered by LICENSE_ARN',
          })
        }
        return undefined
      },
    },
    {
      title: 'Cancelling one leaves the other as it is',
      unless: unlessLicense,
      play: async (world) => {
        const [first, second] = await twoAgreements(world)
        world.simulator.marketplace.cancel(first.agreement.id)
        await world.pass(2 * MINUTE_MS)
        await expectNoAccess(world, first, 'under the cancelled one', ['cancelling', 'ended'])
        await expectAccess(world, second, 'under the other')
        await world.pass(2 * HOUR_MS)
        await expectAccess(world, second, 'two hours later')
        if (unlessMetered(world.product) !== undefined) return undefined
        await use(world, second, 2)
        await untilHourIsSent(world)
        expectBilled(world, second, 2)
        expectBilled(world, first, 0)
        return undefined
      },
    },
  ],
}

/** AWS's word of another renewal may still be on its way: so long nobody is asked. */
const ASKED_AFTER_MS = 15 * MINUTE_MS

interface Succession {
  readonly title: string
  readonly intent: 'renew' | 'replace'
  readonly order: Settings['successionOrder']
}

const SUCCESSIONS: readonly Succession[] = [
  { title: 'A renewal keeps key, references and access', intent: 'renew', order: 'interleaved' },
  { title: 'So does one of whose end AWS tells first', intent: 'renew', order: 'oldFirst' },
  { title: 'So does a replacement, of which AWS tells first', intent: 'replace', order: 'newFirst' },
]

export const renewalItems: ItemGroup = {
  title: 'Renewal and replacement: keys and access continue, both agreements metered to the unit',
  items: [
    ...SUCCESSIONS.map(({ title, intent, order }) => ({
      title,
      unless: unlessLicense,
      play: async (world: World) => {
        const { marketplace } = world.simulator
        marketplace.updateSettings({ successionOrder: order })
        try {
          return await playSuccession(world, intent)
        } finally {
          marketplace.updateSettings({ successionOrder: 'interleaved' })
        }
      },
    })),
    {
      title: 'Where several could be the successor, a person chooses, and access goes on meanwhile',
      unless: unlessLicense,
      play: async (world) => {
        const { marketplace } = world.simulator
        marketplace.updateSettings({ previousAgreementIdInEvents: false })
        try {
          return await playUnclearSuccession(world)
        } finally {
          marketplace.updateSettings({ previousAgreementIdInEvents: true })
        }
      },
    },
    {
      title: 'A renewed legacy customer goes on as the same customer',
      unless: unlessLegacy,
      play: async (world) => {
        const isMetered = unlessMetered(world.product) === undefined
        const buyer = await activeBuyer(world)
        const tenantId = await nameTenant(world, buyer)
        if (isMetered) await use(world, buyer, 4, { by: { tenantId } })
        const renewed = buyerOf(world, world.simulator.marketplace.renew(buyer.agreement.id), buyer)
        for (const wait of [20_000, 20_000, LICENSED_MS, HOUR_MS]) {
          await world.pass(wait)
          for (const by of [{ tenantId }, referenceOf(buyer), { customerAWSAccountId: buyer.accountId }])
            await expectAccess(world, buyer, `during the renewal, asked by ${Object.keys(by)[0]}`, by)
        }
        if (!isMetered) return undefined
        await use(world, renewed, 5, { by: { tenantId } })
        await untilHourIsSent(world)
        expectSame('units that AWS accepted of this customer', {
          expected: 9,
          seen: unitsOf(world, [buyer, renewed]),
          look: 'GET /usage/records',
        })
        return undefined
      },
    },
  ],
}

export const partnerItems: ItemGroup = {
  title: 'Channel-partner sale: the seller is told as the manufacturer only',
  items: [
    {
      title: 'A buyer of a channel partner is served and metered; the partner’s terms are not guessed',
      unless: unlessLicense,
      play: async (world) => {
        const buyer = await activeBuyer(world, { sellerRole: 'manufacturer' })
        await expectAccess(world, buyer, 'after the partner’s sale')
        const { id } = await subscriptionOf(world, buyer)
        const { terms } = await world.api.ask<{ terms?: { soldBy?: string; price?: string } }>(
          `/marketplace/subscriptions/${id}`,
        )
        expectSame('who sold it, and at what price', {
          expected: ['partner', 'unknown'],
          seen: [terms?.soldBy, terms?.price],
          look: 'GET /marketplace/subscriptions/{id}',
        })
        const told = world.simulator.delivery
          .notifications()
          .filter(({ subscriptionId }) => subscriptionId === buyer.agreement.id)
          .map(({ type }) => type)
        expectThat(told.length > 0 && told.every((type) => type.endsWith('Manufacturer')), {
          expected: 'Manufacturer events only',
          seen: told.join(', '),
          look: 'the rehearsed AWS itself',
        })
        if (unlessMetered(world.product) === undefined) {
          await use(world, buyer, 3)
          await untilHourIsSent(world)
          expectBilled(world, buyer, 3)
        }
        world.simulator.marketplace.cancel(buyer.agreement.id)
        await world.pass(2 * MINUTE_MS)
        await expectNoAccess(world, buyer, 'after its end', ['cancelling', 'ended'])
        return undefined
      },
    },
  ],
}

export const futureItems: ItemGroup = {
  title: 'Future-dated agreement',
  items: [
    {
      title: 'Nothing is given before its day, and all from then on',
      play: async (world) => {
        const startAt = Math.ceil((world.now() + 3 * HOUR_MS) / HOUR_MS) * HOUR_MS
        const buyer = subscribe(world, { startAt })
        await world.pass(2 * MINUTE_MS)
        await register(world, buyer)
        await expectNoAccess(world, buyer, 'hours before its start', ['pending'])
        await world.passUntil(startAt - 1_000)
        await expectNoAccess(world, buyer, 'a second before its start', ['pending'])
        await untilLicensed(world, buyer)
        await expectAccess(world, buyer, `after ${grantingWord(world)} on its day`)
        if (unlessMetered(world.product) !== undefined) return undefined
        await use(world, buyer, 4)
        await untilHourIsSent(world)
        expectBilled(world, buyer, 4)
        return undefined
      },
    },
  ],
}

async function twoAgreements(world: World): Promise<readonly [Buyer, Buyer]> {
  const first = await activeBuyer(world)
  return [first, await activeBuyer(world, {}, { accountId: first.accountId })]
}

/** One agreement takes another's place while the product goes on asking and reporting as before. */
async function playSuccession(world: World, intent: 'renew' | 'replace'): Promise<string | undefined> {
  const isMetered = unlessMetered(world.product) === undefined
  const key = await world.issueKey(['usage:write', 'access:check'])
  const old = await activeBuyer(world)
  const tenantId = await nameTenant(world, old)
  const references: readonly Reference[] = [
    { tenantId },
    referenceOf(old),
    { customerAWSAccountId: old.accountId },
  ]
  // Each by a name that the product knew before.
  const useByEach = async (units: number, time?: number) => {
    for (const by of isMetered ? references : [])
      await use(world, old, units, { by, key, ...(time !== undefined && { time }) })
  }
  await useByEach(2)
  await world.pass(MINUTE_MS)
  const before = world.now() - 1_000
  const agreement = world.simulator.marketplace[intent](old.agreement.id)
  const renewed = buyerOf(world, agreement, old)
  for (let waited = 0; waited < LICENSED_MS; waited += 20_000) {
    await world.pass(20_000)
    for (const by of references)
      await expectAccess(world, old, `${(waited + 20_000) / 1_000} s after it, by ${Object.keys(by)[0]}`, by)
  }
  // Buffered by the product since before, and used since.
  const buffered = takesBuffered(world.product) ? references.length : 0
  if (buffered > 0) await useByEach(1, before)
  await useByEach(4)
  if (isMetered) await use(world, renewed, 5, { by: referenceOf(renewed), key })
  await untilHourIsSent(world)
  await untilGoodbyeIsOver(world)
  await expectAccess(world, renewed, 'long after it, by the new license')
  await expectAccess(world, old, 'long after it, by the old license', referenceOf(old))
  if (!isMetered) return undefined
  expectBilled(world, old, 6 + buffered, 'under the old agreement')
  expectBilled(world, renewed, 17, 'under the new one')
  return `old ${6 + buffered}, new 17 units`
}

/** AWS does not say which renewal is whose, and both come at once. */
async function playUnclearSuccession(world: World): Promise<string | undefined> {
  const { simulator, api } = world
  const isMetered = unlessMetered(world.product) === undefined
  const [first, second] = await twoAgreements(world)
  const { id } = await subscriptionOf(world, first)
  const renewals = [first, second].map(({ agreement }) => simulator.marketplace.renew(agreement.id))
  for (let waited = 0; waited < ASKED_AFTER_MS; waited += MINUTE_MS) {
    await world.pass(MINUTE_MS)
    for (const buyer of [first, second]) await expectAccess(world, buyer, 'while the successor is unclear')
  }
  if (isMetered) await use(world, first, 3)
  const { alarms = [] } = await api.ask<{ alarms?: { kind: string }[] }>(`/marketplace/subscriptions/${id}`)
  expectThat(
    alarms.some(({ kind }) => kind === 'successor_unclear'),
    {
      expected: 'an alarm that says that a person must choose',
      seen: shown(alarms.map(({ kind }) => kind)),
      look: 'GET /marketplace/subscriptions/{id}',
    },
  )
  const answer = await api.call(`/marketplace/subscriptions/${id}`, {
    method: 'PUT',
    body: { successor: renewals[0]!.agreementId },
  })
  expectThat(answer.status === 200, {
    expected: 'the choice to be taken',
    seen: `${answer.status} ${shown(answer.body)}`,
    look: 'PUT /marketplace/subscriptions/{id} {"successor": "agmt-…"}',
  })
  const [heir, other] = renewals.map((agreement) => buyerOf(world, agreement))
  for (const buyer of [first, second, heir!, other!]) await expectAccess(world, buyer, 'after the choice')
  if (!isMetered) return undefined
  await use(world, first, 4)
  await use(world, second, 6)
  await untilHourIsSent(world)
  await untilHourIsSent(world)
  expectBilled(world, heir!, 7, 'of the chosen one')
  expectBilled(world, other!, 6, 'of the other')
  return undefined
}
