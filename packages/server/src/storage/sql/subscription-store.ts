import { DomainError } from '../../domain/error.ts'
import type { CasePatch } from '../../domain/subscriptions/buyer-case.ts'
import { applyPatch } from '../../domain/subscriptions/case-draft.ts'
import {
  isLive,
  licenseTail,
  type Subscription,
  type SubscriptionReference,
} from '../../domain/subscriptions/subscription.ts'
import type { SubscriptionFilter, SubscriptionStore } from '../../domain/subscriptions/subscription-store.ts'
import { hourOf } from '../../domain/usage/hour.ts'
import { appendAudit } from './audit-trail.ts'
import { ensureBuyer } from './buyer-store.ts'
import { notePlan } from './contract-history.ts'
import type { Sql, SqlDatabase, SqlValue, StepOptions } from './database.ts'
import { int, SUBSCRIPTION_COLUMNS, toSubscription } from './rows.ts'
import { handOver, moveOpenBuckets, openFinalBuckets } from './usage-closer.ts'

const MATCHES_MAX = 100
const CACHE_MAX = 50_000
/** What changes subscriptions, or moves what was counted under them. */
export const SUBSCRIPTION_STEP: StepOptions = { excludesIngest: true }
const EPOCH = `SELECT value FROM ledger WHERE name = 'epoch'`

/** Look-ups by reference are kept until any subscription changes: every usage event needs one. */
export function createSqlSubscriptionStore(database: SqlDatabase): SubscriptionStore {
  const cache = new Map<string, readonly Subscription[]>()
  let cachedEpoch = -1

  /** Reads go on beside each other: one that began before a change may end after those that saw it. */
  const keep = (epoch: number, key: string, found: readonly Subscription[]) => {
    if (epoch < cachedEpoch) return
    if (epoch > cachedEpoch || cache.size > CACHE_MAX) cache.clear()
    cachedEpoch = epoch
    cache.set(key, found)
  }

  return {
    get: (id) => database.read((sql) => getSubscription(sql, id)),
    async findMatching(product, reference) {
      const key = JSON.stringify([product, reference])
      const epoch = int((await database.get(EPOCH))!.value)
      const known = epoch === cachedEpoch ? cache.get(key) : undefined
      if (known !== undefined) return known
      return database.read(async (sql) => {
        const readEpoch = int((await sql.get(EPOCH))!.value)
        const found = await findMatching(sql, product, reference)
        keep(readEpoch, key, found)
        return found
      })
    },
    list: ({ limit, before, ...filter }) =>
      database.read(async (sql) => {
        const { conditions, values } = conditionsOf(filter)
        if (before !== undefined) {
          conditions.push('s.seq < (SELECT seq FROM subscription WHERE id = ?)')
          values.push(before)
        }
        const rows = await sql.all(
          `SELECT ${SUBSCRIPTION_COLUMNS} FROM subscription s ${where(conditions)} ORDER BY s.seq DESC LIMIT ?`,
          ...values,
          limit,
        )
        return rows.map(toSubscription)
      }),
    create: (subscription, actor) =>
      database.transaction(async (sql) => {
        const same = (await findMatching(sql, subscription.product, ownReference(subscription))).find(isLive)
        if (same !== undefined) return { subscription: same, created: false }
        const buyer = await ensureBuyer(sql, subscription)
        await insertSubscription(sql, { ...subscription, buyer })
        await bumpEpoch(sql)
        await appendAudit(sql, {
          at: subscription.createdAt,
          actor,
          action: 'subscription.create',
          subject: subscription.id,
          before: undefined,
          after: subscription,
        })
        return { subscription: await getSubscription(sql, subscription.id), created: true }
      }, SUBSCRIPTION_STEP),
    change: (id, decide, actor, now) =>
      database.transaction(async (sql) => {
        const before = await getSubscription(sql, id)
        const change = decide(before)
        if (change === undefined) return before
        const patch = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
        await patchSubscription(sql, id, patch, actor, now)
        await bumpEpoch(sql)
        return getSubscription(sql, id)
      }, SUBSCRIPTION_STEP),
  }
}

/**
 * Applies a change with all that it brings about, audited. The caller bumps the epoch.
 *
 * @param planFrom - since when a changed plan holds, ms
 */
