import { createProductCatalog, type Product, type ProductCatalog } from '../../domain/products/product.ts'
import { endSubscription } from '../../domain/subscriptions/end-subscription.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import type { SubscriptionStore } from '../../domain/subscriptions/subscription-store.ts'
import { auditUsage } from '../../domain/usage/audit-usage.ts'
import { closeDueBuckets } from '../../domain/usage/close-due-buckets.ts'
import { createIngestUsage, type UsageReport } from '../../domain/usage/ingest-usage.ts'
import type { MeteringService } from '../../domain/usage/metering-service.ts'
import { reportSilence } from '../../domain/usage/report-silence.ts'
import { submitDueRecords } from '../../domain/usage/submit-due-records.ts'
import type { UsageRecord } from '../../domain/usage/usage-record.ts'
import type { RecordAnswer, UsageStore } from '../../domain/usage/usage-store.ts'
import { aClock, aProduct, aSubscription, utc } from './fixtures.ts'

export interface Stores {
  readonly usage: UsageStore
  readonly subscriptions: SubscriptionStore
}

type Answer =
  | 'Success'
  | 'DuplicateRecord'
  | 'CustomerNotSubscribed'
  | 'unprocessed'
  | 'lost'
  | { refuse: string }

/** The ledger's use cases on a store, with a clock that is told and an AWS that answers what it is told. */
export async function startLedger<S extends Stores = Stores>(
  open: () => Promise<S>,
  product: Product = aProduct(),
  now = utc('2026-11-21T10:30'),
) {
  const stores = await open()
  const clock = aClock(now)
  let products = [product]
  const catalog: ProductCatalog = {
    list: () => products,
    find: (name) => createProductCatalog(products).find(name),
    findByListing: () => undefined,
    planAt: (...asked) => createProductCatalog(products).planAt(...asked),
  }
  const ingest = createIngestUsage({
    ...stores,
    catalog,
    clock,
    limits: { acceptBackMs: 7 * 86_400_000, acceptAheadMs: 300_000 },
  })
  const aws = anAws()
  const subscribe = async (values: Partial<Subscription> = {}) =>
    (await stores.subscriptions.create(aSubscription(values), 'test')).subscription
  /** One after the other: who makes many at once makes each wait for the others. */
  const subscribeMany = async (count: number, values: Partial<Subscription> = {}) => {
    const buyers: Subscription[] = []
    while (buyers.length < count) buyers.push(await subscribe(values))
    return buyers
  }
  const report = async (
    buyer: Subscription,
    id: string,
    quantity: number,
    values: Partial<UsageReport> = {},
  ) => {
    const [outcome] = await ingest([
      {
        reference: { subscriptionId: buyer.id },
        dimension: product.dimensions[0]!.key,
        id,
        time: clock.now(),
        quantity,
        ...values,
      },
    ])
    return outcome!
  }
  /** The same of each of many, in one request. */
  const reportAll = (buyers: readonly Subscription[], quantity: number, values: Partial<UsageReport> = {}) =>
    ingest(
      buyers.map(({ id }) => ({
        reference: { subscriptionId: id },
        dimension: product.dimensions[0]!.key,
        id: `of-${id}`,
        time: clock.now(),
        quantity,
        ...values,
      })),
    )
  const end = (buyer: Subscription, endedAt: number, successor?: Subscription) =>
    endSubscription(stores, buyer.id, { endedAt, successor: successor?.id }, 'test', clock.now())
  return {
    ...stores,
    clock,
    catalog,
    aws,
    subscribe,
    subscribeMany,
    report,
    reportAll,
    ingest,
    /** Changes the configuration of a running process. */
    configure: (...changed: Product[]) => {
      products = changed
    },
    silence: () => reportSilence({ ...stores, catalog }, clock.now()),
    close: () => closeDueBuckets({ ...stores, catalog }, clock.now()),
    submit: () => submitDueRecords({ usage: stores.usage, metering: aws, clock, timeoutMs: 1000 }),
    audit: () => auditUsage(stores.usage),
    records: async () => (await stores.usage.listRecords({ limit: 100 })).items,
    end,
    /** One after the other: all change what is asked of subscriptions, and would stand in each other's way. */
    endAll: async (buyers: readonly Subscription[], endedAt: number) => {
      for (const buyer of buyers) await end(buyer, endedAt)
    },
  }
}

/** An AWS that answers what it is told, and else Success. */
function anAws(): MeteringService & {
  calls: UsageRecord[][]
  next: Answer[]
  poison: (record: UsageRecord) => string | false
} {
  const aws = {
    calls: [] as UsageRecord[][],
    next: [] as Answer[],
    poison: (_: UsageRecord): string | false => false,
    sizeOf: () => 200,
    requestOf: (records: readonly UsageRecord[]) => JSON.stringify(records.map(({ id }) => id)),
    resolveCustomer: () => Promise.reject(new Error('not asked for here')),
    batchMeterUsage: async (_: string, records: readonly UsageRecord[]) => {
      aws.calls.push([...records])
      const poisoned = records.map((record) => aws.poison(record)).find((code) => code !== false)
      const answer = aws.next.shift() ?? (poisoned ? { refuse: poisoned } : 'Success')
      if (answer === 'lost')
        return {
          outcome: 'unanswered' as const,
          response: 'cut',
          answers: all(records, { kind: 'unanswered', reason: 'cut' }),
        }
      if (typeof answer === 'object') {
        const error = { code: answer.refuse, message: 'refused' }
        return {
          outcome: 'answered' as const,
          response: '{}',
          error,
          answers: all(records, { kind: 'refused_request', ...error, alone: records.length === 1 }),
        }
      }
      return {
        outcome: 'answered' as const,
        response: '{}',
        answers: all(
          records,
          answer === 'unprocessed'
            ? { kind: 'unprocessed' }
            : { kind: 'result', status: answer, meteringRecordId: 'aws-id' },
        ),
      }
    },
  }
  return aws
}

function all(records: readonly UsageRecord[], answer: RecordAnswer): Map<string, RecordAnswer> {
  return new Map(records.map(({ id }) => [id, answer]))
}
