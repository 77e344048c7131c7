import { expect, it } from 'vitest'
import { createProductCatalog } from '../../domain/products/product.ts'
import { hourOf } from '../../domain/usage/hour.ts'
import { aProduct, utc } from '../contract/fixtures.ts'
import { createDynamoAuditTrail } from './audit-trail.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo } from './dynamodb.fixture.ts'
import { readEpoch } from './epoch.ts'
import { createDynamoLedgerGuard } from './ledger-guard.ts'
import { checkDimensions, claimShards, ledgerSecret, noteDimension } from './ledger-identity.ts'
import { createDynamoMailbox } from './mailbox.ts'
import { createDynamoServiceKeyStore } from './service-keys.ts'

const NOW = utc('2026-11-21T10:30')

describeOnDynamo('a ledger on DynamoDB', () => {
  it('has one secret for each purpose, the same in all its processes, and the shards that it was made with', async () => {
    const place = await aDynamoPlace()
    const [one, two] = [await aDynamoTable({ place }), await aDynamoTable({ place })]
    const [a, b] = await Promise.all([ledgerSecret(one, 'tickets', 32), ledgerSecret(two, 'tickets', 32)])
    expect(a).toHaveLength(32)
    expect(b).toEqual(a)
    expect(await ledgerSecret(two, 'other', 32)).not.toEqual(a)
    expect([await claimShards(one, 4), await claimShards(two, 8)]).toEqual([4, 4])
  })

  it('refuses a dimension that is counted another way than it was', async () => {
    const table = await aDynamoTable()
    const product = aProduct()
    const [dimension] = product.dimensions
    const kind = { product: product.id, scale: dimension!.scale, aggregation: 'sum', per: undefined } as const
    await table.transaction((tx) => noteDimension(tx, dimension!.key, kind))
    await table.transaction((tx) => noteDimension(tx, dimension!.key, kind))
    await checkDimensions(table, createProductCatalog([product]))
    const changed = { ...product, dimensions: [{ ...dimension!, scale: dimension!.scale + 1 }] }
    await expect(checkDimensions(table, createProductCatalog([changed]))).rejects.toMatchObject({
      code: 'ledger.dimension_changed',
    })
  })

  it('keeps service keys in the order of their making, and revokes them, audited', async () => {
    const table = await aDynamoTable()
    const keys = createDynamoServiceKeyStore(table)
    const aKey = (id: string, createdAt: number) => ({
      id,
      name: `of ${id}`,
      scopes: ['usage:write', 'admin'] as const,
      product: undefined,
      hash: `hash-${id}`,
      ratePerSecond: undefined,
      createdAt,
      revokedAt: undefined,
    })
    await keys.create(aKey('key_b', NOW), 'cli:me')
    await keys.create(aKey('key_a', NOW + 1), 'cli:me')
    expect(await keys.findByHash('hash-key_a')).toEqual(aKey('key_a', NOW + 1))
    expect(await keys.findByHash('hash-none')).toBeUndefined()
    await keys.revoke('key_b', 'cli:me', NOW + 2)
    await keys.revoke('key_b', 'cli:me', NOW + 3)
    expect(await keys.list()).toEqual([{ ...aKey('key_b', NOW), revokedAt: NOW + 2 }, aKey('key_a', NOW + 1)])
    await expect(keys.revoke('key_c', 'cli:me', NOW)).rejects.toMatchObject({ code: 'key.not_found' })
    const { items } = await createDynamoAuditTrail(table).list({ limit: 10 })
    expect(items.map(({ action, subject }) => [action, subject])).toEqual([
      ['key.revoke', 'key_b'],
      ['key.create', 'key_a'],
      ['key.create', 'key_b'],
    ])
    expect(JSON.stringify(items)).not.toContain('hash-')
  })

  it('lists its audit trail newest first, page by page, and by subject', async () => {
    const trail = createDynamoAuditTrail(await aDynamoTable())
    for (const subject of ['a', 'b', 'a', 'a']) {
      const change = { before: undefined, after: { by: 1n } }
      await trail.append({ at: NOW, actor: 'system', action: 'x', subject, ...change })
    }
    const first = await trail.list({ limit: 3 })
    expect(first.items.map(({ subject }) => subject)).toEqual(['a', 'a', 'b'])
    expect(first.items[0]).toMatchObject({ before: undefined, after: { by: '1' } })
    const rest = await trail.list({ limit: 3, cursor: first.next })
    expect(rest).toMatchObject({ items: [{ subject: 'a' }], next: undefined })
    expect((await trail.list({ limit: 10, subject: 'b' })).items).toHaveLength(1)
  })

  it('keeps a mail once, newest first', async () => {
    const mailbox = createDynamoMailbox(await aDynamoTable())
    const aMail = (id: string) => ({
      id,
      at: NOW,
      from: 'a@b',
      to: 'c@d',
      subject: id,
      text: '',
      html: '<p>',
    })
    for (const id of ['one', 'two', 'one']) await mailbox.keep(aMail(id))
    expect(await mailbox.list(10)).toEqual([aMail('two'), aMail('one')])
    expect(await mailbox.list(1)).toEqual([aMail('two')])
    expect(await mailbox.find('one')).toEqual(aMail('one'))
    expect(await mailbox.find('three')).toBeUndefined()
  })

  it('waits for a person where its table is another than before, and then doubts what may have been sent', async () => {
    const place = await aDynamoPlace()
    const table = await aDynamoTable({ place })
    const marks: string[] = []
    const usage = {
      oldestUnsealed: async () => hourOf(utc('2026-11-21T07:00')),
      doubtUnsent: async (mark: string) => {
        marks.push(mark)
        if (marks.length === 1) throw new Error('cut')
      },
    }
    const original = await createDynamoLedgerGuard(table, 'table-1', usage, NOW)
    expect(original.waiting()).toBeUndefined()
    await original.beat(utc('2026-11-21T09:59'))

    const epochs = [await readEpoch(table)]
    const restored = await createDynamoLedgerGuard(table, 'table-2', usage, NOW)
    epochs.push(await readEpoch(table))
    const wait = { from: hourOf(utc('2026-11-21T09:00')), to: hourOf(NOW) }
    expect(restored.waiting()).toMatchObject(wait)
    const other = await createDynamoLedgerGuard(table, 'table-2', usage, NOW + 3_600_000)
    expect(other.waiting()).toEqual(restored.waiting())
    await other.beat(NOW + 3_600_000)

    await expect(restored.release('cli:me', NOW)).rejects.toThrow('cut')
    expect((await createDynamoLedgerGuard(table, 'table-2', usage, NOW)).waiting()).toMatchObject(wait)
    expect(await restored.release('cli:me', NOW + 3_600_000)).toMatchObject(wait)
    expect(marks[1]).toBe(marks[0])
    // Where no lost table has been: neither what was resolved there nor before is believed.
    expect([...epochs, await readEpoch(table)]).toEqual([0, NOW, NOW + 3_600_000])
    expect(restored.waiting()).toBeUndefined()
    expect(await restored.release('cli:me', NOW)).toBeUndefined()
    await other.refresh()
    expect(other.waiting()).toBeUndefined()
    const doubt = await table.get({ pk: 'LEDGER', sk: 'doubt' })
    expect(JSON.parse(doubt?.value as string)).toEqual({
      from: hourOf(utc('2026-11-21T07:00')),
      to: hourOf(NOW) + 1,
    })
    expect((await createDynamoLedgerGuard(table, 'table-2', usage, NOW)).waiting()).toBeUndefined()
    const { items } = await createDynamoAuditTrail(table).list({ limit: 1 })
    expect(items).toMatchObject([{ action: 'ledger.release', actor: 'cli:me' }])
  })
})
