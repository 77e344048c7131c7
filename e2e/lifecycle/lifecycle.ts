import type { Product } from '../../packages/server/src/domain/products/product.ts'
import { createProductCatalog, USAGE_PRODUCT } from '../../packages/server/src/domain/products/product.ts'
import { decideSuccessor } from '../../packages/server/src/domain/subscriptions/decide.ts'
import { lookAfterSubscriptions } from '../../packages/server/src/domain/subscriptions/look-after.ts'
import { readMessage } from '../../packages/server/src/domain/subscriptions/read-notification.ts'
import { createReceiveEvent } from '../../packages/server/src/domain/subscriptions/receive-event.ts'
import { createRegisterBuyer } from '../../packages/server/src/domain/subscriptions/register-buyer.ts'
import {
  isLive,
  licenseTail,
  type Subscription,
} from '../../packages/server/src/domain/subscriptions/subscription.ts'
import { auditUsage } from '../../packages/server/src/domain/usage/audit-usage.ts'
import { closeDueBuckets } from '../../packages/server/src/domain/usage/close-due-buckets.ts'
import { createIngestUsage } from '../../packages/server/src/domain/usage/ingest-usage.ts'
import type { ResolvedCustomer } from '../../packages/server/src/domain/usage/metering-service.ts'
import { submitDueRecords } from '../../packages/server/src/domain/usage/submit-due-records.ts'
import { aDimension } from '../../packages/server/src/storage/contract/fixtures.ts'
import { createSqlBuyerCaseStore } from '../../packages/server/src/storage/sql/buyer-case-store.ts'
import { migrate } from '../../packages/server/src/storage/sql/migrations.ts'
import { openSqlite } from '../../packages/server/src/storage/sql/sqlite.ts'
import { createSqliteUsageStore } from '../../packages/server/src/storage/sql/sqlite-stores.ts'
import { createSqlSubscriptionStore } from '../../packages/server/src/storage/sql/subscription-store.ts'
import {
  type Subscription as AwsSubscription,
  createSimulator,
  createVirtualClock,
  type Notification,
} from '../../packages/simulator/src/index.ts'
import { createLife, mortalSqlite } from '../simulation/life.ts'
import { createRandom, type Random } from '../simulation/random.ts'
import { createSimulatedMetering } from '../simulation/simulated-metering.ts'
import { isCrash } from '../simulation/world.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const START = Date.UTC(2026, 10, 10, 8, 30)
const STEPS = 60

/** What is said of one life of a product, its buyers and AWS. */
export interface LifecycleResult {
  readonly seed: number
  readonly trace: readonly string[]
  readonly error: Error | undefined
  readonly notifications: number
  readonly crashes: number
}

/**
 * Plays buyers who subscribe, register, renew, replace, cancel and come back, in any order, while AWS's notifications
 * come late, twice, out of order and before the registration, and the process dies between any two steps. In the end
 * everybody's access must be what AWS says, and every unit billed where it was used.
 */
export async function playLifecycle(seed: number): Promise<LifecycleResult> {
  const random = createRandom(seed)
  const trace: string[] = []
  const world = await createWorld(random, seed, trace)
  let error: Error | undefined
  try {
    for (let step = 0; step < STEPS; step++) {
      await world.step()
      await world.checkAlways()
    }
    await world.settle()
    await world.checkAlways()
    await world.checkEnd()
  } catch (thrown) {
    error = thrown instanceof Error ? thrown : new Error(String(thrown))
  } finally {
    await world.dispose()
  }
  return { seed, trace, error, ...world.counts() }
}

interface Waiting {
  readonly notification: Notification
  readonly id: string
  readonly due: number
}

