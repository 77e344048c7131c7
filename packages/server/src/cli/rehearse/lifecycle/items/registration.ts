import type { SimulatedProduct } from '@tollkeeper/simulator'
import { licenseTail } from '../../../../domain/subscriptions/subscription.ts'
import { HOUR_MS, MINUTE_MS } from '../../../../domain/usage/hour.ts'
import type { Visit } from '../browser.ts'
import {
  type Buyer,
  completeForm,
  pathOf,
  register,
  setUpAccount,
  subscribe,
  subscriptionOf,
  subscriptionsOf,
  titleOf,
  untilLicensed,
} from '../buyer.ts'
import type { ItemGroup } from '../checklist.ts'
import { expectSame, expectThat, shown } from '../finding.ts'
import { findInFiles } from '../ledger-file.ts'
import type { World } from '../world.ts'

const FULFILMENT = 'POST /marketplace/register/{listing}, the listing’s fulfilment URL'
/** How long a landing page can be sent, and a bit. */
const TICKET_OVER_MS = HOUR_MS + 10 * MINUTE_MS

export const purchaseItems: ItemGroup = {
  title: 'Purchase: the POST with the token reaches the page, ResolveCustomer succeeds, ids are persisted',
  items: [
    {
      title: 'The fulfilment URL answers 200 to GET and HEAD',
      play: async (world) => {
        const browser = world.openBrowser()
        for (const method of ['GET', 'HEAD'] as const) {
          const { status } = await browser.get(world.listing.fulfillmentUrl, method)
          expectSame(`${method} of the fulfilment URL`, { expected: 200, seen: status, look: FULFILMENT })
        }
        return undefined
      },
    },
    {
      title: 'The token is resolved at once, and the buyer sees the landing page',
      play: async (world) => {
        const before = resolved(world)
        const buyer = subscribe(world)
        const page = await setUpAccount(world, buyer)
        const [posted] = buyer.browser.visits
        expectSame('the POST to be answered with a 303, so that a refresh does not send it again:', {
          expected: 303,
          seen: posted?.status,
          look: FULFILMENT,
        })
        expectSame('the landing page', {
          expected: 200,
          seen: page.status,
          look: `GET ${pathOf(page.url)}`,
        })
        expectSame('successful calls of ResolveCustomer', {
          expected: before + 1,
          seen: resolved(world),
          look: 'the server must call ResolveCustomer while the buyer waits: the token does not hold for long',
        })
        return undefined
      },
    },
    {
      title: 'The ids that AWS gave are persisted',
      play: async (world) => {
        const buyer = subscribe(world)
        await setUpAccount(world, buyer)
        const { accountId, agreement } = buyer
        const kept = await subscriptionOf(world, buyer)
        const look = 'GET /marketplace/subscriptions'
        expectSame('CustomerAWSAccountId', { expected: accountId, seen: kept.customerAWSAccountId, look })
        if (agreement.licenseArn === undefined)
          expectSame('CustomerIdentifier', {
            expected: agreement.customerIdentifier,
            seen: kept.customerIdentifier,
            look,
          })
        else
          expectSame('LicenseArn', {
            expected: licenseTail(agreement.licenseArn),
            seen: kept.licenseArn && licenseTail(kept.licenseArn),
            look,
          })
        return agreement.licenseArn === undefined ? 'customer and account' : 'license and account'
      },
    },
    {
      title: 'The token is in no response, URL, cookie, log line or row',
      play: async (world) => {
        const buyer = subscribe(world)
        const token = world.simulator.marketplace.setUpAccount(buyer.agreement.id)
        await completeForm(await setUpAccount(world, buyer, token), buyer)
        await untilLicensed(world, buyer)
        const forms = [...new Set([token, encodeURIComponent(token)])]
        const places = [
          ...buyer.browser.visits.flatMap((visit) => placesOf(visit, forms)),
          ...(forms.some((form) => world.logged().includes(form)) ? ['the server’s log'] : []),
          ...(await Promise.all(forms.map((form) => findInFiles(world.directory, form)))).flat(),
        ]
        expectThat(places.length === 0, {
          expected: 'the registration token nowhere',
          seen: [...new Set(places)].join(', '),
          look: 'AWS forbids it in URLs and cookies; whoever reads it can register in the buyer’s name',
        })
        return undefined
      },
    },
  ],
}

