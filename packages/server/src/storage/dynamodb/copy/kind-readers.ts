import type { CopyRow, CopyValue, LedgerKindName } from '../../../domain/moving/ledger-kinds.ts'
import { isCopied } from '../../../domain/moving/ledger-kinds.ts'
import { licenseTail } from '../../../domain/subscriptions/subscription.ts'
import { hourOf } from '../../../domain/usage/hour.ts'
import { awsIdentityKey } from '../../../domain/usage/usage-record.ts'
import { newestNumber } from '../domain-events.ts'
import { big, int, text, texts } from '../fields.ts'
import {
  catalogPartition,
  catalogTextPartition,
  healthChangesPrefix,
  healthHourPrefix,
  healthPrefix,
  mailPartition,
  padded,
  saltPartition,
  sinkKey,
} from '../keys.ts'
import type { Attribute, Item, Table } from '../table.ts'
import { type Bucket, forgottenQuantity, readBuckets } from '../usage/buckets.ts'
import { readCarry } from '../usage/carry.ts'
import { toStoredEvent } from '../usage/event-items.ts'
import { meterOf } from '../usage/meters.ts'
import { type createMoves, readTagSums } from '../usage/moves.ts'
import { toTransfers } from '../usage/record-items.ts'
import { readText } from '../usage/stored-text.ts'
import type { Where } from './scan.ts'

/** What reading asks of the table that is copied. */
export interface Source {
  readonly table: Table
  readonly horizon: number
  readonly moves: ReturnType<typeof createMoves>
  /** Of a meter's partition. */
  meter(pk: string): Promise<{ readonly subscription: string; readonly dimension: string }>
}

export interface KindReader {
  readonly where: Where
  /** What it sorts by, of kinds that have an order. */
  readonly order?: (item: Item) => string
  readonly rows: (item: Item, source: Source) => readonly CopyRow[] | Promise<readonly CopyRow[]>
}

/** Fields that the item has under their own names. */
function fields(item: Item, ...names: readonly string[]): Record<string, CopyValue> {
  return Object.fromEntries(names.map((name) => [name, toValue(item[name])]))
}

function toValue(value: Attribute | undefined): CopyValue {
  if (value === undefined) return null
  if (typeof value === 'number') return BigInt(value)
  if (typeof value === 'boolean') return value ? 1n : 0n
  return value as string | bigint | Uint8Array
}

/** The component of a partition key that was written out: our own ids are. */
function idIn(pk: string): string {
  return decodeURIComponent(pk.slice(pk.indexOf('#') + 1))
}

function listOf(value: Attribute | undefined): readonly Item[] {
  return (value as readonly Item[] | undefined) ?? []
}

const STATUS = { open: 0n, held: 1n, closed: 2n, untouched: 3n } as const
const META: Where = { pkPrefix: 'METER#', sk: 'META' }
const CONTRACT: Where = { pkPrefix: 'SUB#', sk: 'CONTRACT' }

function bucketRow(bucket: Bucket, horizon: number): CopyRow {
  const { meter, hour, quantity, unbillable, events, status, shards } = bucket
  return {
    subscription: meter.subscription,
    dimension: meter.dimension,
    hour: BigInt(hour),
    quantity,
    unbillable,
    events: BigInt(events),
    purged: forgottenQuantity(bucket, horizon),
    purgedUnbillable: (hour + 1) * 3_600_000 <= horizon ? unbillable : 0n,
    status: STATUS[status],
    ...fields(shards[0]!, 'holdReason', 'heldAt'),
  }
}

