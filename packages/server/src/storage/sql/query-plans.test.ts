import type Database from 'better-sqlite3'
import { beforeEach, expect, it, vi } from 'vitest'
import { createCheckAccess } from '../../domain/entitlements/check-access.ts'
import { listRevocable } from '../../domain/entitlements/revoke-unentitled.ts'
import type { DomainEvent } from '../../domain/telling/domain-event.ts'
import { statusAt } from '../../domain/usage/usage-at-risk.ts'
import { nameOf, seats, startContracts } from '../contract/contract-harness.ts'
import { aDimension, aProduct, utc } from '../contract/fixtures.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { aSink, startOutbox } from '../contract/outbox-harness.ts'
import { createSqlApiKeyStore } from './api-key-store.ts'
import { createSqlBuyerCaseStore } from './buyer-case-store.ts'
import { createSqlBuyerStore } from './buyer-store.ts'
import { appendDomainEvent } from './domain-events.ts'
import { createSqlEntitlementStore } from './entitlement-store.ts'
import { migrate } from './migrations.ts'
import { createSqlOutboxStore } from './outbox-store.ts'
import { openSqlite, type SqliteDatabase } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionHistory } from './subscription-history.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'
import { createSqlUsageAccounts } from './usage-accounts.ts'
import { createSqlVisitorStore } from './visitor-store.ts'

// What runs for each request, or every half minute, must not read all that ever happened.

/** Tables that grow with time or with buyers, and the indexes that hold only what is not done yet. */
const GROWING =
  /^(entitlement_reading|entitlement_period|plan_period|contract_term|usage_event|bucket|bucket_tag|usage_record|transfer|attempt|attempt_record|request|meter|subscription|tag_set|seen_value|peak|running_total|included_used|audit_entry|buyer|buyer_contact|agreement|marketplace_event|domain_event|delivery|mail|api_key|visitor|visitor_hash|visitor_solution|quota_counter)$/
const OF_FEW_ROWS =
  /USING (COVERING )?INDEX (bucket_open|bucket_held|bucket_unbillable|bucket_unsealed|transfer_lost|usage_record_due|delivery_waiting|delivery_dead)\b/

let database: SqliteDatabase
let texts: Set<string>

beforeEach(async () => {
  database = openSqlite(':memory:')
  await migrate(database)
  texts = new Set()
  const prepare = database.handle.prepare.bind(database.handle)
  vi.spyOn(database.handle, 'prepare').mockImplementation(((text: string) => {
    texts.add(text)
    return prepare(text)
  }) as Database.Database['prepare'])
})

/** Statements that read a growing table from end to end. */
function scans(): string[] {
  const explain = [...texts].filter((text) => /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)/i.test(text))
  vi.restoreAllMocks()
  return explain.flatMap((text) => {
    const plan = (
      database.handle.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...placeholders(text)) as { detail: string }[]
    ).map(({ detail }) => detail)
    // A page in the order of an index ends with its last row.
    const isPage = /\bLIMIT \S+$/.test(text.trim()) && !plan.includes('USE TEMP B-TREE FOR ORDER BY')
    return plan
      .filter((detail) => detail.startsWith('SCAN ') && !OF_FEW_ROWS.test(detail) && !isPage)
      .filter((detail) => GROWING.test(tableOf(text, detail.split(' ')[1]!)))
      .map((detail) => `${detail}: ${text}`)
  })
}

function placeholders(text: string): unknown[] {
  const numbers = [...text.matchAll(/\?(\d+)/g)].map(([, number]) => Number(number))
  if (numbers.length > 0)
    return [Object.fromEntries(Array.from({ length: Math.max(...numbers) }, (_, at) => [at + 1, null]))]
  return Array.from({ length: text.split('?').length - 1 }, () => null)
}

/** What an alias stands for. */
function tableOf(text: string, alias: string): string {
  return new RegExp(`(?:FROM|JOIN|,)\\s+(\\w+)\\s+(?:AS\\s+)?${alias}\\b`).exec(text)?.[1] ?? alias
}

