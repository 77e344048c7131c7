import type { IncludedReset } from '../../packages/server/src/domain/plans/plan.ts'
import type { Product } from '../../packages/server/src/domain/products/product.ts'
import { ACCOUNTS } from '../../packages/server/src/domain/usage/account.ts'
import { auditUsage } from '../../packages/server/src/domain/usage/audit-usage.ts'
import type { UsageRecord } from '../../packages/server/src/domain/usage/usage-record.ts'
import type { MeterAudit } from '../../packages/server/src/domain/usage/usage-store.ts'
import type { Grant, Run } from './run-state.ts'
import type { Worker } from './world.ts'

const HOUR_MS = 3_600_000

/** What must hold after every step, whatever has happened. */
export async function checkStep(run: Run, worker: Worker): Promise<void> {
  const audit = await auditUsage(worker.usage)
  if (!audit.balanced) throw new Error(`the audit is not balanced: ${JSON.stringify(audit.discrepancies)}`)
  await checkRecords(run, worker)
  await checkMeasured(run, worker)
}

/** What AWS has is what our ledger says it has, record by record. */
async function checkRecords(run: Run, worker: Worker): Promise<void> {
  const atAws = new Map<string, { quantity: number; foreign: boolean }>()
  for (const row of run.world.simulator.marketplace.ledger().records) {
    const customer =
      row.licenseArn === undefined
        ? `${row.productCode} ${row.customerIdentifier}`
        : row.licenseArn.split(':').at(-1)
    atAws.set(`${row.region} ${customer} ${row.dimension} ${row.hourStart / HOUR_MS}`, {
      quantity: row.quantity,
      foreign: run.foreign.has(row.meteringRecordId),
    })
  }
  const ours = new Set<string>()
  for (const record of (await worker.usage.listRecords({ limit: 1_000_000 })).items) {
    const key = keyOf(record)
    if (ours.has(key)) throw new Error(`two records of ${key}`)
    ours.add(key)
    const taken = atAws.get(key)
    const isThere = taken !== undefined && !taken.foreign
    if (isThere && taken.quantity !== record.quantity)
      throw new Error(`${key}: AWS has ${taken.quantity}, the record says ${record.quantity}`)
    const { state } = record
    const mustBe = state === 'accepted' || (state === 'assumed' && taken?.foreign !== true)
    const mustNotBe = ['ready', 'carried', 'refused', 'conflict'].includes(state)
    if (mustBe && !isThere) throw new Error(`${key} is ${state}, and AWS does not have it`)
    if (mustNotBe && isThere) throw new Error(`${key} is ${state}, and AWS has it`)
    if (state === 'conflict' && taken === undefined) throw new Error(`${key} is in conflict with nothing`)
  }
  for (const [key, { foreign }] of atAws)
    if (!foreign && !ours.has(key)) throw new Error(`AWS has ${key}, which no record of ours is`)
}

function keyOf({ region, identity, dimension, hour }: UsageRecord): string {
  const customer =
    identity.kind === 'license'
      ? identity.licenseArn.split(/[:/]/).at(-1)
      : `${identity.productCode} ${identity.customerIdentifier}`
  return `${region} ${customer} ${dimension} ${hour}`
}

interface Group {
  readonly product: string
  readonly account: string
  readonly dimension: string
  readonly meters: MeterAudit[]
}

async function groupMeters(run: Run, worker: Worker): Promise<Group[]> {
  const accounts = new Map(run.deals.map((deal) => [`sub_${deal.aws}`, deal.account]))
  const groups = new Map<string, Group>()
  await worker.usage.audit((page) => {
    for (const meter of page) {
      const { product, dimension } = meter
      const account = accounts.get(meter.subscription)!
      const key = `${product} ${account} ${dimension}`
      const group = groups.get(key) ?? { product, account, dimension, meters: [] }
      groups.set(key, group)
      group.meters.push(meter)
    }
  })
  return [...groups.values()]
}

const total = (group: Group, account: (typeof ACCOUNTS)[number]) =>
  group.meters.reduce((sum, { balances }) => sum + balances[account], 0n)

