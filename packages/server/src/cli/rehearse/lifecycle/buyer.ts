import type { Subscription as Agreement, Order } from '@tollkeeper/simulator'
import { licenseTail } from '../../../domain/subscriptions/subscription.ts'
import { MINUTE_MS } from '../../../domain/usage/hour.ts'
import { type Browser, findForm, type Visit } from './browser.ts'
import { expectThat, shown } from './finding.ts'
import { quantitiesOf } from './listing.ts'
import { createUsageMaker, type UsageMaker } from './usage-maker.ts'
import type { World } from './world.ts'

/** One who bought the product on AWS Marketplace. */
export interface Buyer {
  readonly accountId: string
  /** What AWS Marketplace knows of the agreement. */
  readonly agreement: Agreement
  readonly browser: Browser
  readonly email: string
  readonly usage: UsageMaker
}

/** How the seller's product names a buyer: exactly one of these. */
export type Reference =
  | { readonly licenseArn: string }
  | { readonly customerIdentifier: string }
  | { readonly customerAWSAccountId: string }
  | { readonly tenantId: string }
  | { readonly subscriptionId: string }

/** A subscription as the API shows it. */
export interface SubscriptionView {
  readonly id: string
  readonly status: string
  readonly plan?: string
  readonly tenantId?: string
  readonly licenseArn?: string
  readonly customerAWSAccountId?: string
  readonly customerIdentifier?: string
  readonly agreementId?: string
  readonly freeTrial?: boolean
  readonly accessStart: string
  readonly accessEnd?: string
  readonly successor?: string
}

const TOKEN_FIELD = 'x-amzn-marketplace-token'
const OFFER_FIELD = 'x-amzn-marketplace-offer-type'
/** AWS licenses an agreement 72 s after it was accepted (capture of August 2026); two minutes are enough for it. */
export const LICENSED_MS = 2 * MINUTE_MS
/** Units of what a contract is about, where an item does not say. */
export const CONTRACT_UNITS = 5

/** A buyer accepts an agreement on AWS Marketplace, and does no more yet. */
export function subscribe(
  world: World,
  order: Omit<Order, 'productCode'> = {},
  buyer: Partial<Pick<Buyer, 'accountId' | 'browser' | 'email'>> = {},
): Buyer {
  const { product, simulator } = world
  const accountId = buyer.accountId ?? world.newAccountId()
  const agreement = simulator.marketplace.subscribe({
    productCode: product.productCode,
    accountId,
    buyerName: `Buyer ${accountId}`,
    ...(product.pricing !== 'usage' && {
      quantities: quantitiesOf(world.listing, product.plans[0], CONTRACT_UNITS),
    }),
    ...order,
  })
  return buyerOf(world, agreement, buyer)
}

/** The same buyer's next agreement. */
export function buyerOf(
  world: World,
  agreement: Agreement,
  { browser, email, usage }: Partial<Pick<Buyer, 'browser' | 'email' | 'usage'>> = {},
): Buyer {
  return {
    accountId: agreement.accountId,
    agreement,
    browser: browser ?? world.openBrowser(),
    email: email ?? `ops+${agreement.accountId}@example.com`,
    usage: usage ?? createUsageMaker(agreement.id),
  }
}

/** "Set up your account" on AWS Marketplace. @returns the page that the browser ends on */
export function setUpAccount(
  world: World,
  { agreement, browser }: Pick<Buyer, 'agreement' | 'browser'>,
  token = world.simulator.marketplace.setUpAccount(agreement.id),
): Promise<Visit> {
  return browser.submit(world.listing.fulfillmentUrl, {
    [TOKEN_FIELD]: token,
    ...(agreement.freeTrial && { [OFFER_FIELD]: 'free-trial' }),
  })
}

/** Fills the landing page's form and sends it. @throws {Finding} where there is none */
export async function completeForm(
  page: Visit,
  { browser, email }: Pick<Buyer, 'browser' | 'email'>,
): Promise<Visit> {
  const form = findForm(page)
  expectThat(page.status === 200 && form !== undefined, {
    expected: 'a page with a form for the buyer’s details',
    seen: `${page.status} ${titleOf(page)}`,
    look: `GET ${pathOf(page.url)}, which the fulfilment URL leads to`,
  })
  const filled = Object.fromEntries(form.required.map((name) => [name, VALUES[name] ?? 'Rehearsal']))
  return browser.submit(form.action, { ...form.fields, ...filled, email })
}

const VALUES: Readonly<Record<string, string>> = {
  name: 'Robin Rehearsal',
  company: 'Rehearsal Ltd',
  phone: '+44 20 7946 0000',
}

