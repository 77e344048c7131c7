import { describe, expect, it } from 'vitest'
import { createProductCatalog } from '../../domain/products/product.ts'
import type { BuyerStore, Contact } from '../../domain/subscriptions/buyer.ts'
import type { BuyerCaseStore } from '../../domain/subscriptions/buyer-case.ts'
import { anAgreement } from '../../domain/subscriptions/marketplace.fixture.ts'
import { createReceiveEvent } from '../../domain/subscriptions/receive-event.ts'
import { createRegisterBuyer } from '../../domain/subscriptions/register-buyer.ts'
import type { SubscriptionHistory } from '../../domain/subscriptions/subscription-history.ts'
import type { SubscriptionStore } from '../../domain/subscriptions/subscription-store.ts'
import type { Mailbox } from '../../domain/telling/mail.ts'
import type { OutboxStore } from '../../domain/telling/outbox-store.ts'
import type { UsageStore } from '../../domain/usage/usage-store.ts'
import { aClock, aProduct, aSubscription, utc } from './fixtures.ts'

export interface SubscriberStores {
  readonly subscriptions: SubscriptionStore
  readonly buyers: BuyerStore
  readonly cases: BuyerCaseStore
  readonly history: SubscriptionHistory
  readonly outbox: OutboxStore
  readonly mailbox: Mailbox
  readonly usage: Pick<UsageStore, 'raise' | 'listAlarms' | 'clearAlarm'>
}

const NOON = utc('2026-11-21T12:00')
const MINUTE = 60_000
const LICENSE = 'arn:aws:license-manager::294406891311:license:l-00000000000000000000000000000a11'
const ACCOUNT = '111122223333'

const ada: Contact = {
  email: 'Ada@example.com',
  name: 'Ada',
  company: 'Engines',
  phone: undefined,
  registeredAt: NOON,
}