export async function patchSubscription(
  sql: Sql,
  id: string,
  patch: CasePatch,
  actor: string,
  now: number,
  planFrom = now,
): Promise<void> {
  const before = await getSubscription(sql, id)
  if (patch.successor !== undefined) await checkSuccessor(sql, before, patch.successor)
  const s = applyPatch(before, patch)
  await sql.run(
    `UPDATE subscription SET status = ?, access_start = ?, access_end = ?, final_window_end = ?, successor = ?, plan = ?, tenant_id = ?,
       license_arn = ?, license_tail = ?, customer_aws_account_id = ?, agreement_id = ?, granted_at = ?, term_end = ?, free_trial = ? WHERE id = ?`,
    s.status,
    s.accessStart,
    s.accessEnd ?? null,
    s.finalWindowEnd ?? null,
    s.successor ?? null,
    s.plan ?? null,
    s.tenantId ?? null,
    s.licenseArn ?? null,
    s.licenseArn === undefined ? null : licenseTail(s.licenseArn),
    s.customerAwsAccountId ?? null,
    s.agreementId ?? null,
    s.grantedAt ?? null,
    s.termEnd ?? null,
    s.freeTrial === undefined ? null : Number(s.freeTrial),
    id,
  )
  const after = await getSubscription(sql, id)
  if (after.plan !== before.plan) await notePlan(sql, before, after.plan, planFrom)
  if (hourOf(after.accessStart) > hourOf(before.accessStart))
    await moveOpenBuckets(sql, id, hourOf(after.accessStart))
  if (after.status === 'superseded' && after.successor !== undefined && after.successor !== before.successor)
    await handOver(sql, id, after.successor, after.accessEnd!)
  if (after.accessEnd !== undefined && after.accessEnd !== before.accessEnd) await beginGoodbye(sql, after)
  else if (after.finalWindowEnd !== undefined && after.finalWindowEnd > (before.finalWindowEnd ?? Infinity))
    await extendGoodbye(sql, before, after.finalWindowEnd)
  await appendAudit(sql, { at: now, actor, action: 'subscription.change', subject: id, before, after })
}

/** AWS's last word of an end came later than its first: records that wait for it may wait longer. */
async function extendGoodbye(sql: Sql, before: Subscription, finalWindowEnd: number): Promise<void> {
  await sql.run(
    `UPDATE usage_record SET deadline = ?1 WHERE deadline = ?2 AND state IN ('ready', 'sent')
     AND meter IN (SELECT m.seq FROM meter m JOIN subscription s ON s.seq = m.subscription WHERE s.id = ?3)`,
    finalWindowEnd,
    before.finalWindowEnd!,
    before.id,
  )
}

/** Usage of the one may become a bill of the other: a slip here would bill a stranger. */
async function checkSuccessor(sql: Sql, before: Subscription, successor: string): Promise<void> {
  const row = await sql.get('SELECT product, successor FROM subscription WHERE id = ?', successor)
  if (row === undefined || row.product !== before.product) {
    throw new DomainError(
      'subscription.not_found',
      `no subscription ${successor} of product ${before.product} that could succeed`,
    )
  }
  const leadsBack = await sql.get(
    `WITH RECURSIVE heir (id) AS (SELECT id FROM subscription WHERE id = ?1 UNION SELECT s.successor FROM heir h JOIN subscription s ON s.id = h.id WHERE s.successor IS NOT NULL)
     SELECT 1 AS one FROM heir WHERE id = ?2`,
    successor,
    before.id,
  )
  if (leadsBack !== undefined)
    throw new DomainError(
      'request.invalid',
      `${successor} cannot succeed ${before.id}: it is succeeded by it`,
    )
}

/** With an end, in the same step: its last hours wait for what is left, and all of it must reach AWS before it stops listening. */
async function beginGoodbye(
  sql: Sql,
  { id, accessStart, accessEnd, finalWindowEnd }: Subscription,
): Promise<void> {
  await openFinalBuckets(sql, id, hourOf(Math.max(accessEnd! - 1, accessStart)))
  if (finalWindowEnd === undefined) return
  await sql.run(
    `UPDATE usage_record SET deadline = ?1 WHERE deadline > ?1 AND state IN ('ready', 'sent')
     AND meter IN (SELECT m.seq FROM meter m JOIN subscription s ON s.seq = m.subscription WHERE s.id = ?2)`,
    finalWindowEnd,
    id,
  )
}

