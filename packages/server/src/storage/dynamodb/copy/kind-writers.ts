import type { ApiKey } from '../../../domain/keys/api-key.ts'
import type { CopyRow, LedgerKindName } from '../../../domain/moving/ledger-kinds.ts'
import type { Reservation, ReservationState } from '../../../domain/quotas/quota-store.ts'
import type { Window } from '../../../domain/quotas/window.ts'
import { putApiKey } from '../api-keys.ts'
import { BUYERS, buyersOfProduct } from '../buyer-changes.ts'
import { storeCatalogBody } from '../catalog-store.ts'
import { big, int } from '../fields.ts'
import {
  alarmKey,
  auditEntriesOf,
  auditEntryKey,
  bucketKey,
  buyerKey,
  catalogVersionKey,
  contractKey,
  haltKey,
  healthChangeKey,
  healthHourKey,
  healthKey,
  includedKey,
  isolationKey,
  lateKey,
  ledgerKey,
  nameKey,
  padded,
  part,
  peakKey,
  readingKey,
  recordKey,
  rejectedKey,
  serviceKeyIdKey,
  serviceKeyKey,
  sinkCursorKey,
  sinkKey,
  totalKey,
  valueKey,
} from '../keys.ts'
import { admissionItem, counterItem, heldItem, reservationItem } from '../quota-items.ts'
import { putReading } from '../readings.ts'
import type { Attribute } from '../table.ts'
import { saltItem, solutionItem, visitorHashItem, visitorItem } from '../visitors.ts'
import {
  item,
  maybe,
  meterIn,
  num,
  ORDINAL_DIGITS,
  placed,
  str,
  type Target,
  type Write,
} from './copied-rows.ts'
import { LEDGER_NUMBERS } from './kind-readers.ts'
import {
  putAgreement,
  putContacts,
  putCopiedDelivery,
  putDomainEvent,
  putMail,
  putNotice,
  putPeriod,
  putSubscription,
} from './write-subscribers.ts'

const SERVICE_KEY_FIELDS = ['id', 'name', 'product', 'hash', 'ratePerSecond', 'createdAt', 'revokedAt']

import {
  putAttempt,
  putAttemptRecord,
  putBucket,
  putCarryTags,
  putEvents,
  putMeter,
  putRecord,
  putTagSums,
  putTransfer,
} from './write-usage.ts'