it('scans no history: not to take in, list, close, send, expire, tell the status or purge', async () => {
  const product = aProduct({
    dimensions: [
      aDimension({ holdAbove: { times: 3 } }),
      aDimension({ key: 'users', aggregation: 'unique' }),
    ],
  })
  const stores = {
    usage: createSqliteUsageStore(database),
    subscriptions: createSqlSubscriptionStore(database),
  }
  const ledger = await startLedger(async () => stores, product)
  const { usage, clock, subscribe, report, close, submit, records, catalog } = ledger
  const [buyer, leaver] = [await subscribe(), await subscribe()]
  for (const who of [buyer, leaver]) {
    await report(who, `a-${who.id}`, 3, { tags: { team: 'a' } })
    await report(who, `b-${who.id}`, 1, { dimension: 'users', quantity: undefined, value: 'ada' })
  }
  await ledger.end(leaver, clock.now() + 1)
  clock.set(utc('2026-11-21T11:20'))
  await report(buyer, 'late', 3, { time: utc('2026-11-21T10:30') })
  await close()
  await submit()
  await ledger.silence()
  clock.set(utc('2026-11-23T11:20'))
  await report(buyer, 'later', 3)
  await close()
  await submit()
  const at = statusAt(catalog, clock.now())
  for (const name of [undefined, 'demo']) await usage.status(name, at)
  for (const status of [undefined, 'open', 'held', 'closed'] as const) {
    for (const filter of [{}, { product: 'demo' }, { subscription: buyer.id }, { dimension: 'users' }])
      await usage.listBuckets({ ...filter, ...(status && { status }), limit: 1 })
  }
  for (const filter of [{}, { product: 'demo' }, { subscription: buyer.id }, { state: 'accepted' as const }])
    await usage.listRecords({ ...filter, limit: 1 })
  const [record] = await records()
  await usage.listAttempts({ record: record!.id, limit: 1 })
  await usage.listEvents(record!, 10)
  await usage.listTransfers(record!)
  await usage.listHeld('demo', 10)
  await usage.listAlarms(10)
  await usage.purge(clock.now())
  const subscriptions = stores.subscriptions
  for (const filter of [
    {},
    { product: 'demo' },
    { status: 'suspended' as const },
    { product: 'demo', status: 'active' as const },
    { buyerId: buyer.buyer },
    { tenantId: 'a' },
    { licenseArn: 'l-1' },
    { customerAwsAccountId: '1' },
    { customerIdentifier: 'c', channel: 'aws' as const },
  ])
    await subscriptions.list({ ...filter, limit: 1 })
  const history = createSqlSubscriptionHistory(database)
  const accounts = createSqlUsageAccounts(database)
  for (const who of [buyer, { ...buyer, agreementId: 'agmt-1' }, { ...leaver, licenseArn: undefined }]) {
    await history.list({ ...who, customerIdentifier: 'c' }, { limit: 10 })
    await history.findAgreement(who)
  }
  await history.findCreation(buyer.id)
  await history.findEndReason(buyer.id)
  await history.readUnsettled(buyer.id)
  await history.listAlarms(buyer.id)
  for (const hoursPerPeriod of [undefined, 24, 1])
    await accounts.read(buyer.id, { from: 0, to: 1_000_000, hoursPerPeriod })
  const buyers = createSqlBuyerStore(database)
  for (const filter of [{}, { product: 'demo' }, { product: 'demo', customerAwsAccountId: '1' }])
    await buyers.list({ ...filter, limit: 1 })
  await buyers.get(buyer.buyer)
  await buyers.listContacts(buyer.buyer)
  const apiKeys = createSqlApiKeyStore(database)
  for (const filter of [
    { product: 'demo' },
    { buyer: buyer.buyer, product: 'demo' },
    { subscription: buyer.id },
    { user: 'ada' },
  ])
    for (const before of [undefined, 'apk_1']) await apiKeys.list(filter, { limit: 1, before })
  await apiKeys.findByHash('none')
  await apiKeys.noteUses([{ id: 'apk_1', at: 1 }])
  expect(texts.size).toBeGreaterThan(100)
  expect(scans()).toEqual([])
})

