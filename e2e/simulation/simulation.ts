import { takeAnswer } from '../../packages/server/src/domain/entitlements/take-answer.ts'
import type { Dimension, Product } from '../../packages/server/src/domain/products/product.ts'
import { endSubscription } from '../../packages/server/src/domain/subscriptions/end-subscription.ts'
import {
  newSubscription,
  type Subscription,
  type SubscriptionReference,
} from '../../packages/server/src/domain/subscriptions/subscription.ts'
import { decideHold } from '../../packages/server/src/domain/usage/decide-hold.ts'
import type { IngestOutcome, UsageReport } from '../../packages/server/src/domain/usage/ingest-usage.ts'
import type { FaultOrder } from '../../packages/simulator/src/index.ts'
import { checkBill, checkStep } from './checks.ts'
import { type Answer, createExpectedUsage, type DeliveredEvent } from './expected-usage.ts'
import { createRandom } from './random.ts'
import type { Deal, Run, Trouble } from './run-state.ts'
import { createScenario, ENTERPRISE, SEATS } from './scenario.ts'
import { createWorld, isCrash, type Worker } from './world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
/** After the last fault, this long is enough for every hour to close and every record to end. */
const SETTLE_HOURS = 48

export interface RunResult {
  readonly seed: number
  readonly trace: readonly string[]
  /** What went wrong, or undefined. */
  readonly error: Error | undefined
  readonly events: number
  readonly records: number
  readonly crashes: number
}

interface Delivery {
  readonly deal: Deal
  readonly report: UsageReport
  readonly event: DeliveredEvent
}

interface News {
  readonly at: number
  readonly what: string
  tell(worker: Worker): Promise<void>
}

/**
 * Plays one run. Never throws: what went wrong is in the result.
 *
 * @param store - see `createSharedLedger`
 */
export async function simulate(seed: number, trouble?: Partial<Trouble>, store?: string): Promise<RunResult> {
  const random = createRandom(seed)
  const scenario = createScenario(random)
  const calm = random.chance(0.25)
  const trace: string[] = []
  const world = await createWorld(scenario, seed, createRandom(seed ^ 0x5bd1e995), store)
  const run: Run = {
    scenario,
    world,
    random,
    trouble: { crashes: !calm, faults: !calm, jumps: !calm, ...trouble },
    expected: createExpectedUsage(),
    deals: [],
    grants: [],
    foreign: new Set(),
    trace,
    calm: calm || (trouble?.crashes === false && trouble.faults === false && trouble.jumps === false),
  }
  const isSlow = store?.startsWith('dynamodb:') === true
  const player = createPlayer(run, isSlow ? Math.ceil(scenario.steps / 3) : scenario.steps)
  let error: Error | undefined
  let records = 0
  try {
    await player.play()
    records = (await world.workers[0]!.usage.listRecords({ limit: 100_000 })).items.length
  } catch (thrown) {
    error = thrown instanceof Error ? thrown : new Error(String(thrown))
  } finally {
    await world.dispose()
  }
  return { seed, trace, error, records, ...player.counts() }
}