export const registrationItems: ItemGroup = {
  title: 'Registration: completed, interrupted and resumed, repeated, by a second user',
  items: [
    {
      title: 'Completed: the buyer leaves an e-mail address, and sees that it is done',
      play: async (world) => {
        const buyer = subscribe(world)
        await register(world, buyer)
        await expectOneSubscription(world, buyer)
        await expectContacts(world, buyer, [buyer.email])
        return undefined
      },
    },
    {
      title: 'Interrupted, and resumed after the page has expired',
      play: async (world) => {
        const buyer = subscribe(world)
        const left = await setUpAccount(world, buyer)
        await world.pass(TICKET_OVER_MS)
        const late = await completeForm(left, buyer)
        expectThat(late.status >= 400 && late.status < 500 && saysSetUpAgain(late), {
          expected:
            'the expired page to be refused with a page that says to press “Set up your account” again',
          seen: `${late.status} ${titleOf(late)}`,
          look: `POST ${pathOf(late.url)}`,
        })
        await register(world, buyer)
        await expectOneSubscription(world, buyer)
        return undefined
      },
    },
    {
      title: 'Repeated, with the same token and with a new one',
      play: async (world) => {
        const buyer = subscribe(world)
        const token = world.simulator.marketplace.setUpAccount(buyer.agreement.id)
        for (const again of [token, token, undefined]) {
          const done = await completeForm(await setUpAccount(world, buyer, again), buyer)
          expectSame('the page after the form', { expected: 200, seen: done.status, look: FULFILMENT })
        }
        await untilLicensed(world, buyer)
        await register(world, buyer)
        await expectOneSubscription(world, buyer)
        await expectContacts(world, buyer, [buyer.email])
        return '4 times, one subscription'
      },
    },
    {
      title: 'A second user of the same account joins the same subscription',
      play: async (world) => {
        const first = subscribe(world)
        await register(world, first)
        const second = {
          ...first,
          browser: world.openBrowser(),
          email: `second+${first.accountId}@example.com`,
        }
        await register(world, second)
        await expectOneSubscription(world, first)
        await expectContacts(world, first, [first.email, second.email])
        return undefined
      },
    },
    {
      title: 'Who registers is sent a mail that says what happens next',
      play: async (world) => {
        const buyer = subscribe(world)
        await register(world, buyer)
        await world.settle()
        const mailbox = await (await fetch(`${world.url}/mailbox`)).text()
        expectThat(mailbox.includes(buyer.email), {
          expected: `a mail to ${buyer.email}`,
          seen: 'none',
          look: 'events.email of the configuration',
        })
        return undefined
      },
    },
    {
      title: 'An expired token gets a page that says to press “Set up your account” again',
      play: async (world) => {
        const buyer = subscribe(world)
        const token = world.simulator.marketplace.setUpAccount(buyer.agreement.id)
        await world.pass(world.simulator.marketplace.settings.tokenLifetimeMs + MINUTE_MS)
        const page = await setUpAccount(world, buyer, token)
        expectRefusal(page)
        expectThat(saysSetUpAgain(page), {
          expected: 'the page to say to press “Set up your account” again',
          seen: titleOf(page),
          look: FULFILMENT,
        })
        expectSame('subscriptions of that account', {
          expected: 0,
          seen: (await subscriptionsOf(world, buyer.accountId)).length,
          look: FULFILMENT,
        })
        await register(world, buyer)
        return undefined
      },
    },
    {
      title: 'A forged token, and none, get a page and register nobody',
      play: async (world) => {
        const before = await countSubscriptions(world)
        for (const token of ['forged-token-of-a-stranger', '']) {
          const browser = world.openBrowser()
          expectRefusal(
            await browser.submit(world.listing.fulfillmentUrl, { 'x-amzn-marketplace-token': token }),
          )
        }
        expectSame('subscriptions', {
          expected: before,
          seen: await countSubscriptions(world),
          look: FULFILMENT,
        })
        return undefined
      },
    },
    {
      title: 'A token for another product of the seller is refused here',
      play: async (world) => {
        const { marketplace } = world.simulator
        marketplace.addProduct(otherListing(world.listing))
        const accountId = world.newAccountId()
        const other = marketplace.subscribe({ productCode: OTHER_CODE, accountId })
        const browser = world.openBrowser()
        const page = await browser.submit(world.listing.fulfillmentUrl, {
          'x-amzn-marketplace-token': marketplace.setUpAccount(other.id),
        })
        expectRefusal(page)
        expectSame('subscriptions of that account', {
          expected: 0,
          seen: (await subscriptionsOf(world, accountId)).length,
          look: 'the ProductCode that ResolveCustomer returns must be compared with the listing’s',
        })
        return undefined
      },
    },
  ],
}