const EACH: Readonly<Partial<Record<LedgerKindName, Write>>> = {
  ledger: ({ name, value }, { batch }) => {
    const key = ledgerKey(str(name))
    if (name === 'clock') batch.put({ ...key, ...(JSON.parse(str(value)) as { since: number; at: number }) })
    else batch.put({ ...key, value: LEDGER_NUMBERS.has(str(name)) ? BigInt(str(value)) : str(value) })
  },
  async buyer(row, { batch }, number) {
    const key = buyerKey(str(row.id))
    const product = str(row.product)
    const order = `${padded(0)}-${padded(number, ORDINAL_DIGITS)}`
    const account = maybe(row.customerAwsAccountId)
    const known = await batch.get(key)
    batch.put({
      ...item(key, row, 'id', 'product', 'customerAwsAccountId', 'customerIdentifier', 'createdAt'),
      account,
      accountOf: account === undefined ? undefined : key.pk,
      contacts: known?.contacts ?? 0,
      subscriptions: known?.subscriptions,
      order,
      list: BUYERS,
      listed: order,
      also: buyersOfProduct(product),
      alsoListed: order,
    })
    for (const [kind, value] of [
      ['account', account],
      ['customer', maybe(row.customerIdentifier)],
    ] as const) {
      if (value === undefined) continue
      const name = nameKey(kind, value, product)
      batch.put({ ...(await batch.get(name)), ...name, buyer: str(row.id) })
    }
  },
  subscription: putSubscription,
  agreement: putAgreement,
  marketplaceEvent: putNotice,
  rejectedMessage: (row, { batch }, number) =>
    batch.put({
      ...item(rejectedKey(str(row.id)), row, 'id', 'channel', 'reason', 'receivedAt', 'payload'),
      list: 'REJECTED',
      listed: placed(row.receivedAt, number),
    }),
  entitlementReading: (row, { batch }) =>
    putReading(batch, item(readingKey(str(row.subscription)), row, ...Object.keys(row))),
  entitlementPeriod: (row, { batch }) =>
    putPeriod(batch, row, 'periods', {
      dimension: str(row.dimension),
      units: num(row.units),
      from: num(row.fromMs),
    }),
  planPeriod: (row, { batch }) =>
    putPeriod(batch, row, 'plans', { plan: maybe(row.plan), from: num(row.fromMs) }),
  async contractTerm(row, { batch }) {
    const key = contractKey(str(row.subscription))
    const contract = await batch.get(key)
    const terms = ((contract?.terms ?? []) as readonly Attribute[]).map(int)
    batch.put({ ...contract, ...key, terms: [...new Set([...terms, num(row.fromMs)])] })
  },
  meter: putMeter,
  bucket: putBucket,
  peak: (row, { batch }) =>
    batch.put({
      ...peakKey(meterIn(row).pk, str(row.period)),
      period: str(row.period),
      peak: num(row.value),
    }),
  seenValue: (row, { batch }) =>
    batch.put({ ...valueKey(meterIn(row).pk, str(row.period), row.value as Uint8Array) }),
  runningTotal: (row, { batch }) =>
    batch.put(item(totalKey(meterIn(row).pk, str(row.source)), row, 'source', 'total', 'time')),
  includedUsed: (row, { batch }) =>
    batch.put(item(includedKey(meterIn(row).pk, str(row.period)), row, 'period', 'used')),
  attempt: putAttempt,
  usageRecord: putRecord,
  attemptRecord: putAttemptRecord,
  async transfer(row, { batch }) {
    const { pk } = meterIn(row)
    if (row.record === null) return putTransfer(batch, bucketKey(pk, num(row.hour), 0), row)
    return putTransfer(batch, recordKey(str(row.subscription), str(row.dimension), num(row.hour)), row)
  },
  isolation: (row, { batch }) =>
    batch.put(
      item(
        isolationKey(str(row.product), str(row.kind) as 'dimension' | 'identity', str(row.value)),
        row,
        ...Object.keys(row),
      ),
    ),
  halt: (row, { batch }) => batch.put(item(haltKey(str(row.product)), row, ...Object.keys(row))),
  alarm: (row, { batch }) => {
    const [kind, subject] = [str(row.kind), str(row.subject)]
    batch.put({
      ...item(alarmKey(kind, subject), row, 'kind', 'subject', 'message', 'firstAt', 'lastAt'),
      count: num(row.raised),
      list: 'ALARMS',
      listed: `${padded(999_999_999_999_999 - num(row.lastAt))}.${kind}.${part(subject)}`,
    })
  },
  lateAcross: (row, { batch }) => batch.put(item(lateKey(str(row.subject)), row, ...Object.keys(row))),
  auditEntry: (row, { batch }, number) => {
    const place = placed(row.at, number)
    batch.put({
      ...item(auditEntryKey(str(row.id)), row, ...Object.keys(row)),
      list: 'AUDIT',
      listed: place,
      also: auditEntriesOf(str(row.subject)),
      alsoListed: place,
    })
  },
  domainEvent: putDomainEvent,
  async sink(row, { batch }) {
    const name = str(row.name)
    // Each goes on where it was: all events are there by now, numbered anew without a gap.
    const told = big((await batch.get(ledgerKey('told')))?.value ?? 0)
    const cursor = told - big(row.behind as bigint)
    batch.put({ ...sinkCursorKey(name), name, cursor, seenAt: num(row.seenAt) })
    batch.put(item(sinkKey(name), row, 'name', 'failures', 'failingSince', 'pausedUntil'))
  },
  delivery: putCopiedDelivery,
  mail: putMail,
  serviceKey: (row, { batch }) => {
    batch.put({ ...serviceKeyIdKey(str(row.id)), hash: str(row.hash) })
    batch.put({
      ...item(serviceKeyKey(str(row.hash)), row, ...SERVICE_KEY_FIELDS),
      scopes: str(row.scopes).split(' '),
    })
  },
  apiKey: (row, { batch }) => putApiKey(batch, toApiKey(row)),
  quotaCounter: (row, { batch }) =>
    batch.put(
      counterItem(
        {
          holder: str(row.holder),
          dimension: str(row.dimension),
          window: str(row.per) as Window,
          start: num(row.start),
          end: row.endsAt === null ? undefined : num(row.endsAt),
        },
        { used: num(row.used), held: num(row.held) },
      ),
    ),
  quotaAdmission: (row, { batch }) =>
    batch.put(admissionItem(row.key as Uint8Array, num(row.quantity), num(row.at))),
  quotaReservation: (row, { batch }) => {
    const reservation: Reservation = {
      id: str(row.id),
      product: str(row.product),
      holder: str(row.holder),
      dimension: str(row.dimension),
      quantity: num(row.quantity),
      windows: JSON.parse(str(row.windows)),
      createdAt: num(row.createdAt),
      expiresAt: num(row.expiresAt),
      state: str(row.state) as ReservationState,
      used: row.used === null ? undefined : num(row.used),
    }
    batch.put(reservationItem(reservation))
    if (reservation.state === 'held') batch.put(heldItem(reservation))
  },
  visitorSalt: (row, { batch }) =>
    batch.put(saltItem({ number: num(row.number), secret: row.secret as Uint8Array, since: num(row.since) })),
  visitor: (row, { batch }) =>
    batch.put(
      visitorItem({
        id: str(row.id),
        product: str(row.product),
        firstSeenAt: num(row.firstSeenAt),
        seenAt: num(row.seenAt),
        conversion:
          row.convertedAt === null
            ? undefined
            : { buyer: str(row.buyer), subscription: str(row.subscription), at: num(row.convertedAt) },
      }),
    ),
  visitorHash: (row, { batch }) =>
    batch.put(visitorHashItem({ hash: str(row.hash), salt: num(row.salt) }, str(row.visitor))),
  visitorSolution: (row, { batch }) =>
    batch.put(solutionItem({ id: str(row.id), expiresAt: num(row.expiresAt) })),
  endpointHealth: (row, { batch }) =>
    batch.put(item(healthKey(str(row.product), str(row.endpoint)), row, ...Object.keys(row))),
  endpointHour: (row, { batch }) =>
    batch.put(
      item(healthHourKey(str(row.product), num(row.hour), str(row.endpoint)), row, ...Object.keys(row)),
    ),
  endpointChange: (row, { batch }) =>
    batch.put(
      item(healthChangeKey(str(row.product), str(row.endpoint), num(row.at)), row, ...Object.keys(row)),
    ),
  catalogVersion: (row, { batch }) => {
    const key = catalogVersionKey(str(row.product), str(row.plan), num(row.version))
    const { body, ...rest } = row
    const { attributes, parts } = storeCatalogBody(key, str(body))
    for (const one of parts) batch.put(one)
    batch.put({ ...item(key, rest, ...Object.keys(rest)), ...attributes })
  },
}

