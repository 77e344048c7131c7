import { type Agreement, agreementKeyOf, learn, newAgreement } from '../../domain/subscriptions/agreement.ts'
import type { Buyer, Contact } from '../../domain/subscriptions/buyer.ts'
import {
  type BuyerCase,
  type BuyerCaseStore,
  type CaseChanges,
  type CaseKey,
  caseKeyOf,
  keyOfCase,
} from '../../domain/subscriptions/buyer-case.ts'
import { subscriptionOf } from '../../domain/subscriptions/follow.ts'
import type { EventState, KeptEvent, MarketplaceEvent } from '../../domain/subscriptions/marketplace-event.ts'
import { licenseTail } from '../../domain/subscriptions/subscription.ts'
import { clearAlarm, raiseAlarm } from './alarms.ts'
import { appendAudit } from './audit-trail.ts'
import { countContacts, ensureBuyer, findBuyer, putContact, toBuyer } from './buyer-store.ts'
import type { Row, Sql, SqlDatabase, SqlValue } from './database.ts'
import { appendDomainEvent } from './domain-events.ts'
import { int, optionalText, SUBSCRIPTION_COLUMNS, text, toSubscription } from './rows.ts'
import {
  bumpEpoch,
  getSubscription,
  insertSubscription,
  patchSubscription,
  SUBSCRIPTION_STEP,
} from './subscription-store.ts'

/** A message for a person to look at. */
const REJECTED_BYTES_MAX = 262_144

export function createSqlBuyerCaseStore(database: SqlDatabase): BuyerCaseStore {
  return {
    receive: (event, product, decide, now) =>
      database.transaction((sql) => receive(sql, event, product, decide, now), SUBSCRIPTION_STEP),
    settle: (key, decide, actor, now, contact) =>
      database.transaction(
        async (sql) => settle(sql, await loadCase(sql, key), decide, actor, now, contact),
        SUBSCRIPTION_STEP,
      ),
    settleOf: (id, decide, actor, now, contact) =>
      database.transaction(async (sql) => {
        const subscription = await getSubscription(sql, id)
        const after = await settle(sql, await loadCase(sql, caseKeyOf(subscription)), decide, actor, now)
        if (contact !== undefined) await putContact(sql, subscription.buyer, contact, actor)
        return after
      }, SUBSCRIPTION_STEP),
    adopt: (productCode, product) =>
      database.transaction(async (sql) => {
        const found = await sql.all(
          `SELECT seq, facts FROM agreement INDEXED BY agreement_homeless WHERE product IS NULL AND json_extract(facts, '$.productCode') = ?`,
          productCode,
        )
        for (const { seq, facts } of found) {
          await sql.run(
            'UPDATE agreement SET product = ?, facts = ? WHERE seq = ?',
            product,
            JSON.stringify({ ...JSON.parse(text(facts)), product }),
            seq!,
          )
          await nameProduct(sql, int(seq), product)
        }
        return found.length
      }),
    listPending: (since, limit) =>
      database.read(async (sql) => {
        const rows = await sql.all(
          `SELECT ${SUBSCRIPTION_COLUMNS} FROM subscription s INDEXED BY subscription_pending
           WHERE s.status = 'pending' AND s.created_at <= ? ORDER BY s.created_at LIMIT ?`,
          since,
          limit,
        )
        return rows.map(toSubscription)
      }),
    listUnlicensed: (since, limit) =>
      database.read(async (sql) => {
        const rows = await sql.all(
          `SELECT ${SUBSCRIPTION_COLUMNS} FROM subscription s INDEXED BY subscription_unlicensed
           WHERE s.channel = 'aws' AND s.license_tail IS NULL AND s.customer_identifier IS NULL AND s.access_end IS NULL
             AND s.created_at <= ? ORDER BY s.created_at LIMIT ?`,
          since,
          limit,
        )
        return rows.map(toSubscription)
      }),
    listGoodbyesOver: (now, limit) =>
      database.read(async (sql) => {
        const rows = await sql.all(
          `SELECT ${SUBSCRIPTION_COLUMNS} FROM subscription s INDEXED BY subscription_cancelling
           WHERE s.status = 'cancelling' AND s.final_window_end <= ? ORDER BY s.final_window_end LIMIT ?`,
          now,
          limit,
        )
        return rows.map(toSubscription)
      }),
    listEvents: (filter) => database.read((sql) => listEvents(sql, filter)),
    listUnattached: (limit) =>
      database.read(async (sql) => {
        const rows = await sql.all(
          'SELECT facts FROM agreement WHERE subscription IS NULL ORDER BY seq DESC LIMIT ?',
          limit,
        )
        return rows.map(toAgreement)
      }),
    reject: (message) =>
      database.transaction(async (sql) => {
        await sql.run(
          'INSERT INTO rejected_message (id, channel, reason, received_at, payload) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
          message.id,
          message.channel,
          message.reason,
          message.receivedAt,
          message.payload.slice(0, REJECTED_BYTES_MAX),
        )
      }),
    listRejected: (limit) =>
      database.read(async (sql) => {
        const rows = await sql.all('SELECT * FROM rejected_message ORDER BY seq DESC LIMIT ?', limit)
        return rows.map((row) => ({
          id: text(row.id),
          channel: text(row.channel) as MarketplaceEvent['channel'],
          reason: text(row.reason),
          receivedAt: int(row.received_at),
          payload: text(row.payload),
        }))
      }),
  }
}