/** How subscriptions and buyers are found and listed, and what is known of one, on any store. */
export function peopleAndHistoryContract(name: string, open: () => Promise<SubscriberStores>): void {
  const start = async () => {
    const stores = await open()
    const clock = aClock(NOON)
    const catalog = createProductCatalog([aProduct()])
    const registerBuyer = (licenseArn: string, account = ACCOUNT) =>
      createRegisterBuyer({
        metering: {
          resolveCustomer: async () => ({
            productCode: aProduct().productCode,
            customerAwsAccountId: account,
            licenseArn,
            customerIdentifier: undefined,
          }),
        },
        cases: stores.cases,
        catalog,
        clock,
      })('demo', 'token')
    return {
      ...stores,
      clock,
      receive: createReceiveEvent({ cases: stores.cases, catalog, clock }),
      register: async (licenseArn: string, account?: string) =>
        (await registerBuyer(licenseArn, account)).subscription,
    }
  }

  describe(`${name}: subscriptions`, () => {
    it('are found by whatever names them, the live one first', async () => {
      const { subscriptions } = await start()
      const names = { licenseArn: LICENSE, customerAwsAccountId: ACCOUNT, tenantId: 'a#b/ü' }
      const { subscription: ended } = await subscriptions.create(aSubscription(names), 'test')
      const over = { status: 'expired', accessEnd: NOON, finalWindowEnd: NOON } as const
      await subscriptions.change(ended.id, () => over, 'test', NOON)
      const { subscription: live } = await subscriptions.create(aSubscription(names), 'test')
      const { subscription: latest } = await subscriptions.create(
        aSubscription({ ...names, licenseArn: undefined, status: 'cancelled', accessEnd: NOON }),
        'test',
      )
      await subscriptions.create(aSubscription({ tenantId: 'a' }), 'test')
      const idsOf = async (reference: object, product: string | undefined = 'demo') =>
        (await subscriptions.findMatching(product, reference)).map(({ id }) => id)
      expect(await idsOf({ licenseArn: 'l-00000000000000000000000000000a11' })).toEqual([live.id, ended.id])
      expect(await idsOf({ licenseArn: LICENSE }, undefined)).toEqual([live.id, ended.id])
      expect(await idsOf({ customerAwsAccountId: ACCOUNT })).toEqual([live.id, latest.id, ended.id])
      expect(await idsOf({ tenantId: 'a#b/ü' })).toEqual([live.id, latest.id, ended.id])
      expect(await idsOf({ buyerId: live.buyer })).toEqual([live.id, latest.id, ended.id])
      expect(await idsOf({ subscriptionId: ended.id })).toEqual([ended.id])
      expect(await idsOf({ tenantId: 'a#b/ü', licenseArn: LICENSE })).toEqual([live.id, ended.id])
      expect(await idsOf({})).toHaveLength(4)
      for (const [reference, product] of [
        [{ tenantId: 'a#b' }, 'demo'],
        [{ licenseArn: LICENSE }, 'other'],
        [{ subscriptionId: ended.id }, 'other'],
        [{}, 'other'],
      ] as const)
        expect(await idsOf(reference, product)).toEqual([])
    })

    it('are found by what they are now, as soon as that changed', async () => {
      const { subscriptions } = await start()
      const { subscription } = await subscriptions.create(aSubscription({ tenantId: 'old' }), 'test')
      const idsOf = async (tenantId: string) =>
        (await subscriptions.findMatching('demo', { tenantId })).map(({ id }) => id)
      expect(await idsOf('old')).toEqual([subscription.id])
      expect(await idsOf('new')).toEqual([])
      await subscriptions.change(subscription.id, () => ({ tenantId: 'new' }), 'test', NOON)
      expect(await idsOf('old')).toEqual([])
      expect(await idsOf('new')).toEqual([subscription.id])
    })

    it('are created once while one of the license lives, and anew after it ended', async () => {
      const { subscriptions } = await start()
      const first = aSubscription({ licenseArn: LICENSE })
      expect(await subscriptions.create(first, 'test')).toMatchObject({ created: true })
      const again = await subscriptions.create(aSubscription({ licenseArn: LICENSE }), 'test')
      expect(again).toMatchObject({ created: false, subscription: { id: first.id } })
      const elsewhere = aSubscription({ licenseArn: LICENSE, product: 'other' })
      expect(await subscriptions.create(elsewhere, 'test')).toMatchObject({ created: true })
      await subscriptions.change(first.id, () => ({ status: 'failed' }), 'test', NOON)
      const later = await subscriptions.create(aSubscription({ licenseArn: LICENSE }), 'test')
      expect(later.created).toBe(true)
    })

    it('are listed newest first, by what is asked for, page by page', async () => {
      const { subscriptions } = await start()
      const all: string[] = []
      for (let number = 0; number < 7; number++) {
        const product = number % 3 === 0 ? 'other' : 'demo'
        const status = number % 2 === 0 ? 'active' : 'pending'
        const { subscription } = await subscriptions.create(aSubscription({ product, status }), 'test')
        all.unshift(subscription.id)
      }
      const page = async (filter: object) =>
        (await subscriptions.list({ limit: 10, ...filter })).map(({ id }) => id)
      expect(await page({})).toEqual(all)
      expect(await page({ limit: 3 })).toEqual(all.slice(0, 3))
      expect(await page({ limit: 3, before: all[2] })).toEqual(all.slice(3, 6))
      expect(await page({ product: 'demo' })).toEqual([all[1], all[2], all[4], all[5]])
      expect(await page({ product: 'demo', before: all[2], limit: 1 })).toEqual([all[4]])
      expect(await page({ product: 'demo', status: 'active' })).toEqual([all[2], all[4]])
      expect(await page({ status: 'pending' })).toEqual([all[1], all[3], all[5]])
      expect(await page({ channel: 'direct' })).toEqual([])
      expect(await page({ before: 'sub_none' })).toEqual([])
    })

    it('take their places in chains without circles', async () => {
      const { subscriptions } = await start()
      const ids: string[] = []
      for (let number = 0; number < 3; number++)
        ids.push((await subscriptions.create(aSubscription(), 'test')).subscription.id)
      const succeed = (before: number, after: string) =>
        subscriptions.change(ids[before]!, () => ({ successor: after }), 'test', NOON)
      await succeed(0, ids[1]!)
      await succeed(1, ids[2]!)
      await expect(succeed(2, ids[0]!)).rejects.toMatchObject({ code: 'request.invalid' })
      await expect(succeed(2, 'sub_none')).rejects.toMatchObject({ code: 'subscription.not_found' })
      const { subscription: stranger } = await subscriptions.create(
        aSubscription({ product: 'other' }),
        'test',
      )
      await expect(succeed(2, stranger.id)).rejects.toMatchObject({ code: 'subscription.not_found' })
    })

    it('that wait are listed from the one that waits longest', async () => {
      const { subscriptions, cases } = await start()
      const waiting = [3, 1, 2].map((number) =>
        aSubscription({ status: 'pending', licenseArn: undefined, createdAt: NOON + number }),
      )
      for (const subscription of waiting) await subscriptions.create(subscription, 'test')
      const idsOf = (found: readonly { id: string }[]) => found.map(({ id }) => id)
      expect(idsOf(await cases.listPending(NOON + 2, 10))).toEqual([waiting[1]!.id, waiting[2]!.id])
      expect(idsOf(await cases.listPending(NOON + 9, 1))).toEqual([waiting[1]!.id])
      expect(idsOf(await cases.listUnlicensed(NOON + 9, 10))).toHaveLength(3)
      const end = { status: 'cancelling', accessEnd: NOON, finalWindowEnd: NOON + 60 * MINUTE } as const
      await subscriptions.change(waiting[1]!.id, () => end, 'test', NOON)
      expect(idsOf(await cases.listPending(NOON + 9, 10))).toEqual([waiting[2]!.id, waiting[0]!.id])
      expect(await cases.listUnlicensed(NOON + 9, 10)).toHaveLength(2)
      expect(await cases.listGoodbyesOver(NOON + 59 * MINUTE, 10)).toEqual([])
      expect(idsOf(await cases.listGoodbyesOver(NOON + 60 * MINUTE, 10))).toEqual([waiting[1]!.id])
    })
  })

  describe(`${name}: buyers`, () => {
    it('are one for an account, whatever they buy, and learn their other name', async () => {
      const { subscriptions, buyers } = await start()
      const make = (values: object) => subscriptions.create(aSubscription(values), 'test')
      const { subscription: one } = await make({ customerAwsAccountId: ACCOUNT })
      const { subscription: two } = await make({
        customerAwsAccountId: ACCOUNT,
        customerIdentifier: 'cust-1',
      })
      expect(two.buyer).toBe(one.buyer)
      expect(await buyers.get(one.buyer)).toMatchObject({
        customerAwsAccountId: ACCOUNT,
        customerIdentifier: 'cust-1',
      })
      const { subscription: three } = await make({
        customerAwsAccountId: undefined,
        customerIdentifier: 'cust-1',
      })
      expect(three.buyer).toBe(one.buyer)
      const { subscription: elsewhere } = await make({ customerAwsAccountId: ACCOUNT, product: 'other' })
      expect(elsewhere.buyer).not.toBe(one.buyer)
      const idsOf = async (filter: object) =>
        (await buyers.list({ limit: 10, ...filter })).map(({ id }) => id)
      expect(await idsOf({})).toEqual([elsewhere.buyer, one.buyer])
      expect(await idsOf({ customerAwsAccountId: ACCOUNT })).toEqual([elsewhere.buyer, one.buyer])
      expect(await idsOf({ customerAwsAccountId: ACCOUNT, product: 'demo' })).toEqual([one.buyer])
      expect(await idsOf({ customerIdentifier: 'cust-1' })).toEqual([one.buyer])
      expect(await idsOf({ product: 'other' })).toEqual([elsewhere.buyer])
      expect(await idsOf({ limit: 1 })).toEqual([elsewhere.buyer])
      expect(await idsOf({ limit: 1, before: elsewhere.buyer })).toEqual([one.buyer])
      await expect(buyers.get('buy_none')).rejects.toMatchObject({ code: 'buyer.not_found' })
    })

    it('have people, whose details are replaced where they are given', async () => {
      const { register, buyers } = await start()
      const { buyer } = await register(LICENSE)
      await buyers.putContact(buyer, ada, 'test')
      await buyers.putContact(
        buyer,
        { ...ada, email: 'bob@example.com', registeredAt: NOON + MINUTE },
        'test',
      )
      await buyers.putContact(
        buyer,
        { ...ada, name: undefined, phone: '123', registeredAt: NOON + 2 * MINUTE },
        'test',
      )
      expect(await buyers.listContacts(buyer)).toEqual([
        { ...ada, phone: '123', registeredAt: NOON + 2 * MINUTE },
        { ...ada, email: 'bob@example.com', registeredAt: NOON + MINUTE },
      ])
      await expect(buyers.putContact('buy_none', ada, 'test')).rejects.toMatchObject({
        code: 'buyer.not_found',
      })
    })

    it('are forgotten with their mail, one by one or all, however spelled', async () => {
      const { receive, register, buyers, mailbox, outbox, clock } = await start()
      const agreement = anAgreement({ acceptedAt: NOON })
      const { buyer } = await register(agreement.licenseArn)
      const sink = { name: 'email:buyer', product: undefined, types: [] }
      await outbox.register([sink], clock.now())
      await receive(agreement.granted())
      await outbox.fanOut([sink], clock.now(), 10)
      const [told] = (await outbox.list({ limit: 10 })).items
      const mail = { at: NOON, from: 'seller', subject: 'Welcome', text: 'Hello', html: '' }
      const recipients = ['Ada <ADA@example.com>', 'bob@example.com', 'eve@example.com']
      for (const [number, to] of recipients.entries())
        await mailbox.keep({ ...mail, id: `${told!.event}.${number}`, to })
      await mailbox.keep({ ...mail, id: 'evt_other.1', to: 'ada@example.com' })
      for (const email of ['Ada@example.com', 'bob@example.com', 'eve@example.com'])
        await buyers.putContact(buyer, { ...ada, email }, 'test')
      expect((await buyers.listMails(buyer)).map(({ to }) => to)).toEqual(recipients.toReversed())
      const erase = (email?: string) => buyers.erase(buyer, email, 'test', NOON)
      expect(await erase('ada@EXAMPLE.com')).toEqual({ contacts: 1, mails: 1 })
      expect(await erase('ada@EXAMPLE.com')).toEqual({ contacts: 0, mails: 0 })
      expect((await buyers.listContacts(buyer)).map(({ email }) => email)).toEqual([
        'bob@example.com',
        'eve@example.com',
      ])
      expect(await erase()).toEqual({ contacts: 2, mails: 2 })
      expect(await buyers.listContacts(buyer)).toEqual([])
      expect(await buyers.listMails(buyer)).toEqual([])
      expect((await mailbox.list(10)).map(({ id }) => id)).toEqual(['evt_other.1'])
      await expect(buyers.erase('buy_none', undefined, 'test', NOON)).rejects.toMatchObject({
        code: 'buyer.not_found',
      })
    })
  })

  describe(`${name}: what is known of a subscription`, () => {
    it('is its changes and AWS’s notifications together, newest first, page by page', async () => {
      const { register, receive, history, subscriptions, cases, clock } = await start()
      const agreement = anAgreement({ acceptedAt: NOON })
      const { id } = await register(agreement.licenseArn)
      for (const event of [
        agreement.created(),
        agreement.granted(),
        agreement.withdrawn(NOON + 30 * MINUTE),
      ]) {
        clock.set(clock.now() + 10 * MINUTE)
        await receive(event)
      }
      clock.set(clock.now() + 10 * MINUTE)
      await receive({ ...agreement.created(), id: 'notice-1', kind: 'notice', name: 'Renewal is near' })
      const subscription = await subscriptions.get(id)
      const namesOf = (page: Awaited<ReturnType<typeof history.list>>) =>
        page.items.map((item) => (item.kind === 'change' ? item.entry.action : item.kept.event.name))
      const whole = await history.list(subscription, { limit: 100 })
      expect(whole.next).toBeUndefined()
      expect(namesOf(whole)).toEqual([
        'Renewal is near',
        'subscription.change',
        'License Deprovisioned - Manufacturer',
        'subscription.change',
        'License Updated - Manufacturer',
        'Purchase Agreement Created - Proposer',
        'subscription.create',
      ])
      const pages: string[] = []
      let cursor: string | undefined
      do {
        const page = await history.list(subscription, { limit: 2, cursor })
        pages.push(...namesOf(page))
        cursor = page.next
      } while (cursor !== undefined)
      expect(pages).toEqual(namesOf(whole))
      expect(await history.findAgreement(subscription)).toMatchObject({ agreementId: agreement.agreementId })
      expect(await history.findCreation(id)).toMatchObject({ id, status: 'pending' })
      expect(await history.findCreation('sub_none')).toBeUndefined()
      expect(await history.findEndReason(id)).toBe('WITHDRAWN')
      expect(await history.findEndReason('sub_none')).toBeUndefined()
      const eventsOf = async (filter: object) =>
        (await cases.listEvents({ limit: 10, ...filter })).items.map(({ event }) => event.kind)
      const told = ['notice', 'access_withdrawn', 'access_granted', 'agreement_created']
      expect(await eventsOf({})).toEqual(told)
      // What named no product is listed with its agreement's.
      expect(await eventsOf({ product: 'demo' })).toEqual(told.slice(1))
      expect(await eventsOf({ kind: 'access_granted' })).toEqual(['access_granted'])
      expect(await eventsOf({ state: 'kept' })).toEqual(['notice'])
      expect(await eventsOf({ state: 'followed', limit: 2 })).toEqual(told.slice(1, 3))
      expect(await eventsOf({ state: 'waiting' })).toEqual([])
      const first = await cases.listEvents({ limit: 3 })
      expect((await cases.listEvents({ limit: 3, cursor: first.next })).items).toHaveLength(1)
    })

    it('are the alarms about itself', async () => {
      const { register, history, usage, clock } = await start()
      const { id } = await register(LICENSE)
      await usage.raise({ kind: 'access_overdue', subject: id, message: 'one', at: NOON })
      await usage.raise({ kind: 'successor_unclear', subject: id, message: 'two', at: NOON + 1 })
      await usage.raise({ kind: 'access_overdue', subject: 'sub_other', message: 'other', at: clock.now() })
      expect((await history.listAlarms(id)).map(({ message }) => message)).toEqual(['two', 'one'])
    })

    it('is not what waits for nobody’s registration, nor what could not be read', async () => {
      const { receive, cases, clock } = await start()
      const [one, two] = [
        anAgreement({ acceptedAt: NOON }),
        anAgreement({ id: 'agmt-2', license: 'two', account: '222233334444' }),
      ]
      await receive(one.granted())
      clock.set(NOON + MINUTE)
      await receive(two.granted())
      expect((await cases.listUnattached(10)).map(({ key }) => key)).toEqual(['agmt-2', 'agmt-1'])
      expect((await cases.listUnattached(1)).map(({ key }) => key)).toEqual(['agmt-2'])
      for (const id of ['m-1', 'm-2', 'm-2'])
        await cases.reject({ id, channel: 'sns', reason: 'unreadable', receivedAt: NOON, payload: '{"a":1}' })
      expect(await cases.listRejected(10)).toEqual(
        ['m-2', 'm-1'].map((id) => ({
          id,
          channel: 'sns',
          reason: 'unreadable',
          receivedAt: NOON,
          payload: '{"a":1}',
        })),
      )
    })
  })
}
