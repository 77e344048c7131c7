import { describe, expect, it } from 'vitest'
import { hashSecret } from '../../domain/keys/key-secret.ts'
import type { ServiceKey } from '../../domain/keys/service-key.ts'
import { type KeptMail, MAILS_KEPT } from '../../domain/telling/mail.ts'
import { aSubscription, utc } from './fixtures.ts'
import { type OpenStores, openTelling } from './open-stores.ts'

const NOW = utc('2026-11-21T10:00')

/** Keys, the audit trail, mail and people: what is kept and listed. */
export function recordsContract(name: string, open: OpenStores): void {
  describe(`${name}: service keys`, () => {
    const aKey = (values: Partial<ServiceKey> = {}): ServiceKey => ({
      id: 'key_1',
      name: 'reporter',
      scopes: ['usage:write', 'usage:read'],
      product: undefined,
      hash: hashSecret('one'),
      ratePerSecond: undefined,
      createdAt: NOW,
      revokedAt: undefined,
      ...values,
    })

    it('finds a key by its hash alone, and says since when it is revoked', async () => {
      const { keys, audit } = await open()
      const other = aKey({
        id: 'key_2',
        product: 'demo',
        hash: hashSecret('two'),
        ratePerSecond: 20_000,
        createdAt: NOW + 1,
      })
      await keys.create(aKey(), 'cli:test')
      await keys.create(other, 'cli:test')
      expect(await keys.findByHash(hashSecret('two'))).toEqual(other)
      expect(await keys.findByHash(hashSecret('three'))).toBeUndefined()
      await keys.revoke('key_1', 'cli:test', NOW + 5)
      await keys.revoke('key_1', 'cli:test', NOW + 9)
      expect((await keys.list()).map(({ id, revokedAt }) => [id, revokedAt])).toEqual([
        ['key_1', NOW + 5],
        ['key_2', undefined],
      ])
      const { items } = await audit.list({ limit: 10, subject: 'key_1' })
      expect(items.map(({ action }) => action)).toEqual(['key.revoke', 'key.create'])
      expect(JSON.stringify(items)).not.toContain(hashSecret('one'))
      await expect(keys.revoke('key_3', 'cli:test', NOW)).rejects.toMatchObject({ code: 'key.not_found' })
    })
  })

  describe(`${name}: the audit trail`, () => {
    it('lists what was done, newest first, in pages that leave nothing out', async () => {
      const { audit } = await open()
      for (let number = 0; number < 7; number++)
        await audit.append({
          at: NOW + number,
          actor: 'cli:test',
          action: 'test',
          subject: number % 2 === 0 ? 'even' : 'odd',
          before: undefined,
          after: { number, amount: 12_345_678_901_234_567_890n },
        })
      const read = async (subject?: string) => {
        const found: number[] = []
        let cursor: string | undefined
        do {
          const page = await audit.list({ limit: 2, cursor, subject })
          found.push(...page.items.map(({ at }) => at - NOW))
          cursor = page.next
        } while (cursor !== undefined)
        return found
      }
      expect(await read()).toEqual([6, 5, 4, 3, 2, 1, 0])
      expect(await read('odd')).toEqual([5, 3, 1])
      const [last] = (await audit.list({ limit: 1 })).items
      expect(last).toMatchObject({ before: undefined, after: { number: 6, amount: '12345678901234567890' } })
    })

    it('loses no entry of those who write at once', async () => {
      const ledger = Symbol('ledger')
      const nodes = [await open(ledger), await open(ledger)]
      const entry = (subject: string) => ({ at: NOW, actor: 'a', action: 't', subject, before: 1, after: 2 })
      await Promise.all(
        Array.from({ length: 20 }, (_, number) => nodes[number % 2]!.audit.append(entry(`s${number}`))),
      )
      const { items } = await nodes[0]!.audit.list({ limit: 100 })
      expect(new Set(items.map(({ subject }) => subject)).size).toBe(20)
    })
  })

  describe(`${name}: the mailbox`, () => {
    const aMail = (number: number, id = `mail-${number}`): KeptMail => ({
      id,
      at: NOW + number,
      from: 'us@example.com',
      to: `Ada <ada${number}@example.com>`,
      subject: `Mail ${number}`,
      text: 'Grüße, “Ada” 👋',
      html: '<p>Grüße</p>',
    })

    it('keeps a mail once, whatever is sent twice, and lists the newest first', async () => {
      const { mailbox } = await open()
      for (const number of [1, 2, 2, 3]) await mailbox.keep(aMail(number))
      expect((await mailbox.list(2)).map(({ id }) => id)).toEqual(['mail-3', 'mail-2'])
      expect(await mailbox.find('mail-2')).toEqual(aMail(2))
      expect(await mailbox.find('mail-9')).toBeUndefined()
      expect(await mailbox.list(10)).toHaveLength(3)
    })

    it('keeps the latest, also where the same came again and again', async () => {
      const { mailbox } = await open()
      for (let number = 0; number < MAILS_KEPT + 3; number++) {
        await mailbox.keep(aMail(number))
        if (number % 10 === 0) await mailbox.keep(aMail(number))
      }
      const mails = await mailbox.list(2 * MAILS_KEPT)
      expect([mails.length, mails[0]!.id, mails.at(-1)!.id]).toEqual([
        MAILS_KEPT,
        `mail-${MAILS_KEPT + 2}`,
        'mail-3',
      ])
    })
  })

  describe(`${name}: buyers and their people`, () => {
    it('keeps people of a buyer, learns of them, and forgets one of them with their mail', async () => {
      const { subscriptions, buyers, mailbox, audit, append } = await openTelling(open)
      const { subscription } = await subscriptions.create(aSubscription(), 'test')
      const { buyer, id } = subscription
      const contact = { email: 'Ada@example.com', name: 'Ada', company: undefined, phone: undefined }
      await buyers.putContact(buyer, { ...contact, registeredAt: NOW }, 'buyer')
      await buyers.putContact(
        buyer,
        { ...contact, name: undefined, company: 'Analytical', registeredAt: NOW + 1 },
        'buyer',
      )
      await buyers.putContact(buyer, { ...contact, email: 'bob@example.com', registeredAt: NOW + 2 }, 'buyer')
      expect(await buyers.listContacts(buyer)).toMatchObject([
        { email: 'bob@example.com', name: 'Ada' },
        { email: 'Ada@example.com', name: 'Ada', company: 'Analytical', registeredAt: NOW + 1 },
      ])
      const about = { type: 'buyer.registered', at: NOW, product: 'demo', buyer, subscription: id } as const
      await append({ id: 'evt_1', ...about, data: {} })
      const mail = { at: NOW, from: 'us@example.com', subject: 'Welcome', text: '', html: '' }
      await mailbox.keep({ ...mail, id: 'evt_1.welcome', to: 'Ada <ada@example.com>' })
      await mailbox.keep({ ...mail, id: 'evt_1.bob', to: 'bob@example.com' })
      expect((await buyers.listMails(buyer)).map(({ to }) => to)).toEqual([
        'bob@example.com',
        'Ada <ada@example.com>',
      ])
      expect(await buyers.erase(buyer, 'ADA@example.com', 'cli:test', NOW)).toEqual({ contacts: 1, mails: 1 })
      expect((await buyers.listMails(buyer)).map(({ to }) => to)).toEqual(['bob@example.com'])
      expect(await buyers.erase(buyer, undefined, 'cli:test', NOW)).toEqual({ contacts: 1, mails: 1 })
      expect(JSON.stringify(await audit.list({ limit: 100 }))).not.toContain('example.com')
    })

    it('finds buyers by product, account and customer, in pages', async () => {
      const { subscriptions, buyers } = await open()
      const made = []
      for (let number = 0; number < 5; number++) {
        const customerIdentifier = number === 3 ? 'cust-3' : undefined
        const { subscription } = await subscriptions.create(aSubscription({ customerIdentifier }), 'test')
        made.unshift(subscription)
      }
      const first = await buyers.list({ limit: 3 })
      const rest = await buyers.list({ limit: 3, before: first.at(-1)!.id })
      expect([...first, ...rest].map(({ id }) => id)).toEqual(made.map(({ buyer }) => buyer))
      const one = made[2]!
      const { customerAwsAccountId } = one
      expect(await buyers.list({ product: 'demo', customerAwsAccountId, limit: 9 })).toMatchObject([
        { id: one.buyer, customerAwsAccountId },
      ])
      expect(await buyers.list({ customerIdentifier: 'cust-3', limit: 9 })).toMatchObject([
        { id: made[1]!.buyer },
      ])
      await expect(buyers.get('buy_nobody')).rejects.toMatchObject({ code: 'buyer.not_found' })
    })
  })
}