async function receive(
  sql: Sql,
  event: MarketplaceEvent,
  named: string | undefined,
  decide: (buyerCase: BuyerCase) => CaseChanges,
  now: number,
): Promise<{ state: EventState; subscriptions: readonly string[] }> {
  if ((await sql.get('SELECT 1 AS one FROM marketplace_event WHERE id = ?', event.id)) !== undefined)
    return { state: 'known', subscriptions: [] }
  const key = agreementKeyOf(event)
  if (key === undefined) {
    await keepEvent(sql, event, undefined, named, now)
    return { state: 'kept', subscriptions: [] }
  }
  const before = (await getAgreement(sql, key)) ?? newAgreement(key)
  const agreement = learn(before, event, named ?? (await productOf(sql, event)))
  const seq = await putAgreement(sql, agreement, now)
  if (before.product === undefined && agreement.product !== undefined)
    await nameProduct(sql, seq, agreement.product)
  await keepEvent(sql, event, seq, agreement.product, now)
  const caseKey =
    agreement.product === undefined ? undefined : caseKeyOf({ ...agreement, product: agreement.product })
  if (caseKey === undefined) return { state: 'waiting', subscriptions: [] }
  const after = await settle(sql, await loadCase(sql, caseKey), decide, 'aws', now)
  const follower = subscriptionOf(agreement, after.subscriptions)
  return follower === undefined
    ? { state: 'waiting', subscriptions: [] }
    : { state: 'followed', subscriptions: [follower.id] }
}

/** What was told of an agreement before its product was known is listed with its product. */
async function nameProduct(sql: Sql, agreement: number, product: string): Promise<void> {
  await sql.run('UPDATE marketplace_event SET product = ? WHERE agreement = ?', product, agreement)
}

/** An agreement event names no product; a subscription that was declared or imported with its agreement does. */
async function productOf(
  sql: Sql,
  { agreementId, previousAgreementId }: MarketplaceEvent,
): Promise<string | undefined> {
  const declared =
    agreementId === undefined
      ? undefined
      : await sql.get('SELECT product FROM subscription WHERE agreement_id = ? LIMIT 1', agreementId)
  if (declared !== undefined) return text(declared.product)
  // An agreement takes the place of one for the same product.
  const previous =
    previousAgreementId === undefined ? undefined : await getAgreement(sql, previousAgreementId)
  return previous?.product
}

async function settle(
  sql: Sql,
  buyerCase: BuyerCase,
  decide: (buyerCase: BuyerCase) => CaseChanges,
  actor: string,
  now: number,
  contact?: Contact,
): Promise<BuyerCase> {
  const changes = decide(buyerCase)
  const buyer = await applyChanges(sql, changes, actor, now)
  if (contact !== undefined && buyer !== undefined) await putContact(sql, buyer, contact, actor)
  const isChanged = changes.create.length + changes.change.length > 0
  const after = isChanged
    ? await loadCase(sql, { ...keyOfCase(buyerCase), buyer: buyer ?? buyerCase.buyer?.id })
    : buyerCase
  await attach(sql, after)
  return after
}