it('scans no history to know visitors, note what became of them and forget them', async () => {
  const visitors = createSqlVisitorStore(database)
  await visitors.salts(0, 1_000)
  await visitors.salts(1_000, 1_000)
  const hashes = [2, 1].map((salt) => ({ salt, hash: `hash-${salt}` }))
  const sighting = { product: 'demo', hashes, at: 1_000 }
  await visitors.see({ ...sighting, solution: { id: 'solved', expiresAt: 1 } })
  await visitors.see({ ...sighting, solution: undefined })
  await visitors.find(hashes)
  await visitors.convert([{ salt: 9, hash: 'none' }], { buyer: 'b', subscription: 's', at: 1 }, () => {
    throw new Error('nobody was seen')
  })
  await visitors.salts(9_000, 1_000)
  await visitors.forget({ seenBefore: 5_000, now: 5_000, limit: 10 })
  expect(await visitors.find(hashes)).toBeUndefined()
  expect(scans()).toEqual([])
})

it('scans no history to tell what happens: not to hand out, claim, settle, list, replay or purge', async () => {
  const sink = aSink('webhook:crm')
  const append = (event: DomainEvent) => database.transaction((sql) => appendDomainEvent(sql, event))
  const outbox = await startOutbox(
    async () => ({ outbox: createSqlOutboxStore(database), usage: createSqliteUsageStore(database), append }),
    [sink],
  )
  const ids = [await outbox.happen('sub_1'), await outbox.happen('sub_1'), await outbox.happen('sub_2')]
  sink.answer = ({ subscription }) =>
    subscription === 'sub_1' ? { kind: 'refused', reason: 'HTTP 410' } : { kind: 'delivered' }
  await outbox.tell()
  const { outbox: store, clock } = outbox
  await store.findWork([sink], clock.now())
  for (const state of [undefined, 'waiting', 'delivered', 'dead'] as const)
    for (const filter of [{}, { sink: sink.name }, { product: 'demo' }])
      await store.list({ ...filter, state, limit: 1 })
  await store.earlierTypes(ids[1]!)
  await store.replay(ids[0]!, undefined, 'cli:test', clock.now())
  await store.replay(ids[2]!, [sink.name], 'cli:test', clock.now())
  await store.replayDead(sink.name, 'cli:test', clock.now())
  await store.purge(clock.now() + 1, 10)
  expect(texts.size).toBeGreaterThan(20)
  expect(scans()).toEqual([])
})

it('scans no history: not to read entitlements, revoke, or tell who may use what', async () => {
  const stores = {
    usage: createSqliteUsageStore(database),
    subscriptions: createSqlSubscriptionStore(database),
    cases: createSqlBuyerCaseStore(database),
    entitlements: createSqlEntitlementStore(database),
    told: async () => [],
  }
  const contracts = await startContracts(async () => stores)
  const { subscribe, grant, refresh, refreshDue, clock, catalog, entitlements, end } = contracts
  const [old, buyer] = [await subscribe(), await subscribe()]
  for (const who of [old, buyer]) grant(nameOf(who), seats(1, clock.now()))
  await refreshDue()
  await end(old, clock.now(), buyer)
  grant(nameOf(buyer))
  for (let round = 0; round < 3; round++) {
    await refresh(buyer.id)
    await refreshDue()
    clock.set(clock.now() + 600_000)
  }
  await listRevocable(contracts, catalog.find('demo')!, clock.now())
  const heir = await subscribe()
  await contracts.subscriptions.change(buyer.id, () => ({ successor: heir.id }), 'test', clock.now())
  await entitlements.findServing(heir.id)
  const check = createCheckAccess({ ...stores, catalog })
  const { buyer: buyerId, tenantId, licenseArn, customerAwsAccountId } = buyer
  for (const reference of [{ buyerId }, { tenantId }, { licenseArn }, { customerAwsAccountId }])
    await check({ reference, product: 'demo' })
  expect(texts.size).toBeGreaterThan(30)
  expect(scans()).toEqual([])
})