/** What the ledger measured is what was delivered: compared wherever no answer is outstanding. */
async function checkMeasured(run: Run, worker: Worker): Promise<void> {
  if (run.expected.doubts > 0) return
  for (const group of await groupMeters(run, worker)) {
    const { product, account, dimension } = group
    if (!run.expected.isKnown(product, account, dimension)) continue
    const expected = run.expected.of(product, account, dimension)
    const measured = -total(group, 'measured')
    const billable = measured - total(group, 'unbillable')
    const where = `${product}/${account}/${dimension}`
    const isSum = expected.aggregation === 'sum' || expected.aggregation === 'count'
    if (expected.aggregation === undefined) {
      if (measured !== 0n) throw new Error(`${where}: measured ${measured} of nothing`)
      continue
    }
    if ((isSum || expected.aggregation === 'total') && measured !== expected.all)
      throw new Error(`${where}: measured ${measured}, delivered ${expected.all}`)
    if (expected.aggregation !== 'total' && billable !== expected.billable)
      throw new Error(`${where}: measured ${billable} billable, delivered ${expected.billable}`)
  }
}

/** The bill at the end, when all has settled. */
export async function checkBill(run: Run, worker: Worker): Promise<void> {
  const { items } = await worker.usage.listRecords({ limit: 1_000_000 })
  for (const record of items) {
    if (record.state === 'ready' || record.state === 'sent' || record.state === 'in_doubt')
      throw new Error(`${keyOf(record)} is still ${record.state}: ${record.note}`)
  }
  const aDayAgo = Math.floor(run.world.clock.now() / HOUR_MS) - 30
  const open = await worker.usage.listBuckets({ status: 'open', limit: 100_000 })
  for (const bucket of open.items)
    if (bucket.hour < aDayAgo)
      throw new Error(`${bucket.subscription}/${bucket.dimension} is still open for ${bucket.hour}`)
  for (const group of await groupMeters(run, worker)) {
    checkGroup(run, group, items)
    await checkIncluded(run, worker, group)
  }
}

function checkGroup(run: Run, group: Group, records: readonly UsageRecord[]): void {
  const where = `${group.product}/${group.account}/${group.dimension}`
  const product = run.scenario.products.find(({ id }) => id === group.product)!
  const dimension = product.dimensions.find(({ key }) => key === group.dimension)!
  const unit = dimension.unitSize * 10n ** BigInt(dimension.scale)
  const deals = run.deals.filter(
    ({ product: id, account }) => id === group.product && account === group.account,
  )

  // AWS's own figure, without anything that somebody else metered.
  const subscriptions = new Set(deals.map(({ aws }) => aws))
  let units = 0n
  for (const row of run.world.simulator.marketplace.ledger().records) {
    if (run.foreign.has(row.meteringRecordId) || row.dimension !== group.dimension) continue
    if (subscriptions.has(row.subscriptionId)) units += BigInt(row.quantity)
  }
  const assumedForeign = records.filter(
    (record) => record.state === 'assumed' && record.dimension === group.dimension && run.foreign.size > 0,
  )
  const kept: Partial<Record<(typeof ACCOUNTS)[number], bigint>> = {}
  let elsewhere = 0n
  for (const account of ACCOUNTS) {
    if (['measured', 'accepted', 'assumed'].includes(account)) continue
    kept[account] = total(group, account)
    elsewhere += kept[account]!
  }
  const measured = -total(group, 'measured')
  if (assumedForeign.length === 0 && units * unit + elsewhere !== measured) {
    throw new Error(
      `${where}: measured ${measured}, AWS bills ${units} units of ${unit}, elsewhere ${JSON.stringify(kept, (_, value) => (typeof value === 'bigint' ? String(value) : value))}`,
    )
  }
  const live = deals.filter(({ ended }) => !ended).length
  const ended = BigInt(deals.length - live)
  const carry = kept.carry!
  const wasHuge = units > 2_000_000_000n || carry > 1_000_000_000n * unit
  if (!wasHuge && carry >= BigInt(Math.max(live, 1)) * unit)
    throw new Error(`${where}: ${carry} is still carried`)
  if (live === 0 && carry !== 0n) throw new Error(`${where}: everybody left, and ${carry} is still carried`)
  const forgiven = kept.forgiven! < 0n ? -kept.forgiven! : kept.forgiven!
  if (forgiven > ended * unit) throw new Error(`${where}: ${forgiven} is too much to forgive`)
  if (kept.held !== 0n) throw new Error(`${where}: ${kept.held} is still held`)
  const isPure = product.pricing === 'contract'
  if (isPure && kept.included! + kept.unbillable! + kept.open! !== measured)
    throw new Error(`${where}: measured ${measured}, only ${kept.included} of it is included`)
  if (!isPure && product.plans.length === 0 && kept.included !== 0n)
    throw new Error(`${where}: nothing is included`)
  if (dimension.holdAbove === undefined && kept.waived !== 0n)
    throw new Error(`${where}: nothing was ever held`)
  if (live === deals.length && kept.refused! > 0n && run.foreign.size === 0 && !resolved(records, group))
    throw new Error(`${where}: ${kept.refused} refused, though the buyer is still there`)
  // A listing without the dimension, or a buyer who leaves before the license is there, can cost usage on a calm day too.
  const isKnown = dimension.name !== 'undefined at AWS' && run.scenario.settings.licenseDelayMs === 0
  if (run.calm && isKnown && !wasHuge) {
    for (const account of ['refused', 'in_doubt', 'conflict', 'assumed'] as const)
      if (total(group, account) !== 0n)
        throw new Error(
          `${where}: nothing went wrong, and ${total(group, account)} is ${account}: ${tell(records, group)}`,
        )
  }
  checkTags(run, group, unit, subscriptions)
}