/** @returns the buyer of what was created */
async function applyChanges(
  sql: Sql,
  changes: CaseChanges,
  actor: string,
  now: number,
): Promise<string | undefined> {
  let owner: string | undefined
  for (const subscription of changes.create) {
    owner = await ensureBuyer(sql, subscription)
    const created = { ...subscription, buyer: owner }
    await insertSubscription(sql, created)
    await appendAudit(sql, {
      at: now,
      actor,
      action: 'subscription.create',
      subject: subscription.id,
      before: undefined,
      after: created,
    })
  }
  for (const { id, patch } of changes.change) await patchSubscription(sql, id, patch, actor, now)
  for (const event of changes.tell) await appendDomainEvent(sql, { ...event, buyer: owner ?? event.buyer })
  for (const alarm of changes.raise) await raiseAlarm(sql, alarm)
  for (const { kind, subject } of changes.clear) await clearAlarm(sql, kind, subject)
  if (changes.create.length + changes.change.length > 0) await bumpEpoch(sql)
  return owner
}

/** Notes which subscription follows which agreement: what none follows is listed as waiting. */
async function attach(sql: Sql, { agreements, subscriptions }: BuyerCase): Promise<void> {
  for (const agreement of agreements) {
    const follower = subscriptionOf(agreement, subscriptions)
    await sql.run(
      'UPDATE agreement SET subscription = ?1 WHERE key = ?2 AND subscription IS DISTINCT FROM ?1',
      follower?.id ?? null,
      agreement.key,
    )
  }
}

/** All that is known under any of a buyer's names. */
async function loadCase(sql: Sql, key: CaseKey): Promise<BuyerCase> {
  const buyer = await findBuyerOf(sql, key)
  const accounts = present([key.customerAwsAccountId, buyer?.customerAwsAccountId])
  const customers = present([key.customerIdentifier, buyer?.customerIdentifier])
  const subscriptions =
    buyer === undefined
      ? []
      : await sql.all(
          `SELECT ${SUBSCRIPTION_COLUMNS} FROM subscription s WHERE s.buyer = ? ORDER BY s.seq`,
          buyer.id,
        )
  const rows = subscriptions.map(toSubscription)
  const licenses = present([key.licenseArn, ...rows.map(({ licenseArn }) => licenseArn)]).map(licenseTail)
  return {
    product: key.product,
    buyer,
    contacts: buyer === undefined ? 0 : await countContacts(sql, buyer.id),
    agreements: await findAgreements(sql, key.product, accounts, customers, licenses),
    subscriptions: rows,
  }
}

async function findBuyerOf(sql: Sql, key: CaseKey): Promise<Buyer | undefined> {
  if (key.subscription !== undefined) {
    const row = await sql.get(
      'SELECT b.* FROM subscription s JOIN buyer b ON b.id = s.buyer WHERE s.id = ?',
      key.subscription,
    )
    if (row !== undefined) return toBuyer(row)
  }
  if (key.buyer !== undefined) {
    const row = await sql.get('SELECT * FROM buyer WHERE id = ?', key.buyer)
    if (row !== undefined) return toBuyer(row)
  }
  if (key.tenantId !== undefined) {
    const row = await sql.get(
      `SELECT b.* FROM subscription s JOIN buyer b ON b.id = s.buyer WHERE s.tenant_id = ? AND s.product = ?
       ORDER BY s.access_end IS NOT NULL, s.seq DESC LIMIT 1`,
      key.tenantId,
      key.product,
    )
    if (row !== undefined) return toBuyer(row)
  }
  // Whose license it is counts before whose account is named: one organisation may pay for another.
  const holder = key.licenseArn === undefined ? undefined : await findHolder(sql, key.product, key.licenseArn)
  return holder ?? findBuyer(sql, key)
}

async function findHolder(sql: Sql, product: string, licenseArn: string): Promise<Buyer | undefined> {
  const row = await sql.get(
    'SELECT b.* FROM buyer b JOIN subscription s ON s.buyer = b.id WHERE s.license_tail = ? AND s.product = ? LIMIT 1',
    licenseTail(licenseArn),
    product,
  )
  return row && toBuyer(row)
}