/** What tells one AWS agreement from another: the license, or for a legacy product the customer. */
function ownReference(subscription: Subscription): SubscriptionReference {
  if (subscription.licenseArn !== undefined) return { licenseArn: subscription.licenseArn }
  if (subscription.customerIdentifier !== undefined)
    return { customerIdentifier: subscription.customerIdentifier }
  return { subscriptionId: subscription.id }
}

export async function getSubscription(sql: Sql, id: string): Promise<Subscription> {
  const row = await sql.get(`SELECT ${SUBSCRIPTION_COLUMNS} FROM subscription s WHERE s.id = ?`, id)
  if (row === undefined) throw new DomainError('subscription.not_found', `no subscription ${id}`)
  return toSubscription(row)
}

function conditionsOf(filter: SubscriptionFilter & Pick<SubscriptionReference, 'subscriptionId'>) {
  const conditions: string[] = []
  const values: SqlValue[] = []
  const add = (column: string, value: string | undefined) => {
    if (value === undefined) return
    conditions.push(`s.${column} = ?`)
    values.push(value)
  }
  add('id', filter.subscriptionId)
  add('buyer', filter.buyerId)
  add('tenant_id', filter.tenantId)
  add('license_tail', filter.licenseArn === undefined ? undefined : licenseTail(filter.licenseArn))
  add('customer_aws_account_id', filter.customerAwsAccountId)
  add('customer_identifier', filter.customerIdentifier)
  add('product', filter.product)
  add('status', filter.status)
  add('channel', filter.channel)
  return { conditions, values }
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
}

async function findMatching(
  sql: Sql,
  product: string | undefined,
  reference: SubscriptionReference,
): Promise<readonly Subscription[]> {
  const { conditions, values } = conditionsOf({ ...reference, product })
  const rows = await sql.all(
    `SELECT ${SUBSCRIPTION_COLUMNS} FROM subscription s ${where(conditions)} ORDER BY s.access_end IS NOT NULL, s.seq DESC LIMIT ${MATCHES_MAX}`,
    ...values,
  )
  return rows.map(toSubscription)
}

/** The caller sees to its buyer, the epoch and the audit trail. */
export async function insertSubscription(sql: Sql, s: Subscription): Promise<void> {
  await sql.run(
    `INSERT INTO subscription (id, product, buyer, channel, plan, tenant_id, status, license_arn, license_tail, customer_aws_account_id, customer_identifier,
       agreement_id, granted_at, term_end, free_trial, access_start, access_end, final_window_end, successor, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    s.id,
    s.product,
    s.buyer,
    s.channel,
    s.plan ?? null,
    s.tenantId ?? null,
    s.status,
    s.licenseArn ?? null,
    s.licenseArn === undefined ? null : licenseTail(s.licenseArn),
    s.customerAwsAccountId ?? null,
    s.customerIdentifier ?? null,
    s.agreementId ?? null,
    s.grantedAt ?? null,
    s.termEnd ?? null,
    s.freeTrial === undefined ? null : Number(s.freeTrial),
    s.accessStart,
    s.accessEnd ?? null,
    s.finalWindowEnd ?? null,
    s.successor ?? null,
    s.createdAt,
  )
}

/** Whatever was resolved before this is stale now. */
export async function bumpEpoch(sql: Sql): Promise<void> {
  await sql.run(`UPDATE ledger SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'epoch'`)
}

/**
 * The same, to where no lost copy of this ledger has been: what was resolved by an epoch of that one is never taken for this
 * one's, since it has made fewer changes than a millisecond each.
 *
 * @param now - ms
 */
export async function jumpEpoch(sql: Sql, now: number): Promise<void> {
  const epoch = int((await sql.get(EPOCH))!.value)
  await sql.run(`UPDATE ledger SET value = ? WHERE name = 'epoch'`, String(Math.max(epoch + 1, now)))
}