/** A meter's journal, hour by hour: what was booked of the hour itself, then of its record. */
async function transferRows(meta: Item, { table }: Source): Promise<CopyRow[]> {
  const meter = meterOf(meta)
  const { subscription, dimension } = meter
  const booked = new Map<number, CopyRow[]>()
  const book = (hour: number, transfers: Attribute | undefined, record: string | null) => {
    const ofHour = booked.get(hour) ?? []
    booked.set(hour, ofHour)
    for (const { from, to, amount, at } of toTransfers(transfers)) {
      ofHour.push({
        subscription,
        dimension,
        hour: BigInt(hour),
        number: BigInt(ofHour.length),
        source: from,
        target: to,
        amount,
        at: BigInt(at),
        record,
      })
    }
  }
  for (const { hour, shards } of await readBuckets(table, meter)) book(hour, shards[0]?.transfers, null)
  for (const record of await table.query({ pk: meta.pk, prefix: 'R#' }))
    book(int(record.hour), record.transfers, text(record.id))
  return [...booked.keys()].sort((a, b) => a - b).flatMap((hour) => booked.get(hour)!)
}

async function ofMeter(item: Item, source: Source, ...names: readonly string[]): Promise<CopyRow[]> {
  return [{ ...(await source.meter(item.pk)), ...fields(item, ...names) }]
}

async function eventRows(item: Item, source: Source): Promise<CopyRow[]> {
  const event = toStoredEvent(item)
  if (event.time < source.horizon) return []
  const place = await source.moves.placeOf(event)
  const hour = hourOf(event.time)
  return [
    {
      ...fields(item, 'id', 'time', 'quantity', 'delta', 'value', 'receivedAt'),
      ...(await source.meter(place.meter.pk)),
      hour: BigInt(hour),
      key: event.key,
      counted: BigInt(place.hour),
      // What was moved on to another hour is late there.
      state: event.state !== 2 && place.hour !== hour ? 1n : BigInt(event.state),
      source: event.source,
      tags: event.tags === '' ? null : event.tags,
    },
  ]
}

export const LEDGER_NUMBERS: ReadonlySet<string> = new Set(['epoch', 'readings', 'horizon'])