async function findAgreements(
  sql: Sql,
  product: string,
  accounts: readonly string[],
  customers: readonly string[],
  licenses: readonly string[],
): Promise<readonly Agreement[]> {
  const found = new Map<string, Agreement>()
  const add = async (column: string, values: readonly string[]) => {
    for (const value of values) {
      const rows = await sql.all(
        `SELECT facts FROM agreement WHERE product = ? AND ${column} = ?`,
        product,
        value,
      )
      for (const row of rows) {
        const agreement = toAgreement(row)
        found.set(agreement.key, agreement)
      }
    }
  }
  await add('customer_aws_account_id', accounts)
  await add('customer_identifier', customers)
  await add('license_tail', licenses)
  return [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
}

function present(values: readonly (string | undefined)[]): string[] {
  return [...new Set(values.filter((value) => value !== undefined))]
}

async function getAgreement(sql: Sql, key: string): Promise<Agreement | undefined> {
  const row = await sql.get('SELECT facts FROM agreement WHERE key = ?', key)
  return row && toAgreement(row)
}

async function putAgreement(sql: Sql, agreement: Agreement, now: number): Promise<number> {
  const { key, product, customerAwsAccountId, customerIdentifier, licenseArn } = agreement
  await sql.run(
    `INSERT INTO agreement (key, product, customer_aws_account_id, customer_identifier, license_tail, facts, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET product = excluded.product, customer_aws_account_id = excluded.customer_aws_account_id,
       customer_identifier = excluded.customer_identifier, license_tail = excluded.license_tail, facts = excluded.facts, updated_at = excluded.updated_at`,
    key,
    product ?? null,
    customerAwsAccountId ?? null,
    customerIdentifier ?? null,
    licenseArn === undefined ? null : licenseTail(licenseArn),
    JSON.stringify(agreement),
    now,
  )
  return int((await sql.get('SELECT seq FROM agreement WHERE key = ?', key))!.seq)
}

export function toAgreement(row: Row): Agreement {
  const facts = JSON.parse(text(row.facts)) as Agreement
  // JSON has no -Infinity.
  return {
    ...newAgreement(facts.key),
    ...facts,
    termsAt: facts.termsAt ?? Number.NEGATIVE_INFINITY,
    licenseAt: facts.licenseAt ?? Number.NEGATIVE_INFINITY,
  }
}

async function keepEvent(
  sql: Sql,
  event: MarketplaceEvent,
  agreement: number | undefined,
  product: string | undefined,
  now: number,
): Promise<void> {
  await sql.run(
    'INSERT INTO marketplace_event (id, agreement, product, kind, occurred_at, received_at, event) VALUES (?, ?, ?, ?, ?, ?, ?)',
    event.id,
    agreement ?? null,
    product ?? null,
    event.kind,
    event.occurredAt,
    now,
    JSON.stringify(event),
  )
}

const STATE_IS = {
  followed: 'a.subscription IS NOT NULL',
  waiting: 'e.agreement IS NOT NULL AND a.subscription IS NULL',
  kept: 'e.agreement IS NULL',
} as const satisfies Record<KeptEvent['state'], string>

async function listEvents(
  sql: Sql,
  filter: Parameters<BuyerCaseStore['listEvents']>[0],
): Promise<{ items: readonly KeptEvent[]; next: string | undefined }> {
  const conditions = ['e.seq < ?']
  const values: SqlValue[] = [filter.cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(filter.cursor)]
  if (filter.product !== undefined) {
    conditions.push('e.product = ?')
    values.push(filter.product)
  }
  if (filter.kind !== undefined) {
    conditions.push('e.kind = ?')
    values.push(filter.kind)
  }
  if (filter.state !== undefined) conditions.push(STATE_IS[filter.state])
  const rows = await sql.all(
    `SELECT e.seq, e.event, e.agreement, e.received_at, a.subscription FROM marketplace_event e LEFT JOIN agreement a ON a.seq = e.agreement
     WHERE ${conditions.join(' AND ')} ORDER BY e.seq DESC LIMIT ?`,
    ...values,
    filter.limit,
  )
  const items = rows.map(toKeptEvent)
  return { items, next: rows.length === filter.limit ? String(rows.at(-1)!.seq) : undefined }
}

/** From `marketplace_event e` with its agreement's `subscription`. */
export function toKeptEvent(row: Row): KeptEvent {
  const subscription = optionalText(row.subscription)
  return {
    event: JSON.parse(text(row.event)),
    state: row.agreement === null ? 'kept' : subscription === undefined ? 'waiting' : 'followed',
    receivedAt: int(row.received_at),
    subscription,
  }
}