function toApiKey(row: CopyRow): ApiKey {
  const time = (name: string) => (row[name] === null ? undefined : num(row[name]))
  return {
    id: str(row.id),
    product: str(row.product),
    buyer: str(row.buyer),
    subscription: maybe(row.subscription),
    user: maybe(row.userId),
    name: maybe(row.name),
    scopes: str(row.scopes).split(' ').filter(Boolean),
    hash: str(row.hash),
    hint: str(row.hint),
    createdAt: num(row.createdAt),
    expiresAt: time('expiresAt'),
    revokedAt: time('revokedAt'),
    replacedBy: maybe(row.replacedBy),
    usableUntil: time('usableUntil'),
    lastUsedAt: time('lastUsedAt'),
  }
}

/** Written with an eye on the other rows of their page. */
const TOGETHER: Readonly<
  Partial<Record<LedgerKindName, (rows: readonly CopyRow[], target: Target) => Promise<void>>>
> = { contact: putContacts, bucketTag: putTagSums, carryTag: putCarryTags, usageEvent: putEvents }

export async function writePage(
  kind: LedgerKindName,
  rows: readonly CopyRow[],
  target: Target,
): Promise<void> {
  const together = TOGETHER[kind]
  if (together !== undefined) await together(rows, target)
  else for (const [index, row] of rows.entries()) await EACH[kind]!(row, target, target.before + index + 1)
  await target.batch.flush()
}