export const KIND_READERS: Readonly<Record<LedgerKindName, KindReader>> = {
  ledger: {
    where: { pk: 'LEDGER' },
    rows: (item) => {
      if (!isCopied(item.sk, String(item.value))) return []
      const clock = { since: int(item.since), at: int(item.at) }
      return [{ name: item.sk, value: item.sk === 'clock' ? JSON.stringify(clock) : String(item.value) }]
    },
  },
  buyer: {
    where: { pkPrefix: 'BUYER#', sk: 'B' },
    order: ({ order }) => text(order),
    rows: (item) => [
      fields(item, 'id', 'product', 'customerAwsAccountId', 'customerIdentifier', 'createdAt'),
    ],
  },
  contact: {
    where: { pkPrefix: 'BUYER#', skPrefix: 'CONTACT#' },
    rows: (item) => [
      { buyer: idIn(item.pk), ...fields(item, 'email', 'name', 'company', 'phone', 'registeredAt') },
    ],
  },
  subscription: {
    where: { pkPrefix: 'SUB#', sk: 'S' },
    order: ({ order }) => text(order),
    rows: (item) => [
      {
        ...fields(item, 'id', 'product', 'buyer', 'channel', 'plan', 'tenantId', 'status', 'licenseArn'),
        licenseTail: item.licenseArn === undefined ? null : licenseTail(text(item.licenseArn)),
        ...fields(item, 'customerAwsAccountId', 'customerIdentifier', 'agreementId', 'grantedAt', 'termEnd'),
        ...fields(item, 'freeTrial', 'accessStart', 'accessEnd', 'finalWindowEnd', 'successor', 'createdAt'),
      },
    ],
  },
  agreement: {
    where: { pkPrefix: 'AGREEMENT#', sk: 'A' },
    order: ({ order }) => text(order),
    rows: (item) => {
      const facts = JSON.parse(text(item.facts)) as Record<string, string | undefined>
      return [
        {
          ...fields(item, 'key', 'product', 'subscription', 'facts', 'updatedAt'),
          customerAwsAccountId: facts.customerAwsAccountId ?? null,
          customerIdentifier: facts.customerIdentifier ?? null,
          licenseTail: facts.licenseArn === undefined ? null : licenseTail(facts.licenseArn),
        },
      ]
    },
  },
  marketplaceEvent: {
    where: { skPrefix: 'N#' },
    order: ({ place }) => text(place),
    rows: (item) => [
      {
        ...fields(item, 'id', 'agreement', 'product', 'kind', 'occurredAt', 'receivedAt'),
        event: JSON.stringify(Object.assign(JSON.parse(text(item.event)), { payload: text(item.payload) })),
      },
    ],
  },
  rejectedMessage: {
    where: { pkPrefix: 'REJECTED#', sk: 'R' },
    order: ({ listed }) => text(listed),
    rows: (item) => [fields(item, 'id', 'channel', 'reason', 'receivedAt', 'payload')],
  },
  entitlementReading: {
    where: { pkPrefix: 'SUB#', sk: 'READING' },
    rows: (item) => [
      {
        ...fields(item, 'subscription', 'product', 'entitlements', 'readAt', 'emptySince', 'failedAt'),
        ...fields(item, 'failure', 'nextAt', 'revokedAt'),
      },
    ],
  },
  entitlementPeriod: {
    where: CONTRACT,
    rows: (item) =>
      listOf(item.periods).map(({ dimension, units, from }) => ({
        subscription: idIn(item.pk),
        dimension: text(dimension),
        fromMs: big(from),
        units: big(units),
      })),
  },
  planPeriod: {
    where: CONTRACT,
    rows: (item) =>
      listOf(item.plans).map(({ plan, from }) => ({
        subscription: idIn(item.pk),
        fromMs: big(from),
        plan: toValue(plan),
      })),
  },
  contractTerm: {
    where: CONTRACT,
    rows: (item) =>
      ((item.terms ?? []) as readonly Attribute[]).map((from) => ({
        subscription: idIn(item.pk),
        fromMs: big(from),
      })),
  },
  meter: {
    where: META,
    order: ({ listed }) => text(listed),
    rows: (item) => [
      fields(item, 'subscription', 'dimension', 'product', 'scale', 'aggregation', 'per', 'carry'),
    ],
  },
  bucket: {
    where: META,
    rows: async (item, { table, horizon }) =>
      (await readBuckets(table, meterOf(item))).map((bucket) => bucketRow(bucket, horizon)),
  },
  bucketTag: {
    where: META,
    async rows(item, { table }) {
      const meter = meterOf(item)
      const rows: CopyRow[] = []
      for (const bucket of await readBuckets(table, meter)) {
        // What they split is sealed.
        if (bucket.status === 'closed') continue
        for (const [tags, quantity] of await readTagSums(table, bucket)) {
          const { subscription, dimension } = meter
          rows.push({ subscription, dimension, hour: BigInt(bucket.hour), tags, quantity })
        }
      }
      return rows
    },
  },
  carryTag: {
    where: META,
    rows: async (item, { table }) =>
      [...(await readCarry(table, item)).tags].map(([tags, quantity]) => ({
        ...fields(item, 'subscription', 'dimension'),
        tags,
        quantity,
      })),
  },
  peak: {
    where: { pkPrefix: 'METER#', skPrefix: 'PEAK#' },
    rows: async (item, source) => [
      { ...(await source.meter(item.pk)), period: text(item.period), value: big(item.peak) },
    ],
  },
  seenValue: {
    where: { pkPrefix: 'SEEN#' },
    rows: async (item, source) => {
      const end = item.pk.lastIndexOf('#')
      return [
        {
          ...(await source.meter(item.pk.slice('SEEN#'.length, end))),
          period: decodeURIComponent(item.pk.slice(end + 1)),
          value: Buffer.from(item.sk, 'hex'),
        },
      ]
    },
  },
  runningTotal: {
    where: { pkPrefix: 'METER#', skPrefix: 'TOTAL#' },
    rows: (item, source) => ofMeter(item, source, 'source', 'total', 'time'),
  },
  includedUsed: {
    where: { pkPrefix: 'METER#', skPrefix: 'INCLUDED#' },
    rows: (item, source) => ofMeter(item, source, 'period', 'used'),
  },
  usageEvent: { where: { pkPrefix: 'EVENT#', sk: 'E' }, rows: eventRows },
  attempt: {
    where: { pkPrefix: 'ATTEMPT#', sk: 'A' },
    order: ({ startedAt, id }) => `${padded(int(startedAt))} ${text(id)}`,
    rows: async (item, { table }) => [
      {
        ...fields(item, 'id', 'product', 'region', 'startedAt', 'finishedAt', 'outcome'),
        request: (await readText(table, item, item.pk, 'request')) ?? '',
        response: (await readText(table, item, item.pk, 'response')) ?? null,
      },
    ],
  },
  usageRecord: {
    where: { pkPrefix: 'METER#', skPrefix: 'R#' },
    order: ({ place }) => text(place),
    rows: async (item, { table }) => [
      {
        ...fields(
          item,
          'id',
          'product',
          'subscription',
          'dimension',
          'hour',
          'region',
          'identity',
          'timestamp',
        ),
        ...fields(item, 'quantity', 'unitBase', 'state', 'deadline', 'sealedAt', 'attempts', 'unanswered'),
        ...fields(item, 'nextAttemptAt', 'meteringRecordId', 'note', 'attempt', 'leaseUntil'),
        identityKey: awsIdentityKey(JSON.parse(text(item.identity))),
        allocations: (await readText(table, item, `RECORD#${text(item.id)}`, 'allocations')) ?? '[]',
      },
    ],
  },
  attemptRecord: {
    where: { pkPrefix: 'METER#', skPrefix: 'R#' },
    rows: (item) =>
      ((item.attemptIds ?? []) as readonly string[]).map((attempt) => ({ attempt, record: text(item.id) })),
  },
  transfer: { where: META, rows: transferRows },
  isolation: {
    where: { pkPrefix: 'ISOLATION#' },
    rows: (item) => [fields(item, 'product', 'kind', 'value')],
  },
  halt: { where: { pk: 'HALT' }, rows: (item) => [fields(item, 'product', 'reason', 'since', 'probeAt')] },
  alarm: {
    where: { pkPrefix: 'ALARM#' },
    rows: (item) => [
      { ...fields(item, 'kind', 'subject', 'message', 'firstAt', 'lastAt'), raised: big(item.count) },
    ],
  },
  lateAcross: {
    where: { pk: 'LATE' },
    rows: (item) => [fields(item, 'subject', 'product', 'months', 'agreements', 'amount')],
  },
  auditEntry: {
    where: { pkPrefix: 'AUDIT#', sk: 'A' },
    order: ({ listed }) => text(listed),
    rows: (item) => [fields(item, 'id', 'at', 'actor', 'action', 'subject', 'before', 'after')],
  },
  domainEvent: {
    where: { pkPrefix: 'TOLD#', sk: 'E' },
    order: ({ number }) => padded(big(number)),
    rows: (item) => [fields(item, 'id', 'type', 'at', 'product', 'buyer', 'subscription', 'data')],
  },
  sink: {
    where: { pkPrefix: 'SINK#', sk: 'CURSOR' },
    rows: async (item, { table }) => {
      const health = await table.get(sinkKey(text(item.name)))
      return [
        {
          ...fields(item, 'name', 'seenAt'),
          behind: (await newestNumber(table)) - big(item.cursor),
          ...fields(health ?? item, 'failingSince', 'pausedUntil'),
          failures: big(health?.failures ?? 0),
        },
      ]
    },
  },
  delivery: {
    where: { pkPrefix: 'TOLD#', skPrefix: 'D#' },
    rows: (item) => [
      {
        ...fields(
          item,
          'event',
          'sink',
          'subscription',
          'state',
          'attempts',
          'failures',
          'queuedAt',
          'nextAt',
        ),
        ...fields(item, 'lastError', 'finishedAt'),
      },
    ],
  },
  mail: {
    where: { pk: mailPartition },
    order: ({ sk }) => sk,
    rows: (item) => [
      {
        ...fields(item, 'id', 'at', 'subject', 'text', 'html'),
        sender: text(item.from),
        recipient: text(item.to),
      },
    ],
  },
  serviceKey: {
    where: { pkPrefix: 'KEY#', sk: 'K' },
    rows: (item) => [
      {
        ...fields(item, 'id', 'name', 'product', 'hash', 'ratePerSecond', 'createdAt', 'revokedAt'),
        scopes: texts(item.scopes).join(' '),
      },
    ],
  },
  apiKey: {
    where: { pkPrefix: 'APIKEY#', sk: 'K' },
    rows: (item) => [
      {
        ...fields(item, 'id', 'product', 'buyer', 'subscription', 'name', 'hash', 'hint', 'createdAt'),
        ...fields(item, 'revokedAt', 'replacedBy', 'usableUntil', 'lastUsedAt'),
        expiresAt: toValue(item.validUntil),
        userId: toValue(item.user),
        scopes: texts(item.scopes).join(' '),
      },
    ],
  },
  quotaCounter: {
    where: { pkPrefix: 'QUOTA#', skPrefix: 'C#' },
    rows: (item) => [fields(item, 'holder', 'dimension', 'per', 'start', 'endsAt', 'used', 'held')],
  },
  quotaAdmission: {
    where: { pkPrefix: 'ADMITTED#' },
    rows: (item) => [fields(item, 'key', 'quantity', 'at')],
  },
  quotaReservation: {
    where: { pkPrefix: 'RESERVATION#' },
    rows: (item) => [
      {
        ...fields(
          item,
          'id',
          'product',
          'holder',
          'dimension',
          'quantity',
          'windows',
          'createdAt',
          'state',
          'used',
        ),
        expiresAt: big(item.until),
      },
    ],
  },
  visitorSalt: {
    where: { pk: saltPartition },
    rows: (item) => [fields(item, 'number', 'secret', 'since')],
  },
  visitor: {
    where: { pkPrefix: 'VISITOR#' },
    rows: (item) => [
      fields(item, 'id', 'product', 'firstSeenAt', 'seenAt', 'buyer', 'subscription', 'convertedAt'),
    ],
  },
  visitorHash: {
    where: { pkPrefix: 'VISITORHASH#' },
    rows: (item) => [fields(item, 'hash', 'salt', 'visitor')],
  },
  visitorSolution: {
    where: { pkPrefix: 'SOLUTION#' },
    rows: (item) => [{ ...fields(item, 'id'), expiresAt: big(item.until) }],
  },
  endpointHealth: {
    where: { pkPrefix: 'HEALTH#', skPrefix: healthPrefix },
    rows: (item) => [
      {
        ...fields(item, 'product', 'endpoint', 'state', 'since', 'checkedAt', 'failures', 'reason'),
        ...fields(item, 'latency', 'hour', 'up', 'down', 'latencies'),
      },
    ],
  },
  endpointHour: {
    where: { pkPrefix: 'HEALTH#', skPrefix: healthHourPrefix },
    rows: (item) => [fields(item, 'product', 'endpoint', 'hour', 'up', 'down', 'p50', 'p95', 'longest')],
  },
  endpointChange: {
    where: { pkPrefix: 'HEALTH#', skPrefix: healthChangesPrefix },
    rows: (item) => [fields(item, 'product', 'endpoint', 'at', 'state', 'reason')],
  },
  catalogVersion: {
    where: { pk: catalogPartition },
    rows: async (item, { table }) => [
      {
        ...fields(
          item,
          'product',
          'plan',
          'version',
          'fromMs',
          'position',
          'origin',
          'retired',
          'actor',
          'at',
        ),
        body: (await readText(table, item, catalogTextPartition(item), 'body')) ?? '{}',
      },
    ],
  },
}