async function createWorld(random: Random, seed: number, trace: string[]) {
  const metering = random.chance(0.7) ? 'license' : 'legacy'
  const product: Product = {
    ...USAGE_PRODUCT,
    id: 'product',
    title: 'Product',
    productCode: 'code0of0a0product00000000',
    metering,
    region: 'us-east-1',
    listing: 'product',
    graceMs: 15 * MINUTE,
    goodbyeSettleMs: 10 * MINUTE,
    plans: [],
    dimensions: [aDimension()],
  }
  const virtual = createVirtualClock({ start: START, running: false })
  const clock = { now: () => virtual.now(), sleep: async (ms: number) => virtual.advance(Math.ceil(ms)) }
  const simulator = await createSimulator({
    clock: virtual,
    seed,
    products: [
      {
        productCode: product.productCode,
        title: 'Product',
        metering,
        pricing: 'usage',
        fulfillmentUrl: 'http://127.0.0.1:4000/marketplace/register/product',
        dimensions: [{ key: 'requests' }],
      },
    ],
    settings: {
      licenseOnRenewal: random.chance(0.8) ? 'new' : 'kept',
      previousAgreementIdInEvents: random.chance(0.6),
      successionOrder: random.pick(['interleaved', 'oldFirst', 'newFirst'] as const),
      licenseDelayMs: random.pick([0, 72_000, 10 * MINUTE]),
    },
  })
  const { marketplace } = simulator
  const database = openSqlite(':memory:')
  await migrate(database)
  const catalog = createProductCatalog([product])
  const wire = { sent: new Map<string, string>(), keys: new Map<string, string>() }
  let crashes = 0
  let crashing = random.chance(0.7)
  const lateness = random.pick([0, 5 * MINUTE, 3 * HOUR])

  /** One process of ours. */
  function start() {
    const life = createLife(async () => {})
    const mortal = mortalSqlite(database, life)
    const usage = createSqliteUsageStore(mortal)
    const subscriptions = createSqlSubscriptionStore(mortal)
    const cases = createSqlBuyerCaseStore(mortal)
    const aws = createSimulatedMetering({ simulator, life, wire, timeoutMs: 2_000, refused: () => false })
    const deps = { usage, subscriptions, catalog }
    const limits = { acceptBackMs: 7 * 24 * HOUR, acceptAheadMs: 5 * MINUTE }
    return {
      life,
      usage,
      subscriptions,
      cases,
      ingest: createIngestUsage({ ...deps, clock, limits }),
      receive: createReceiveEvent({ cases, catalog, clock }),
      register: createRegisterBuyer({ metering: { resolveCustomer }, cases, catalog, clock }),
      async jobs() {
        await lookAfterSubscriptions({ cases, usage, catalog }, clock.now())
        await closeDueBuckets(deps, clock.now())
        await submitDueRecords({ usage, metering: aws, clock, timeoutMs: 2_000 })
      },
    }
  }
  let process = start()

  async function resolveCustomer(region: string, token: string): Promise<ResolvedCustomer> {
    const reply = await simulator.handleAws({
      target: 'AWSMPMeteringService.ResolveCustomer',
      body: JSON.stringify({ RegistrationToken: token }),
      region,
    })
    if (reply.kind === 'cut' || reply.status !== 200) throw new Error('the token does not resolve')
    const answer = JSON.parse(String(reply.body)) as Record<string, string | undefined>
    return {
      productCode: answer.ProductCode!,
      customerAwsAccountId: answer.CustomerAWSAccountId,
      customerIdentifier: answer.CustomerIdentifier,
      licenseArn: answer.LicenseArn,
    }
  }

  const log = (text: string) => trace.push(`${new Date(clock.now()).toISOString()} ${text}`)

  /** A step that the process may die in; whoever asked asks again. */
  async function surely<T>(what: string, work: () => Promise<T>): Promise<T> {
    log(what)
    for (;;) {
      if (crashing && random.chance(0.2)) process.life.arm(random.int(0, 6))
      try {
        return await work()
      } catch (error) {
        if (!isCrash(error)) throw error
        crashes++
        log('the process died')
        process = start()
      } finally {
        process.life.disarm()
      }
    }
  }

  // --- what AWS sends ---

  const seen = new Set<string>()
  let waiting: Waiting[] = []
  let sent = 0

  function collect(): void {
    for (const notification of marketplace.notifications()) {
      const id = idOf(notification)
      if (seen.has(id)) continue
      seen.add(id)
      const times = random.chance(0.25) ? 2 : 1
      for (let time = 0; time < times; time++)
        waiting.push({ notification, id, due: notification.at + random.int(0, lateness) })
    }
  }

  async function deliver(all = false): Promise<void> {
    collect()
    const due = waiting.filter((item) => all || item.due <= clock.now())
    waiting = waiting.filter((item) => !due.includes(item))
    while (due.length > 0) {
      const [item] = due.splice(random.int(0, due.length - 1), 1)
      await tell(item!)
    }
  }

  async function tell({ notification, id }: Waiting): Promise<void> {
    const event = read(notification, id)
    sent++
    const { state } = await surely(
      `AWS tells ${event.name} of ${event.agreementId ?? event.customerIdentifier}`,
      () => process.receive(event),
    )
    log(`  → ${state}`)
  }

  /** What is asked of the Agreement API every hour: its answers name product and license. */
  async function sync(): Promise<void> {
    if (metering === 'legacy') return
    for (const aws of all()) {
      const about = {
        channel: 'agreements' as const,
        agreementId: aws.agreementId,
        productCode: aws.productCode,
        customerAwsAccountId: aws.accountId,
        licenseArn: aws.licenseArn,
        payload: '{}',
      }
      const { endedAt, reason } = aws.end ?? {}
      const hasEnded = endedAt !== undefined && endedAt <= clock.now()
      await process.receive({
        ...about,
        id: `${aws.agreementId} created`,
        kind: 'agreement_created',
        name: 'ACTIVE',
        occurredAt: aws.acceptedAt,
        intent: aws.intent,
        startsAt: aws.startAt,
      })
      if (hasEnded)
        await process.receive({
          ...about,
          id: `${aws.agreementId} ${reason}`,
          kind: 'agreement_ended',
          name: reason!,
          occurredAt: endedAt,
          agreementStatus: reason!,
        })
    }
  }

  // --- what buyers do ---

  const accounts = ['782858285001', '782858285002']
  const registered = new Set<string>()
  const all = () => marketplace.listSubscriptions()
  const lives = () => all().filter(({ end }) => end === undefined || clock.now() < end.endedAt)

  function subscribe(account: string): void {
    const theirs = lives().filter(({ accountId }) => accountId === account)
    if (theirs.length >= (metering === 'legacy' ? 1 : 2)) return
    // AWS tells a legacy customer's leaving before it tells that they are back.
    const left = all().filter(({ accountId, end }) => accountId === account && end !== undefined)
    if (metering === 'legacy' && left.some(({ end }) => clock.now() < end!.deprovisionedAt + MINUTE)) return
    const { id } = marketplace.subscribe({ productCode: product.productCode, accountId: account })
    log(`buyer ${account} subscribes: ${id}`)
  }

  async function register(aws: AwsSubscription): Promise<void> {
    const token = marketplace.setUpAccount(aws.id)
    const result = await surely(`buyer ${aws.accountId} registers ${aws.id}`, () =>
      process.register('product', token).catch((error: { code?: string }) => {
        if (error.code === 'subscription.ended') return undefined
        throw error
      }),
    )
    log(`  → ${result?.subscription.id} ${result?.subscription.status} ${result?.created}`)
    if (result === undefined) return
    registered.add(aws.id)
    const { id, tenantId } = result.subscription
    if (tenantId === undefined)
      await surely(`the seller names ${id}`, () =>
        process.subscriptions.change(id, () => ({ tenantId: `tenant-${aws.id}` }), 'seller', clock.now()),
      )
  }

  // --- usage, as the product reports it: by its own name for the buyer ---

  let number = 0
  let accepted = 0
  async function use(): Promise<void> {
    const rows = await process.subscriptions.list({ limit: 1000 })
    const live = rows.filter((row) => isLive(row) && row.status === 'active')
    if (live.length === 0) return
    const { id } = random.pick(live)
    const quantity = random.int(1, 50)
    const report = {
      reference: { subscriptionId: id },
      dimension: 'requests',
      id: `use-${++number}`,
      time: clock.now(),
      quantity,
    }
    const [outcome] = await surely(`${id} uses ${quantity}`, () => process.ingest([report]))
    log(`  → ${outcome!.status} ${outcome!.code ?? ''}`)
    // A process that died after it had counted is asked again, and says that it knows.
    if (['accepted', 'late', 'duplicate'].includes(outcome!.status)) accepted += quantity
    else if (outcome!.code !== 'subscription_ended' && outcome!.code !== 'before_access')
      throw new Error(`usage of ${id} is ${outcome!.status}: ${outcome!.reason}`)
  }

  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 10 * MINUTE) {
      virtual.advance(Math.min(left, 10 * MINUTE))
      await deliver()
      await surely('jobs', () => process.jobs())
    }
  }

  async function step(): Promise<void> {
    const kind = random.weighted({
      subscribe: 1.5,
      register: 4,
      cancel: 1,
      renew: metering === 'license' ? 1.2 : 0,
      replace: metering === 'license' ? 0.6 : 0,
      deliver: 3,
      use: 8,
      pass: 6,
    })
    const pickLive = () => {
      const live = lives()
      return live.length === 0 ? undefined : random.pick(live)
    }
    switch (kind) {
      case 'subscribe':
        return subscribe(random.pick(accounts))
      case 'register': {
        const aws = pickLive()
        return aws && register(aws)
      }
      case 'cancel': {
        const aws = pickLive()
        if (aws !== undefined) {
          marketplace.cancel(aws.id)
          log(`buyer ${aws.accountId} cancels ${aws.id}`)
        }
        return
      }
      case 'renew':
      case 'replace': {
        const aws = pickLive()
        // An agreement that lives for a moment can only be told apart from its renewal by a person.
        if (aws === undefined || clock.now() < aws.licensedAt + 20 * MINUTE) return
        const next = marketplace[kind](aws.id)
        log(`AWS: ${kind} ${aws.id} (${aws.agreementId}) by ${next.id} (${next.agreementId})`)
        return
      }
      case 'deliver':
        return deliver()
      case 'use':
        return use()
      case 'pass':
        return pass(random.int(1, 100) * MINUTE)
    }
  }

  /** AWS has told everything, buyers have registered, a person has chosen what was unclear, time has gone by. */
  async function settle(): Promise<void> {
    log('everything is told')
    crashing = false
    await pass(2 * HOUR)
    await deliver(true)
    for (const aws of lives()) await register(aws)
    await deliver(true)
    await sync()
    for (let round = 0; round < 20 && (await chooseSuccessor()); round++);
    await pass(30 * HOUR)
    await resolveDoubts()
  }

  /** A process that died while AWS took its last records does not know; a person looks at AWS's bill. */
  async function resolveDoubts(): Promise<void> {
    for (const record of (await process.usage.listRecords({ state: 'in_doubt', limit: 1_000 })).items) {
      const taken = marketplace
        .ledger()
        .records.some(
          (row) =>
            row.hourStart === record.hour * HOUR &&
            (record.identity.kind === 'license'
              ? licenseTail(row.licenseArn ?? '') === licenseTail(record.identity.licenseArn)
              : row.customerIdentifier === record.identity.customerIdentifier),
        )
      await process.usage.resolve(record.id, taken ? 'accepted' : 'refused', 'person', clock.now())
    }
  }

  let chosen = 0
  /** A person knows which agreement followed which. */
  async function chooseSuccessor(): Promise<boolean> {
    const alarms = await process.usage.listAlarms(100)
    const subject = alarms.find(({ kind }) => kind === 'successor_unclear')?.subject
    if (subject === undefined) return false
    const rows = await process.subscriptions.list({ limit: 1000 })
    // The alarm may be of the one that goes on without a license.
    const row = rows.find(({ successor }) => successor === subject) ?? rows.find(({ id }) => id === subject)!
    const before = all().find(({ agreementId }) => agreementId === row.agreementId)
    const after = all().find(({ id }) => id === before?.succeededBy)
    if (after === undefined) throw new Error(`nobody knows who succeeds ${subject}`)
    chosen++
    await surely(`a person says that ${after.agreementId} succeeds ${subject}`, () =>
      process.cases.settleOf(
        subject,
        (buyerCase) => decideSuccessor(buyerCase, subject, after.agreementId, clock.now()),
        'person',
        clock.now(),
      ),
    )
    return true
  }

  // --- what must hold ---

  /** After every step: no license lives twice, and the books balance. */
  async function checkAlways(): Promise<void> {
    const rows = await process.subscriptions.list({ limit: 1000 })
    const keys = rows.filter(isLive).flatMap((row) => row.licenseArn ?? row.customerIdentifier ?? [])
    if (new Set(keys).size < keys.length) throw new Error('two subscriptions live under one license')
    const audit = await auditUsage(process.usage)
    if (!audit.balanced) throw new Error(`the audit is not balanced: ${JSON.stringify(audit.discrepancies)}`)
  }

  async function checkEnd(): Promise<void> {
    const rows = (await process.subscriptions.list({ limit: 1000 })).toReversed()
    for (const aws of all()) checkAccess(aws, rows)
    checkTenants(rows)
    await checkBill(rows)
    await checkRepeat(rows)
  }

  /** Whoever AWS says may use it may, and nobody else. */
  function checkAccess(aws: AwsSubscription, rows: readonly Subscription[]): void {
    const followers = rows.filter((row) => isFollower(row, aws))
    const live = followers.filter(({ status }) => status === 'active')
    const mayUse = aws.state === 'licensed'
    if (mayUse && live.length !== 1)
      throw new Error(
        `${aws.id} (${aws.agreementId}) is licensed, and ${live.length} subscriptions are active`,
      )
    if (!mayUse && aws.licenseArn !== undefined && !isKept(aws) && live.length > 0)
      throw new Error(`${aws.id} is ${aws.state}, and ${live[0]!.id} is active`)
    const open = rows.find(({ status }) => status === 'cancelling')
    if (open !== undefined) throw new Error(`${open.id} is still cancelling`)
  }

  /** The same license lives on under another agreement. */
  const isKept = (aws: AwsSubscription) =>
    all().some(
      ({ id, licenseArn, state }) => id !== aws.id && licenseArn === aws.licenseArn && state === 'licensed',
    )

  function isFollower(row: Subscription, aws: AwsSubscription): boolean {
    if (aws.licenseArn === undefined) {
      const newest = all().findLast(({ accountId }) => accountId === aws.accountId)
      return row.customerIdentifier === aws.customerIdentifier && newest?.id === aws.id
    }
    if (row.agreementId !== undefined) return row.agreementId === aws.agreementId
    return row.licenseArn !== undefined && licenseTail(row.licenseArn) === licenseTail(aws.licenseArn)
  }

  /** A renewal is the same tenant. */
  function checkTenants(rows: readonly Subscription[]): void {
    for (const row of rows) {
      const heir = rows.find(({ id }) => id === row.successor)
      if (heir === undefined || row.tenantId === undefined) continue
      const chosen = heir.tenantId?.replace('tenant-', '')
      const ownName = all().find(({ id }) => id === chosen)
      if (heir.tenantId !== row.tenantId && (ownName === undefined || !registered.has(ownName.id)))
        throw new Error(`${heir.id} succeeds ${row.id} as another tenant`)
      if (heir.buyer !== row.buyer) throw new Error(`${heir.id} succeeds ${row.id} as another buyer`)
    }
  }

  /** Every unit that was taken is billed under an agreement of its buyer's, or is shown as what could not be billed. */
  async function checkBill(rows: readonly Subscription[]): Promise<void> {
    const billed = marketplace.ledger().records.reduce((total, { quantity }) => total + quantity, 0)
    const records = (await process.usage.listRecords({ limit: 10_000 })).items
    const own = records
      .filter(({ state }) => state === 'accepted' || state === 'assumed')
      .reduce((total, { quantity }) => total + quantity, 0)
    if (own !== billed) throw new Error(`AWS bills ${billed}, the ledger says ${own}`)
    let refused = 0n
    let waiting = 0n
    await process.usage.audit((page) => {
      for (const { balances } of page) {
        refused += balances.refused
        waiting +=
          balances.open + balances.held + balances.ready + balances.sent + balances.in_doubt + balances.carry
      }
    })
    if (waiting !== 0n) throw new Error(`${waiting} still wait: ${await tellWaiting()}`)
    if (BigInt(billed) + refused !== BigInt(accepted))
      throw new Error(`${accepted} were taken, ${billed} are billed and ${refused} refused`)
    // Where AWS's word is never late, nothing that was taken is lost.
    if (lateness === 0 && chosen === 0 && refused > 0n && rows.every(({ status }) => status !== 'failed'))
      throw new Error(`${refused} were refused though AWS told everything at once`)
  }

  async function tellWaiting(): Promise<string> {
    const told: string[] = []
    await process.usage.audit((page) => {
      for (const { subscription, balances } of page) {
        const waiting = Object.entries(balances).filter(
          ([account, amount]) =>
            ['open', 'held', 'ready', 'sent', 'in_doubt', 'carry'].includes(account) && amount !== 0n,
        )
        if (waiting.length > 0) told.push(`${subscription}: ${waiting.join(' ')}`)
      }
    })
    for (const { subscription, state, hour, note } of (await process.usage.listRecords({ limit: 10_000 }))
      .items)
      if (state !== 'accepted')
        told.push(`${subscription} ${new Date(hour * HOUR).toISOString()} ${state} ${note}`)
    return told.join('; ')
  }

  /** Told all over again, nothing changes. */
  async function checkRepeat(rows: readonly Subscription[]): Promise<void> {
    for (const notification of marketplace.notifications()) {
      const id = idOf(notification)
      const { state } = await process.receive(read(notification, id))
      if (state !== 'known') throw new Error(`${id} is told again and is ${state}`)
      await process.receive({ ...read(notification, id), id: `${id} in other words` })
    }
    const after = (await process.subscriptions.list({ limit: 1000 })).toReversed()
    if (JSON.stringify(after) !== JSON.stringify(rows)) throw new Error('told again, subscriptions changed')
  }

  return {
    step,
    settle,
    checkAlways,
    checkEnd,
    counts: () => ({ notifications: sent, crashes }),
    async dispose() {
      database.close()
      await simulator.close()
    },
  }
}

/** EventBridge events have an id of their own; an SNS message is told by its place in AWS's log. */
function idOf({ payload, at, subscriptionId }: Notification): string {
  const { id, message } = payload as { id?: string; message?: { action?: string } }
  return id ?? `${subscriptionId} ${message?.action} ${at}`
}

function read(notification: Notification, id: string) {
  const { message } = notification.payload as { message?: object }
  return readMessage(JSON.stringify(message ?? notification.payload), {
    id,
    at: notification.at,
    channel: notification.channel,
  })
}