/** Sets up the account and leaves the details. @throws {Finding} */
export async function register(world: World, buyer: Buyer): Promise<Visit> {
  const done = await completeForm(await setUpAccount(world, buyer), buyer)
  expectThat(done.status === 200 && /complete/i.test(titleOf(done)), {
    expected: 'a page that says the registration is complete',
    seen: `${done.status} ${titleOf(done)}`,
    look: `POST ${pathOf(done.url)}, the landing page’s form`,
  })
  return done
}

/** One who accepted, registered and has access. @throws {Finding} */
export async function activeBuyer(
  world: World,
  order: Omit<Order, 'productCode'> = {},
  who: Partial<Pick<Buyer, 'accountId' | 'browser' | 'email'>> = {},
): Promise<Buyer> {
  const buyer = subscribe(world, order, who)
  await register(world, buyer)
  await untilLicensed(world, buyer)
  return buyer
}

/** Lets AWS license the agreement, and sees that the server knows. @throws {Finding} */
export async function untilLicensed(world: World, buyer: Buyer): Promise<SubscriptionView> {
  await world.passUntil(Math.max(world.now(), buyer.agreement.licensedAt) + LICENSED_MS - 72_000)
  const subscription = await subscriptionOf(world, buyer)
  expectThat(subscription.status === 'active', {
    expected: `the subscription to be active after AWS’s ${grantingWord(world)}`,
    seen: subscription.status,
    look: notificationsLook(world),
  })
  return subscription
}

/** AWS's word that access starts. */
export function grantingWord({ product }: World): string {
  return product.metering === 'legacy' ? 'subscribe-success' : 'License Updated'
}

/** Where to look when AWS's word did not have its effect. */
export function notificationsLook({ product }: World): string {
  return product.metering === 'legacy'
    ? 'POST /marketplace/webhook (or notifications.sqsQueues) must take the messages of both SNS topics of the product; GET /marketplace/events lists what came'
    : 'an EventBridge rule for aws.agreement-marketplace must reach notifications.sqsQueues or POST /marketplace/webhook; GET /marketplace/events lists what came'
}

/** How the seller's product names a buyer on its own. */
export function referenceOf({ agreement }: Pick<Buyer, 'agreement'>): Reference {
  const { licenseArn, customerIdentifier = '' } = agreement
  return licenseArn === undefined ? { customerIdentifier } : { licenseArn }
}

/** All subscriptions of a buyer's account, newest first. */
export async function subscriptionsOf(
  { api, product }: World,
  accountId: string,
): Promise<readonly SubscriptionView[]> {
  const query = new URLSearchParams({ product: product.id, customerAWSAccountId: accountId })
  return (await api.ask<{ items: SubscriptionView[] }>(`/marketplace/subscriptions?${query}`)).items
}

/** The one that follows a buyer's agreement. @throws {Finding} */
export async function subscriptionOf(world: World, buyer: Buyer): Promise<SubscriptionView> {
  const all = await subscriptionsOf(world, buyer.accountId)
  const { licenseArn } = buyer.agreement
  const found = all.find((subscription) =>
    licenseArn === undefined
      ? subscription.customerIdentifier === buyer.agreement.customerIdentifier
      : subscription.licenseArn !== undefined &&
        licenseTail(subscription.licenseArn) === licenseTail(licenseArn),
  )
  expectThat(found !== undefined, {
    expected: `a subscription for account ${buyer.accountId}`,
    seen: all.length === 0 ? 'none' : shown(all.map(({ id, status }) => `${id} ${status}`)),
    look: 'GET /marketplace/subscriptions',
  })
  return found
}

/** The seller's product names the buyer's workspace. @returns the name */
export async function nameTenant(world: World, buyer: Buyer): Promise<string> {
  const { id } = await subscriptionOf(world, buyer)
  const tenantId = `tenant-${buyer.agreement.id}`
  await world.api.ask(`/marketplace/subscriptions/${id}`, { method: 'PUT', body: { tenantId } })
  return tenantId
}

/** What a page calls itself. */
export function titleOf({ body }: Visit): string {
  const title = /<h1[^>]*>(.*?)<\/h1>/is.exec(body)?.[1] ?? /<title>(.*?)<\/title>/is.exec(body)?.[1] ?? ''
  return title.replace(/<[^>]*>/g, '').trim()
}

/** An address without what follows its path: tickets do not belong on a screen. */
export function pathOf(url: string): string {
  return new URL(url).pathname
}