/** @param steps - before all trouble ends; where each takes many round trips, fewer */
function createPlayer(run: Run, steps: number) {
  const { scenario, world, random, trouble, expected, deals, trace } = run
  const { simulator, clock } = world
  const marketplace = simulator.marketplace
  const news: News[] = []
  const delivered: Delivery[] = []
  let retries: Delivery[] = []
  let number = 0
  let lineages = 0
  let crashes = 0
  let busy = false

  const log = (text: string) => trace.push(`${new Date(clock.now()).toISOString()} ${text}`)

  /** Runs a step of a process that may die in it. @returns whether it lived */
  async function alive(
    worker: Worker,
    what: string,
    step: (worker: Worker) => Promise<unknown>,
  ): Promise<boolean> {
    log(`${worker.name}: ${what}`)
    try {
      await step(worker)
      return true
    } catch (error) {
      if (!isCrash(error)) throw error
      crashes++
      log(`${worker.name} died`)
      await world.revive(worker)
      return false
    }
  }

  world.meanwhile = async (worker) => {
    if (busy || worker === undefined || !random.chance(0.03)) return
    busy = true
    try {
      const other = world.workers.find(({ name }) => name !== worker.name)!
      await random.pick([
        () => ingestSome(other),
        () => job(other, 'close'),
        () => job(other, 'submit'),
        () => tellNews(other),
      ])()
    } finally {
      busy = false
    }
  }

  const anyWorker = () => random.pick(world.workers)
  const job = (worker: Worker, name: 'close' | 'silence' | 'submit') =>
    alive(worker, name, (living) => living[name]())

  // --- usage ---

  async function ingestSome(worker: Worker): Promise<void> {
    const batch: Delivery[] = []
    for (const retry of retries) batch.push(retry)
    retries = []
    const known = deals.filter(({ id, isLinked }) => id !== undefined && isLinked)
    if (known.length > 0) {
      for (let left = random.int(1, 8); left > 0; left--) batch.push(createDelivery(random.pick(known)))
    }
    if (batch.length === 0) return
    let outcomes: readonly IngestOutcome[] = []
    const lived = await alive(
      worker,
      `ingest ${batch.map(({ event }) => describe(event)).join(', ')}`,
      async (living) => {
        outcomes = await living.ingest(batch.map(({ report }) => report))
      },
    )
    if (!lived) {
      for (const { event } of batch) expected.doubt(event)
      retries.push(...batch)
      return
    }
    log(`  → ${outcomes.map(({ status, code }) => code ?? status).join(', ')}`)
    for (const [index, outcome] of outcomes.entries()) judge(batch[index]!, outcome)
  }

  function judge(delivery: Delivery, outcome: IngestOutcome): void {
    const { event, report } = delivery
    const answer: Answer =
      outcome.status !== 'refused'
        ? outcome.status
        : outcome.code === 'subscription_ended' || outcome.code === 'before_access'
          ? 'unbillable'
          : 'refused'
    if (outcome.code === 'time_ahead') retries.push(delivery)
    // Its first answer was lost, and it is too late to ask again: nobody but the ledger knows.
    if (outcome.code === 'time_too_old') expected.giveUp(event)
    if (answer === 'refused') {
      const mayBe = ['time_too_old', 'time_ahead', 'subscription_ambiguous']
      if (!mayBe.includes(outcome.code ?? '')) throw new Error(`${event.id} was refused: ${outcome.reason}`)
      if (outcome.code === 'subscription_ambiguous' && report.reference.subscriptionId !== undefined)
        throw new Error(`${event.id} names its subscription and is told to be ambiguous`)
    }
    if (answer === 'unbillable') {
      const own = deals.filter(
        ({ account, product }) => account === event.account && product === event.product,
      )
      if (run.calm && own.length === 1 && !own[0]!.ended && outcome.code === 'subscription_ended')
        throw new Error(`${event.id} is told to be unbillable, and its buyer never left`)
    }
    expected.told(event, answer)
    if (answer !== 'refused') delivered.push(delivery)
  }

  function createDelivery(deal: Deal): Delivery {
    const kind = random.next()
    if (delivered.length > 0 && kind < 0.2) return repeat(random.pick(delivered.slice(-60)))
    const product = productOf(deal.product)
    const dimension = random.pick(product.dimensions)
    const time = eventTime(deal)
    return toDelivery(deal, dimension, {
      id: `e${++number}`,
      source: random.chance(0.7) ? '' : random.pick(['eu', 'us']),
      time,
      ...amountOf(dimension),
      tags: tagsOf(dimension),
    })
  }

  /** The same again, stamped anew, or with other content. */
  function repeat(before: Delivery): Delivery {
    const kind = random.next()
    if (kind < 0.6) return before
    const { deal } = before
    const dimension = productOf(deal.product).dimensions.find(({ key }) => key === before.event.dimension)!
    const { id, source, time } = before.event
    const same = { id, source, value: before.report.value, base: before.event.base, tags: before.report.tags }
    // Ids are kept for eight days.
    if (kind < 0.8 && time > clock.now() - 6 * 24 * HOUR_MS)
      return toDelivery(deal, dimension, { ...same, time: clock.now() - random.int(0, HOUR_MS) })
    return toDelivery(deal, dimension, { ...same, time, ...amountOf(dimension) })
  }

  function eventTime(deal: Deal): number {
    const now = clock.now()
    const start = marketplace.getSubscription(deal.aws).startAt
    switch (random.weighted({ now: 10, recent: 4, late: 2, day: 1, old: 0.3, ahead: 0.7, edge: 0.7 })) {
      case 'now':
        return now - random.int(0, 5 * MINUTE_MS)
      case 'recent':
        return now - random.int(0, 2 * HOUR_MS)
      case 'late':
        return now - random.int(0, 26 * HOUR_MS)
      case 'day':
        return now - random.int(0, 6 * 24 * HOUR_MS)
      case 'old':
        return now - random.int(6 * 24, 9 * 24) * HOUR_MS
      case 'ahead':
        return now + random.int(0, 6 * MINUTE_MS)
      case 'edge':
        return start + random.int(-5 * MINUTE_MS, 5 * MINUTE_MS)
    }
  }

  function amountOf(dimension: Dimension): { base: bigint; value: string | undefined } {
    const unit = dimension.unitSize * 10n ** BigInt(dimension.scale)
    if (dimension.aggregation === 'unique') return { base: 0n, value: `user-${random.int(1, 6)}` }
    if (dimension.aggregation === 'count') return { base: 0n, value: undefined }
    if (dimension.aggregation === 'total') {
      const grown = (BigInt(number + 1) * unit) / 3n
      return { base: random.chance(0.9) ? grown : grown / 2n, value: undefined }
    }
    const huge = random.chance(0.01) ? 3_000_000_000n * unit : 0n
    const most = 999_999_999_999_999n
    const base = huge + (BigInt(random.int(0, 400)) * unit) / 100n
    return { base: base > most ? most : base, value: undefined }
  }

  function tagsOf(dimension: Dimension): Record<string, string> | undefined {
    if (dimension.aggregation !== 'sum' && dimension.aggregation !== 'count') return undefined
    if (random.chance(0.6)) return undefined
    const tags: Record<string, string> = { team: random.pick(['a', 'b', 'c']) }
    if (random.chance(0.3)) tags.env = random.pick(['dev', 'live'])
    return tags
  }

  function toDelivery(
    deal: Deal,
    dimension: Dimension,
    it: {
      id: string
      source: string
      time: number
      base: bigint
      value: string | undefined
      tags: UsageReport['tags']
    },
  ): Delivery {
    const { aggregation, per, scale } = dimension
    const event: DeliveredEvent = {
      product: deal.product,
      dimension: dimension.key,
      aggregation,
      per,
      one: 10n ** BigInt(scale),
      account: deal.account,
      lineage: aggregation === 'sum' || aggregation === 'count' ? 0 : deal.lineage,
      source: it.source,
      id: it.id,
      time: it.time,
      base: it.base,
      value: it.value,
      tags: JSON.stringify(Object.entries(it.tags ?? {}).sort()),
    }
    const takesQuantity = aggregation !== 'unique' && aggregation !== 'count'
    return {
      deal,
      event,
      report: {
        product: deal.product,
        reference: referenceTo(deal, aggregation),
        dimension: dimension.key,
        id: it.id,
        ...(it.source !== '' && { source: it.source }),
        time: it.time,
        ...(takesQuantity && { quantity: decimal(it.base, scale) }),
        ...(it.value !== undefined && { value: it.value }),
        ...(it.tags !== undefined && { tags: it.tags }),
      },
    }
  }

  function referenceTo(deal: Deal, aggregation: Dimension['aggregation']): SubscriptionReference {
    // What counts by period belongs to one agreement and its renewals; only sums and counts can be told for any.
    if ((aggregation !== 'sum' && aggregation !== 'count') || random.chance(0.5))
      return { subscriptionId: deal.id! }
    const aws = marketplace.getSubscription(deal.aws)
    if (random.chance(0.4)) return { tenantId: deal.tenant }
    if (aws.licenseArn === undefined) return { customerIdentifier: aws.customerIdentifier! }
    return random.chance(0.5) ? { licenseArn: aws.licenseArn } : { customerAwsAccountId: aws.accountId }
  }

  const productOf = (id: string): Product => scenario.products.find((product) => product.id === id)!

  // --- agreements ---

  /** AWS's news takes its time. */
  function later(what: string, tell: (worker: Worker) => Promise<void>): void {
    const delay = trouble.faults
      ? random.pick([0, 31_000, 5 * MINUTE_MS, 30 * MINUTE_MS, 3 * HOUR_MS])
      : random.pick([0, 5_000, 31_000])
    news.push({ at: clock.now() + delay, what, tell })
    // Told twice, now and then.
    if (random.chance(0.2)) news.push({ at: clock.now() + 2 * delay + 1, what: `${what} (again)`, tell })
  }

  async function tellNews(worker: Worker): Promise<void> {
    for (const item of news.filter(({ at }) => at <= clock.now())) {
      if (!news.includes(item)) continue
      news.splice(news.indexOf(item), 1)
      // Who dies before it is told is told again.
      if (!(await alive(worker, item.what, (living) => item.tell(living)))) {
        news.unshift(item)
        return
      }
    }
  }

  function subscribe(account: string, product: Product): void {
    const theirs = marketplace.listSubscriptions({ productCode: product.productCode, accountId: account })
    // After a step back of the clock, an end may still lie ahead.
    const isFree = theirs.every(({ end }) => end !== undefined && end.endedAt <= clock.now())
    if (product.metering === 'legacy' && !isFree) return
    const aws = marketplace.subscribe({ productCode: product.productCode, accountId: account })
    const deal: Deal = {
      aws: aws.id,
      product: product.id,
      account,
      tenant: `tenant-${account}`,
      lineage: ++lineages,
      id: undefined,
      ended: false,
      isLinked: true,
    }
    deals.push(deal)
    log(`AWS: ${account} subscribes to ${product.id} as ${aws.id}`)
    later(`create ${aws.id}`, (worker) => create(worker, deal))
  }

  async function create(worker: Worker, deal: Deal): Promise<void> {
    const aws = marketplace.getSubscription(deal.aws)
    const plan = productOf(deal.product).plans[0]
    const subscription: Subscription = newSubscription({
      id: `sub_${deal.aws}`,
      product: deal.product,
      buyer: `buy_${deal.product}_${aws.accountId}`,
      plan: plan !== undefined && aws.accountId.endsWith('1') ? plan.id : undefined,
      tenantId: deal.tenant,
      status: aws.licensedAt > clock.now() ? 'pending' : 'active',
      licenseArn: aws.licenseArn?.replace('::', random.chance(0.3) ? ':us-east-1:' : '::'),
      customerAwsAccountId: aws.accountId,
      customerIdentifier: aws.customerIdentifier,
      agreementId: aws.agreementId,
      // Our idea of the start is not always AWS's.
      accessStart: aws.startAt + (trouble.faults ? random.pick([0, 0, 72_000, -40_000]) : 0),
      createdAt: clock.now(),
    })
    const has = (other: Worker) => other.subscriptions.get(subscription.id).then(Boolean, () => false)
    if (!(await has(worker))) {
      const { created } = await worker.subscriptions.create(subscription, 'aws').catch(async (error) => {
        // The other process was told the same news at the same time.
        if (isCrash(error) || !(await has(worker))) throw error
        return { created: true }
      })
      // A legacy buyer who left and came back, and the news that he left is still on its way.
      if (!created) {
        news.push({
          at: clock.now() + 5 * MINUTE_MS,
          what: `create ${deal.aws}`,
          tell: (other) => create(other, deal),
        })
        return
      }
    }
    deal.id = subscription.id
    if (subscription.status === 'pending')
      news.push({
        at: aws.licensedAt,
        what: `license ${deal.aws}`,
        tell: (other) => license(other, subscription.id),
      })
    if (productOf(deal.product).pricing !== 'usage')
      later(`what ${deal.aws} grants`, (other) => grant(other, deal))
  }

  async function license(worker: Worker, id: string): Promise<void> {
    const start = ({ status }: Subscription) =>
      status === 'pending' ? ({ status: 'active' } as const) : undefined
    await worker.subscriptions.change(id, start, 'aws', clock.now())
  }

  /** AWS is asked what a contract grants: at first, and after an upgrade, a downgrade or a removal. */
  async function grant(worker: Worker, deal: Deal): Promise<void> {
    const product = productOf(deal.product)
    const [seats, isEnterprise, askedAt] = [random.int(0, 6), random.chance(0.4), clock.now()]
    log(`AWS grants ${deal.aws} ${seats} seats${isEnterprise ? ', enterprise' : ''}`)
    const entitlements = [
      { dimension: SEATS, value: { kind: 'integer', value: seats }, expiresAt: undefined },
      { dimension: ENTERPRISE, value: { kind: 'boolean', value: isEnterprise }, expiresAt: undefined },
    ] as const
    const context = { product, askedAt, occurredAt: undefined, refreshMs: HOUR_MS }
    await worker.entitlements.settle(
      deal.id!,
      (state) => takeAnswer(state, { kind: 'answered', entitlements }, context),
      'aws',
      clock.now(),
    )
    run.grants.push({ subscription: deal.id!, at: askedAt, seats, isEnterprise })
  }

  function cancel(deal: Deal): void {
    const { end } = marketplace.cancel(deal.aws)
    deal.ended = true
    log(`AWS: ${deal.aws} ends`)
    later(`end ${deal.aws}`, (worker) => tellEnd(worker, deal, end!.endedAt))
  }

  async function tellEnd(worker: Worker, deal: Deal, endedAt: number): Promise<void> {
    if (deal.id === undefined) await create(worker, deal)
    if (deal.id === undefined) later(`end ${deal.aws}`, (other) => tellEnd(other, deal, endedAt))
    else await endSubscription(worker, deal.id, { endedAt }, 'aws', clock.now())
  }

  function renew(deal: Deal): void {
    const old = marketplace.getSubscription(deal.aws)
    // The same license, or the same legacy customer, is the same subscription to us.
    if (old.licenseArn === undefined || marketplace.settings.licenseOnRenewal === 'kept') return
    const aws = marketplace.renew(deal.aws)
    deal.ended = true
    const heir: Deal = { ...deal, aws: aws.id, id: undefined, ended: false, isLinked: false }
    deals.push(heir)
    log(`AWS: ${deal.aws} is renewed as ${heir.aws}`)
    later(`renew ${deal.aws} as ${heir.aws}`, (worker) => tellRenewal(worker, deal, heir))
  }

  async function tellRenewal(worker: Worker, deal: Deal, heir: Deal): Promise<void> {
    // In order: an agreement that is not known to renew another is a new buyer to everybody.
    if (!deal.isLinked) return later(`renew ${deal.aws}`, (other) => tellRenewal(other, deal, heir))
    if (deal.id === undefined) await create(worker, deal)
    await create(worker, heir)
    const endedAt = marketplace.getSubscription(deal.aws).end!.endedAt
    await endSubscription(worker, deal.id!, { endedAt, successor: heir.id }, 'aws', clock.now())
    heir.isLinked = true
  }

  const goingOn = () => deals.filter(({ ended }) => !ended)

  // --- trouble ---

  function orderFault(): void {
    const kind = random.pick([
      'throttle',
      'cutBefore',
      'cutAfter',
      'unprocessed',
      'html503',
      'slow',
      'internalError',
      'truncatedBody',
      'refuse',
    ] as const)
    const order: FaultOrder = {
      kind,
      ...(random.chance(0.7) && { times: random.int(1, 6) }),
      share: random.pick([1, 0.5, 0.1]),
      ...(random.chance(0.2) && { productCode: random.pick(scenario.products).productCode }),
      ...(kind === 'slow' && { delayMs: random.pick([500, 5_000]), taken: random.chance(0.5) }),
      ...(kind === 'internalError' && { taken: random.chance(0.5) }),
      ...(kind === 'refuse' && {
        error: random.pick([
          'DisabledApiException',
          'InvalidProductCodeException',
          'UnrecognizedClientException',
          'InvalidLicenseException',
          'InvalidTagException',
          'TimestampOutOfBoundsException',
          'InvalidUsageDimensionException',
          'SomethingNewException',
        ]),
      }),
    }
    simulator.faults.order(order)
    log(`fault: ${JSON.stringify(order)}`)
  }

  /** Somebody else meters an hour of ours. */
  async function meterByHand(deal: Deal): Promise<void> {
    const aws = marketplace.getSubscription(deal.aws)
    const product = productOf(deal.product)
    const dimension = random.pick(product.dimensions).key
    const hour = Math.floor(clock.now() / HOUR_MS)
    const timestamp = Math.max(hour * HOUR_MS, aws.startAt)
    const customer =
      aws.licenseArn === undefined
        ? { CustomerIdentifier: aws.customerIdentifier }
        : { CustomerAWSAccountId: aws.accountId, LicenseArn: aws.licenseArn }
    const body = JSON.stringify({
      ...(aws.licenseArn === undefined && { ProductCode: product.productCode }),
      UsageRecords: [
        { Timestamp: timestamp / 1000, Dimension: dimension, Quantity: 987_654_321, ...customer },
      ],
    })
    const before = marketplace.recordCount
    await simulator.handleAws({
      target: 'AWSMPMeteringService.BatchMeterUsage',
      body,
      region: product.region,
    })
    for (const record of marketplace.listRecords({ from: before, limit: 1 }))
      run.foreign.add(record.meteringRecordId)
    log(`somebody else meters ${deal.aws} ${dimension}`)
  }

  function jump(): void {
    const now = clock.now()
    switch (random.weighted({ hours: 4, day: 2, days: 1, month: 1, back: 2, longBack: 0.3 })) {
      case 'hours':
        simulator.clock.advance(random.int(1, 8) * HOUR_MS)
        break
      case 'day':
        simulator.clock.advance(random.int(20, 30) * HOUR_MS + random.int(0, HOUR_MS))
        break
      case 'days':
        simulator.clock.advance(random.int(2, 9) * 24 * HOUR_MS)
        break
      case 'month': {
        const date = new Date(now)
        const turn = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
        simulator.clock.set(Math.max(now, turn + random.int(-3 * 60, 8 * 60) * MINUTE_MS))
        break
      }
      case 'back':
        simulator.clock.set(now - random.int(1, 20 * 60) * 1000)
        break
      case 'longBack':
        simulator.clock.set(now - random.int(1, 6 * 60) * MINUTE_MS)
        break
    }
    log('the clock jumped')
  }

  // --- people ---

  async function decideOnHold(worker: Worker): Promise<void> {
    const held = await worker.usage.listHeld(undefined, 100)
    if (held.length === 0) return
    const { bucket } = random.pick(held)
    const verdict = random.pick([
      { kind: 'release' },
      { kind: 'waive' },
      { kind: 'lower', units: 0n },
      { kind: 'lower', units: 1n },
    ] as const)
    await alive(
      worker,
      `${verdict.kind} ${bucket.subscription}/${bucket.dimension}/${bucket.hour}`,
      async (living) => {
        try {
          await decideHold(living, bucket, verdict, 'person', clock.now())
        } catch (error) {
          const code = (error as { code?: string }).code ?? ''
          if (!['hold.quantity_too_large', 'bucket.not_held'].includes(code)) throw error
        }
      },
    )
  }

  async function resolveDoubt(worker: Worker): Promise<void> {
    const { items } = await worker.usage.listRecords({ state: 'in_doubt', limit: 100 })
    for (const record of items) {
      const taken = marketplace
        .ledger()
        .records.some(
          (row) =>
            !run.foreign.has(row.meteringRecordId) &&
            row.region === record.region &&
            row.dimension === record.dimension &&
            row.hourStart === record.hour * HOUR_MS &&
            (record.identity.kind === 'license'
              ? row.licenseArn?.split(':').at(-1) === record.identity.licenseArn.split(':').at(-1)
              : row.customerIdentifier === record.identity.customerIdentifier &&
                row.productCode === record.identity.productCode),
        )
      const verdict = taken ? 'accepted' : 'refused'
      await alive(worker, `resolve ${record.hour} ${record.dimension} as ${verdict}`, async (living) => {
        try {
          await living.usage.resolve(record.id, verdict, 'person', clock.now())
        } catch (error) {
          if ((error as { code?: string }).code !== 'record.not_in_doubt') throw error
        }
      })
    }
  }

  // --- the run ---

  async function step(): Promise<void> {
    const worker = anyWorker()
    if (trouble.crashes && random.chance(0.2)) worker.life.arm(random.int(0, 25))
    const kind = random.weighted({
      ingest: 12,
      tick: 10,
      job: 4,
      news: 2,
      subscribe: 0.8,
      cancel: 0.6,
      renew: 0.8,
      comeBack: 0.8,
      grant: 1.2,
      hold: 1,
      resolve: 0.5,
      purge: 0.3,
      pause: trouble.faults ? 0.3 : 0,
      suspend: trouble.faults ? 0.4 : 0,
      region: trouble.faults ? 0.2 : 0,
      byHand: trouble.faults ? 0.2 : 0,
      fault: trouble.faults ? 4 : 0,
      mend: trouble.faults ? 1.5 : 0,
      jump: trouble.jumps ? 2 : 0,
    })
    switch (kind) {
      case 'ingest':
        return ingestSome(worker)
      case 'tick':
        // Where nothing goes wrong, the jobs run often enough.
        for (let left = random.int(1, 90); left > 0; left -= run.calm ? 10 : left) {
          simulator.clock.advance((run.calm ? Math.min(left, 10) : left) * MINUTE_MS)
          await tellNews(worker)
          await job(anyWorker(), 'close')
          await job(anyWorker(), 'silence')
          await job(anyWorker(), 'submit')
        }
        return
      case 'job':
        await job(worker, random.pick(['close', 'silence', 'submit']))
        return
      case 'news':
        return tellNews(worker)
      case 'subscribe': {
        const account = `78285828500${random.int(1, 3)}`
        const product = random.pick(scenario.products)
        const rival = goingOn().some((deal) => deal.account === account && deal.product === product.id)
        if (!rival || product.metering === 'license') subscribe(account, product)
        return
      }
      case 'cancel': {
        const live = goingOn()
        if (live.length > 0) cancel(random.pick(live))
        return
      }
      case 'renew': {
        const live = goingOn()
        if (live.length > 0) renew(random.pick(live))
        return
      }
      case 'comeBack': {
        const gone = deals.filter((deal) => deal.ended && deal.id !== undefined)
        if (gone.length === 0) return
        const { account, product } = random.pick(gone)
        if (!goingOn().some((deal) => deal.account === account && deal.product === product))
          subscribe(account, productOf(product))
        return
      }
      case 'grant': {
        const contracts = deals.filter(
          ({ id, product }) => id !== undefined && productOf(product).pricing !== 'usage',
        )
        if (contracts.length === 0) return
        const deal = random.pick(contracts)
        await alive(worker, `ask for ${deal.aws}`, (living) => grant(living, deal))
        return
      }
      case 'hold':
        return decideOnHold(worker)
      case 'resolve':
        return resolveDoubt(worker)
      case 'purge':
        await alive(worker, 'purge', (living) => living.usage.purge(clock.now() - 8 * 24 * HOUR_MS))
        return
      case 'pause': {
        const { id } = random.pick(scenario.products)
        const halted = (await worker.usage.listHalts()).length > 0
        await alive(worker, halted ? `resume ${id}` : `pause ${id}`, (living) =>
          halted
            ? living.usage.resume(id, 'person', clock.now())
            : living.usage.halt({ product: id, reason: 'paused', since: clock.now(), probeAt: undefined }),
        )
        return
      }
      case 'suspend': {
        if (deals.length === 0) return
        const { aws } = random.pick(deals)
        const { suspended } = marketplace.getSubscription(aws)
        marketplace.suspend(aws, !suspended)
        log(`AWS: ${aws} is ${suspended ? 'in good standing again' : 'suspended'}`)
        return
      }
      case 'region': {
        if (scenario.settings.regionalDedup === false) return
        const index = random.int(0, scenario.products.length - 1)
        scenario.products = scenario.products.map((product, at) =>
          at === index ? { ...product, region: random.pick(['us-east-1', 'eu-west-1']) } : product,
        )
        log(`product-${index} is metered in ${scenario.products[index]!.region} from now on`)
        return
      }
      case 'byHand': {
        const live = goingOn()
        if (live.length > 0) await meterByHand(random.pick(live))
        return
      }
      case 'fault':
        world.refusedShare = random.chance(0.3) ? 0.3 : 0
        return orderFault()
      case 'mend':
        simulator.faults.clear()
        world.refusedShare = 0
        log('faults are over')
        return
      case 'jump':
        // Senders ask again within a week.
        worker.life.disarm()
        for (let round = 0; round < 5 && retries.length > 0; round++) await ingestSome(worker)
        return jump()
    }
  }

  /** No more trouble: the listing has every dimension, buyers are in good standing, time goes on. */
  async function settle(): Promise<void> {
    log('no more trouble')
    simulator.faults.clear()
    world.refusedShare = 0
    world.meanwhile = async () => {}
    for (const worker of world.workers) worker.life.disarm()
    for (const listing of scenario.listings) {
      const { dimensions } = scenario.products.find(({ productCode }) => productCode === listing.productCode)!
      marketplace.addProduct({ ...listing, dimensions: dimensions.map(({ key }) => ({ key })) })
    }
    for (const { aws } of deals) marketplace.suspend(aws, false)
    const worker = world.workers[0]!
    for (const { product, probeAt } of await worker.usage.listHalts())
      if (probeAt === undefined) await worker.usage.resume(product, 'person', clock.now())
    for (let round = 0; round < 100 && retries.length > 0; round++) {
      await ingestSome(worker)
      simulator.clock.advance(10 * MINUTE_MS)
    }
    for (let time = 0; time < SETTLE_HOURS * HOUR_MS; ) {
      const step = time < 2 * HOUR_MS ? 10 * MINUTE_MS : HOUR_MS
      time += step
      simulator.clock.advance(step)
      await tellNews(worker)
      await job(worker, 'close')
      await job(worker, 'submit')
    }
    for (let round = 0; round < 20; round++) await resolveDoubt(worker)
  }

  return {
    counts: () => ({ events: number, crashes }),
    async play() {
      for (let index = random.int(1, 4); index > 0; index--) {
        const product = random.pick(scenario.products)
        const account = `78285828500${index}`
        subscribe(account, product)
      }
      for (let index = 0; index < steps; index++) {
        await step()
        for (const worker of world.workers) worker.life.disarm()
        await checkStep(run, world.workers[0]!)
      }
      await settle()
      await checkStep(run, world.workers[0]!)
      await checkBill(run, world.workers[0]!)
    },
  }
}

function describe(event: DeliveredEvent): string {
  const amount = event.value ?? String(event.base)
  return `${event.id}${event.source && `@${event.source}`} ${event.account.slice(-1)}/${event.dimension} ${amount} at ${new Date(event.time).toISOString()}`
}

function decimal(base: bigint, scale: number): string {
  const digits = base.toString().padStart(scale + 1, '0')
  return scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}