/**
 * Of a calm run, in which every hour was closed in its turn: what a contract includes, hour by hour from what it
 * granted. Walks through time where the ledger looks back.
 */
async function checkIncluded(run: Run, worker: Worker, group: Group): Promise<void> {
  const product = run.scenario.products.find(({ id }) => id === group.product)!
  const dimension = product.dimensions.find(({ key }) => key === group.dimension)!
  if (!run.calm || product.pricing === 'contract' || dimension.holdAbove !== undefined) return
  for (const meter of group.meters) {
    const { subscription } = meter
    const { accessStart, plan } = await worker.subscriptions.get(subscription)
    const grants = run.grants.filter((grant) => grant.subscription === subscription)
    // No answer came before the end: its hours could not wait for one.
    if (product.pricing !== 'usage' && grants.length === 0) continue
    const buckets = await worker.usage.listBuckets({ subscription, dimension: dimension.key, limit: 100_000 })
    const used = buckets.items.filter(({ status, quantity }) => status === 'closed' && quantity > 0n)
    const expected = includedOf({
      product,
      dimension: dimension.key,
      unit: dimension.unitSize * 10n ** BigInt(dimension.scale),
      accessStart,
      firstPlan: group.account.endsWith('1') ? product.plans[0]?.id : undefined,
      grants,
      hours: used.map(({ hour, quantity }) => ({ hour, quantity })).sort((a, b) => a.hour - b.hour),
    })
    if (expected !== meter.balances.included)
      throw new Error(
        `${subscription}/${dimension.key} (plan ${plan}): ${meter.balances.included} included, expected ${expected}`,
      )
  }
}

function includedOf(given: {
  readonly product: Product
  readonly dimension: string
  readonly unit: bigint
  readonly accessStart: number
  readonly firstPlan: string | undefined
  readonly grants: readonly Grant[]
  readonly hours: readonly { readonly hour: number; readonly quantity: bigint }[]
}): bigint {
  // What AWS says first holds for all that came before.
  const [first] = given.grants
  let plan = first === undefined ? given.firstPlan : planAfter(given.product, given.firstPlan, first)
  let seats = first?.seats ?? 0
  const grants = [...given.grants.slice(1)]
  const rule = () => given.product.plans.find(({ id }) => id === plan)?.included[0]
  const unitsNow = () => {
    const now = rule()
    if (now === undefined || now.dimension !== given.dimension) return 0n
    return now.units * (now.per === undefined ? 1n : BigInt(seats))
  }
  let reset = rule()?.reset
  let period = ''
  let allowed = 0n
  const usedUp = new Map<string, bigint>()
  let included = 0n
  const last = given.hours.at(-1)?.hour ?? 0
  const usedIn = new Map(given.hours.map(({ hour, quantity }) => [hour, quantity]))
  for (let hour = Math.floor(given.accessStart / HOUR_MS) - 1; hour <= last; hour++) {
    const current: Grant[] = []
    while (grants[0] !== undefined && grants[0].at < (hour + 1) * HOUR_MS) current.push(grants.shift()!)
    // Where an hour has two plans, the last one's reset counts; it may make another period of it.
    const before = { plan, seats }
    const rules = [rule()]
    for (const grant of current) {
      plan = planAfter(given.product, plan, grant)
      rules.push(rule())
    }
    reset = rules.findLast((found) => found?.dimension === given.dimension)?.reset
    plan = before.plan
    const name = periodName(reset, given.accessStart, hour * HOUR_MS)
    if (name !== period) allowed = 0n
    period = name
    if (unitsNow() === 0n) allowed = 0n
    if (unitsNow() > allowed) allowed = unitsNow()
    for (const [index, grant] of current.entries()) {
      const next = current[index + 1]
      plan = planAfter(given.product, plan, grant)
      seats = grant.seats
      // Of several in one instant the last one counts.
      if (next?.at !== grant.at && unitsNow() > allowed) allowed = unitsNow()
    }
    const quantity = usedIn.get(hour) ?? 0n
    const left = allowed * given.unit - (usedUp.get(period) ?? 0n)
    const taken = left <= 0n ? 0n : left < quantity ? left : quantity
    usedUp.set(period, (usedUp.get(period) ?? 0n) + taken)
    included += taken
  }
  return included
}

