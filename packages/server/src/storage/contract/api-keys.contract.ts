import { describe, expect, it } from 'vitest'
import type { ApiKey } from '../../domain/keys/api-key.ts'
import { makeApiKey, traceOfMaking } from '../../domain/keys/change-api-key.ts'
import { createManageApiKeys } from '../../domain/keys/manage-api-keys.ts'
import type { Stores } from '../../domain/stores.ts'
import { aClock, aSubscription, utc } from './fixtures.ts'
import type { Telling } from './open-stores.ts'

const NOON = utc('2026-11-21T12:00')
const HOUR = 3_600_000
const DAY = 24 * HOUR

/**
 * API keys on any store.
 *
 * @param open - an empty ledger that notes what happens
 */
export function apiKeysContract(name: string, open: () => Promise<Stores & Telling>): void {
  const start = async () => {
    const stores = await open()
    const clock = aClock(NOON)
    const manage = createManageApiKeys({ ...stores, clock })
    const { subscription } = await stores.subscriptions.create(aSubscription(), 'test')
    const issue = async (values: Partial<Parameters<typeof manage.issue>[0]> = {}) => {
      const request = { user: undefined, name: undefined, scopes: [], expiresAt: undefined, ...values }
      return manage.issue(
        { product: 'demo', reference: { buyerId: subscription.buyer }, ...request },
        'key:seller',
      )
    }
    /** Made at its time, whoever has it. */
    const make = async (values: Partial<ApiKey>) => {
      const draft = { subscription: undefined, user: undefined, name: undefined, expiresAt: undefined }
      const owner = { product: 'demo', buyer: subscription.buyer, scopes: [] }
      const { key } = makeApiKey({ ...draft, ...owner, ...values }, clock.now())
      await stores.apiKeys.create(key, traceOfMaking(key, 'test'))
      return key
    }
    return { ...stores, clock, manage, subscription, issue, make }
  }
  const auditOf = async ({ audit }: Stores, id: string) =>
    (await audit.list({ limit: 10, subject: id })).items.map(({ action, actor, before, after }) => ({
      action,
      actor,
      before,
      after,
    }))

  describe(`${name}: API keys`, () => {
    it('are found by the hash of their secret, as they were made', async () => {
      const { apiKeys, issue, subscription } = await start()
      const { key } = await issue({
        user: 'user-1',
        name: 'CI',
        scopes: ['read:reports', 'write'],
        expiresAt: NOON + DAY,
      })
      expect(key).toMatchObject({ product: 'demo', buyer: subscription.buyer, createdAt: NOON })
      expect(await apiKeys.findByHash(key.hash)).toEqual(key)
      expect(await apiKeys.get(key.id)).toEqual(key)
      expect(await apiKeys.findByHash('0'.repeat(64))).toBeUndefined()
      await expect(apiKeys.get('apk_none')).rejects.toMatchObject({ code: 'key.not_found' })
    })

    it('are bound to what named their buyer, and to nothing where several fit or none', async () => {
      const { subscriptions, subscription, issue } = await start()
      const by = async (reference: object) => (await issue({ reference })).key
      expect(await by({ tenantId: subscription.tenantId })).toMatchObject({ subscription: undefined })
      expect(await by({ subscriptionId: subscription.id })).toMatchObject({
        subscription: subscription.id,
        buyer: subscription.buyer,
      })
      await subscriptions.create(aSubscription({ tenantId: subscription.tenantId }), 'test')
      await expect(by({ tenantId: subscription.tenantId })).rejects.toMatchObject({
        code: 'subscription.ambiguous',
      })
      await expect(by({ tenantId: 'nobody' })).rejects.toMatchObject({ code: 'buyer.not_found' })
      await expect(
        issue({ product: 'other', reference: { subscriptionId: subscription.id } }),
      ).rejects.toMatchObject({ code: 'buyer.not_found' })
    })

    it('are replaced by new ones of the same rights, and work on for the overlap', async () => {
      const { apiKeys, issue, manage, clock } = await start()
      const { key, secret } = await issue({ user: 'user-1', scopes: ['read'], expiresAt: NOON + DAY })
      clock.set(NOON + HOUR)
      const rotated = await manage.rotate(key.id, { overlapMs: 2 * HOUR }, 'key:seller')
      expect(rotated.secret).not.toBe(secret)
      expect(rotated.key).toEqual({
        ...key,
        id: rotated.key.id,
        hash: rotated.key.hash,
        hint: rotated.key.hint,
        createdAt: NOON + HOUR,
        expiresAt: NOON + HOUR + DAY,
      })
      expect(rotated.replaced).toEqual({
        ...key,
        replacedBy: rotated.key.id,
        usableUntil: NOON + 3 * HOUR,
      })
      expect(await apiKeys.findByHash(key.hash)).toEqual(rotated.replaced)
      expect(await apiKeys.findByHash(rotated.key.hash)).toEqual(rotated.key)
      for (const at of [clock.now(), NOON + 30 * DAY]) {
        clock.set(at)
        await expect(manage.rotate(key.id, {}, 'key:seller')).rejects.toMatchObject({
          code: 'key.not_active',
          details: { replacedBy: rotated.key.id },
        })
      }
    })

    it('are rotated once, however many ask for it at once', async () => {
      const { apiKeys, issue, manage, subscription } = await start()
      const { key } = await issue()
      const answers = await Promise.allSettled(
        Array.from({ length: 4 }, () => manage.rotate(key.id, {}, 'key:seller')),
      )
      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      for (const answer of answers)
        if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'key.not_active' })
      expect(await apiKeys.list({ buyer: subscription.buyer }, { limit: 10 })).toHaveLength(2)
    })

    it('are revoked for good, also while they are being replaced', async () => {
      const { apiKeys, issue, manage, clock } = await start()
      const { key } = await issue()
      await manage.rotate(key.id, {}, 'key:seller')
      const revoked = await manage.revoke(key.id, 'key:seller')
      expect(revoked).toMatchObject({ revokedAt: NOON, usableUntil: NOON + DAY })
      clock.set(NOON + HOUR)
      expect(await manage.revoke(key.id, 'key:seller')).toEqual(revoked)
      expect(await apiKeys.get(key.id)).toEqual(revoked)
      const other = (await issue()).key
      await manage.revoke(other.id, 'key:seller')
      await expect(manage.rotate(other.id, {}, 'key:seller')).rejects.toMatchObject({
        code: 'key.not_active',
        details: { state: 'revoked' },
      })
      await expect(manage.revoke('apk_none', 'key:seller')).rejects.toMatchObject({ code: 'key.not_found' })
    })

    it('leave who did what in the audit trail, and neither secret nor hash nor person', async () => {
      const stores = await start()
      const { issue, manage, audit } = stores
      const { key, secret } = await issue({ user: 'ada@example.com', name: 'Ada’s', scopes: ['read'] })
      const { key: next, secret: nextSecret } = await manage.rotate(key.id, {}, 'key:other')
      await manage.revoke(key.id, 'cli:ada')
      expect(await auditOf(stores, key.id)).toMatchObject([
        { action: 'api_key.revoke', actor: 'cli:ada', after: { revokedAt: expect.any(String) } },
        { action: 'api_key.rotate', actor: 'key:other', after: { replacedBy: next.id } },
        { action: 'api_key.create', actor: 'key:seller', after: { scopes: ['read'], hint: key.hint } },
      ])
      expect(await auditOf(stores, next.id)).toMatchObject([{ action: 'api_key.create' }])
      const written = JSON.stringify((await audit.list({ limit: 100 })).items)
      for (const hidden of [secret, nextSecret, key.hash, next.hash, 'ada@example.com', 'Ada’s'])
        expect(written).not.toContain(hidden)
    })

    it('tell the seller’s systems of each change, in order', async () => {
      const { issue, manage, events, told, subscription } = await start()
      const { key, secret } = await issue({
        user: 'ada@example.com',
        reference: { subscriptionId: subscription.id },
      })
      const { key: next } = await manage.rotate(key.id, {}, 'key:seller')
      await manage.revoke(key.id, 'key:seller')
      await manage.revoke(key.id, 'key:seller')
      const types = (await told(subscription.id)).filter((type) => type.startsWith('key.'))
      expect(types).toEqual(['key.created', 'key.rotated', 'key.revoked'])
      const { key: ofBuyer } = await issue()
      const all = (await events()).filter(({ type }) => type.startsWith('key.'))
      expect(all[1]).toMatchObject({
        buyer: subscription.buyer,
        data: { key: { id: key.id, replacedBy: next.id }, replacement: { id: next.id } },
      })
      expect(all.at(-1)).toMatchObject({
        subscription: subscription.buyer,
        data: { key: { id: ofBuyer.id } },
      })
      for (const hidden of [secret, key.hash, next.hash, 'ada@example.com'])
        expect(JSON.stringify(all)).not.toContain(hidden)
    })

    it('are made once for each request, however often and at once it is sent', async () => {
      const { apiKeys, audit, issue, manage, subscription, events } = await start()
      const answers = await Promise.allSettled(
        Array.from({ length: 4 }, () => issue({ requestId: 'request-1' })),
      )
      const made = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.key] : []))
      expect(made).toHaveLength(1)
      const { id } = made[0]!
      expect(id).toMatch(/^apk_[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      for (const answer of answers)
        if (answer.status === 'rejected')
          expect(answer.reason).toMatchObject({ code: 'key.exists', details: { key: id } })
      // Its secret is what the first answer says, whoever asks again, and only that.
      expect(await apiKeys.get(id)).toEqual(made[0])
      expect(await apiKeys.list({ buyer: subscription.buyer }, { limit: 10 })).toHaveLength(1)
      expect((await audit.list({ limit: 10, subject: id })).items).toHaveLength(1)
      expect((await events()).filter(({ type }) => type === 'key.created')).toHaveLength(1)
      const { key: next } = await manage.rotate(id, { overlapMs: 0 }, 'key:seller')
      await expect(issue({ requestId: 'request-1' })).rejects.toMatchObject({ code: 'key.exists' })
      const others = [await issue({ requestId: 'request-2' }), await issue(), await issue()]
      expect(new Set([id, next.id, ...others.map(({ key }) => key.id)]).size).toBe(5)
      // Who says the same of two is told of no other one's key.
      const { key: theirs } = await issue({ requestId: 'request-1', user: 'another' })
      expect([theirs.id === id, theirs.user]).toEqual([false, 'another'])
    })

    it('are as many of one buyer as may work at the same time', async () => {
      const { clock, issue, manage: _, make, subscription, ...stores } = await start()
      const manage = createManageApiKeys({ ...stores, clock, liveKeysMax: 3 })
      const request = { product: 'demo', user: undefined, name: undefined, scopes: [] }
      const more = async (values: { buyerId?: string; expiresAt?: number; requestId?: string } = {}) => {
        const { buyerId = subscription.buyer, expiresAt, requestId } = values
        return manage.issue({ ...request, reference: { buyerId }, expiresAt, requestId }, 'key:seller')
      }
      // What is over does not count, wherever it stands in the list.
      for (let n = 0; n < 4; n++) await manage.revoke((await make({})).id, 'key:seller')
      await more({ expiresAt: NOON + HOUR })
      const { key } = await more()
      await more({ requestId: 'request-1' })
      await expect(more()).rejects.toMatchObject({ code: 'key.too_many' })
      await expect(more({ requestId: 'request-1' })).rejects.toMatchObject({ code: 'key.exists' })
      // One in the place of another is not one more.
      const rotated = await manage.rotate(key.id, { overlapMs: 0 }, 'key:seller')
      const { subscription: other } = await stores.subscriptions.create(aSubscription(), 'test')
      await more({ buyerId: other.buyer })
      clock.set(NOON + HOUR)
      await more()
      await expect(more()).rejects.toMatchObject({ code: 'key.too_many' })
      await manage.revoke(rotated.key.id, 'key:seller')
      await more()
    })

    it('are listed newest first, by what is asked for, page by page', async () => {
      const { apiKeys, make, clock, subscription } = await start()
      const all: string[] = []
      for (let number = 0; number < 6; number++) {
        clock.set(NOON + Math.floor(number / 2))
        const { id } = await make({
          user: number % 2 === 0 ? 'even' : 'odd',
          ...(number === 4 && { subscription: subscription.id }),
          ...(number === 5 && { product: 'other', buyer: 'buy_other' }),
        })
        all.push(id)
      }
      // Of one instant in the order of their ids.
      const sorted = [all.slice(4), all.slice(2, 4), all.slice(0, 2)].flatMap((pair) => pair.sort().reverse())
      const own = sorted.filter((id) => id !== all[5])
      const idsOf = async (filter: object, page: object = {}) =>
        (await apiKeys.list(filter, { limit: 10, ...page })).map(({ id }) => id)
      expect(await idsOf({ product: 'demo' })).toEqual(own)
      expect(await idsOf({ buyer: subscription.buyer })).toEqual(own)
      expect(await idsOf({ product: 'demo' }, { limit: 2 })).toEqual(own.slice(0, 2))
      expect(await idsOf({ product: 'demo' }, { limit: 2, before: own[1] })).toEqual(own.slice(2, 4))
      expect(await idsOf({ buyer: subscription.buyer }, { before: own[3] })).toEqual(own.slice(4))
      expect(await idsOf({ subscription: subscription.id })).toEqual([all[4]])
      expect(await idsOf({ user: 'odd' })).toEqual(sorted.filter((id) => all.indexOf(id) % 2 === 1))
      expect(await idsOf({ user: 'odd', product: 'demo' }, { limit: 1 })).toEqual([all[3]])
      expect(await idsOf({ user: 'odd', product: 'demo' }, { before: all[3] })).toEqual([all[1]])
      expect(await idsOf({ product: 'other', buyer: subscription.buyer })).toEqual([])
      expect(await idsOf({ product: 'demo' }, { before: 'apk_none' })).toEqual([])
    })

    it('keep when they were used last, and nothing else changes by it', async () => {
      const { apiKeys, issue, manage } = await start()
      const keys = [(await issue()).key, (await issue({ scopes: ['a'] })).key]
      const [one, two] = keys as [ApiKey, ApiKey]
      await apiKeys.noteUses([
        { id: one.id, at: NOON + 5 },
        { id: 'apk_none', at: NOON },
        { id: two.id, at: NOON + 7 },
      ])
      await apiKeys.noteUses([
        { id: two.id, at: NOON + 9 },
        { id: one.id, at: NOON + 4 },
      ])
      await apiKeys.noteUses([])
      expect(await apiKeys.get(one.id)).toEqual({ ...one, lastUsedAt: NOON + 5 })
      expect(await apiKeys.get(two.id)).toEqual({ ...two, lastUsedAt: NOON + 9 })
      await manage.revoke(two.id, 'key:seller')
      expect(await apiKeys.get(two.id)).toEqual({ ...two, lastUsedAt: NOON + 9, revokedAt: NOON })
      await expect(apiKeys.get('apk_none')).rejects.toMatchObject({ code: 'key.not_found' })
    })

    it('keep the last use of many at once', async () => {
      const { apiKeys, make } = await start()
      const keys = await Promise.all(Array.from({ length: 25 }, () => make({})))
      await apiKeys.noteUses(keys.map(({ id }, number) => ({ id, at: NOON + number })))
      const listed = await apiKeys.list({ product: 'demo' }, { limit: 100 })
      const lastOf = new Map(listed.map(({ id, lastUsedAt }) => [id, lastUsedAt]))
      expect(keys.map(({ id }) => lastOf.get(id))).toEqual(keys.map((_, number) => NOON + number))
    })
  })
}