const OTHER_CODE = 'another0product00000000000'

/** A cheap product of the same seller: its token must not open a dear one. */
function otherListing({ fulfillmentUrl }: SimulatedProduct): SimulatedProduct {
  return {
    productCode: OTHER_CODE,
    title: 'Another product',
    metering: 'license',
    pricing: 'usage',
    fulfillmentUrl,
    dimensions: [{ key: 'anything' }],
  }
}

function resolved({ simulator }: World): number {
  return simulator.marketplace.callCounts().ResolveCustomer?.ok ?? 0
}

function placesOf({ url, headers, body, method }: Visit, forms: readonly string[]): readonly string[] {
  const has = (text: string) => forms.some((form) => text.includes(form))
  const where = `${method} ${pathOf(url)}`
  return [
    ...(has(url) ? [`the URL of ${where}`] : []),
    ...(has(body) ? [`the answer to ${where}`] : []),
    ...[...headers].filter(([, value]) => has(value)).map(([name]) => `${name} of ${where}`),
  ]
}

async function expectOneSubscription(world: World, { accountId }: Buyer): Promise<void> {
  const all = await subscriptionsOf(world, accountId)
  expectThat(all.length === 1, {
    expected: `one subscription for account ${accountId}`,
    seen: shown(all.map(({ id, status }) => `${id} ${status}`)),
    look: 'GET /marketplace/subscriptions',
  })
}

async function countSubscriptions({ api, product }: World): Promise<number> {
  const query = new URLSearchParams({ product: product.id, limit: '500' })
  return (await api.ask<{ items: unknown[] }>(`/marketplace/subscriptions?${query}`)).items.length
}

/** Who registered, as the seller sees it. */
async function expectContacts(
  { api }: World,
  { accountId }: Buyer,
  emails: readonly string[],
): Promise<void> {
  const query = new URLSearchParams({ customerAWSAccountId: accountId })
  const { items } = await api.ask<{ items: { id: string }[] }>(`/buyers?${query}`)
  const { contacts = [] } = await api.ask<{ contacts?: { email: string }[] }>(`/buyers/${items[0]?.id}`)
  expectSame('the buyer’s contacts', {
    expected: emails.toSorted(),
    seen: contacts.map(({ email }) => email).sort(),
    look: 'GET /buyers/{id}',
  })
}

/** A page of its own, not an error's bare bones, and nobody was let in. */
function expectRefusal(page: Visit): void {
  expectThat(page.status >= 400 && page.status < 500 && isHtml(page), {
    expected: 'a page with a 4xx',
    seen: `${page.status} ${titleOf(page)}`,
    look: FULFILMENT,
  })
}

function isHtml({ headers }: Visit): boolean {
  return headers.get('content-type')?.startsWith('text/html') === true
}

function saysSetUpAgain({ body }: Visit): boolean {
  const text = body.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ')
  return /set up your account/i.test(text) && /again/i.test(text)
}