function planAfter(product: Product, plan: string | undefined, grant: Grant): string | undefined {
  const isSold = product.plans.some(({ id }) => id === 'enterprise')
  if (isSold && grant.isEnterprise) return 'enterprise'
  return plan === 'enterprise' ? undefined : plan
}

function periodName(reset: IncludedReset | undefined, accessStart: number, time: number): string {
  if (reset === undefined || reset === 'term') return `${reset}`
  const [date, start] = [new Date(time), new Date(accessStart)]
  let month = date.getUTCFullYear() * 12 + date.getUTCMonth()
  if (reset === 'anniversary') {
    const days = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
    if (date.getUTCDate() < Math.min(start.getUTCDate(), days)) month--
  }
  return `${reset} ${month}`
}

function tell(records: readonly UsageRecord[], { product, dimension }: Group): string {
  return records
    .filter(
      (record) => record.product === product && record.dimension === dimension && record.state !== 'accepted',
    )
    .map((record) => `${keyOf(record)} ${record.quantity} ${record.state}: ${record.note}`)
    .join('; ')
}

/** A person said that AWS does not have a record that was in doubt. */
function resolved(records: readonly UsageRecord[], group: Group): boolean {
  return records.some(
    (record) =>
      record.dimension === group.dimension &&
      record.state === 'refused' &&
      record.note?.startsWith('resolved') === true,
  )
}

/** AWS's tags add up to the events' tags, where nothing else took a share. */
function checkTags(run: Run, group: Group, unit: bigint, subscriptions: ReadonlySet<string>): void {
  if (!run.expected.isKnown(group.product, group.account, group.dimension)) return
  const { tags, aggregation } = run.expected.of(group.product, group.account, group.dimension)
  if ((aggregation !== 'sum' && aggregation !== 'count') || group.meters.length !== 1) return
  const others = ['included', 'waived', 'refused', 'conflict', 'forgiven', 'assumed'] as const
  if (others.some((account) => total(group, account) !== 0n) || total(group, 'carry') >= unit) return
  const billed = new Map<string, bigint>()
  for (const row of run.world.simulator.marketplace.ledger().records) {
    if (row.dimension !== group.dimension || !subscriptions.has(row.subscriptionId)) continue
    if (run.foreign.has(row.meteringRecordId)) return
    const split = row.allocations ?? [{ AllocatedUsageQuantity: row.quantity }]
    for (const { AllocatedUsageQuantity, Tags = [] } of split) {
      const key = JSON.stringify(Tags.map(({ Key, Value }) => [Key, Value]).sort())
      billed.set(key, (billed.get(key) ?? 0n) + BigInt(AllocatedUsageQuantity) * unit)
    }
  }
  for (const key of new Set([...billed.keys(), ...tags.keys()])) {
    const difference = (billed.get(key) ?? 0n) - (tags.get(key) ?? 0n)
    const size = difference < 0n ? -difference : difference
    if (size > 2n * unit)
      throw new Error(`${group.dimension}: tags ${key} were used ${tags.get(key)}, billed ${billed.get(key)}`)
  }
}
