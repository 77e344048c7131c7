import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import type pg from 'pg'
import type { Hour } from '../../domain/usage/hour.ts'
import type { RoutedEvent } from '../../domain/usage/usage-event.ts'
import { type RunningTotal, unbilledPeriod } from '../ingest/count-event.ts'
import { keyText } from '../ingest/key-text.ts'
import { OPEN, UNTOUCHED } from '../ingest/outcomes.ts'
import { type LoadedLedger, metersToCompare, type SeenEvent } from '../ingest/plan-ingest.ts'
import type { Row } from './database.ts'
import * as statements from './postgres-ingest-statements.ts'
import { int, text } from './rows.ts'

/** What a transaction found when it began. */
export interface Found {
  readonly epoch: number
  readonly horizon: number
  readonly seen: ReadonlyMap<string, SeenEvent<number>>
}

export interface IngestLoader {
  /** All that `planIngest` may ask about these events. */
  load(client: pg.Client, found: Found, events: readonly RoutedEvent[]): Promise<LoadedLedger<number>>
  /** Reads buckets, and remembers which of them are closed: they are for good. */
  learnBuckets(client: pg.Client, buckets: readonly statements.BucketName[]): Promise<readonly Row[]>
  tagSet(key: string): number | undefined
  keepTagSets(client: pg.Client, lastHours: ReadonlyMap<string, Hour>): Promise<void>
  /** Something that was made may not be there: the transaction was undone. */
  forget(): void
}

/** Meters that renew each other, and where they stand in line for their counters. */
interface Kinship {
  readonly stripe: number
  /** The first of the subscriptions. */
  readonly root: number
  /** It has no relatives: none of its subscription's can come before subscriptions change. */
  readonly isAlone: boolean
}

/**
 * Transactions that hold one each of so many locks wait for each other more often than they must; with a lock for each meter
 * the server would run out of them.
 */
const STRIPES = 256
const KNOWN_MAX = 500_000
const TAG_SETS_MAX = 100_000
/** More than any hour since the epoch that fits a date: meter and hour share one exact number. */
const HOURS = 2 ** 23

export function createIngestLoader(): IngestLoader {
  const meters = new Map<string, number>()
  const tagSets = new Map<string, { readonly seq: number; readonly lastHour: Hour }>()
  const closed = new Set<number>()
  const kinships = new Map<number, Kinship>()
  let kinEpoch = -1

  const learnBuckets: IngestLoader['learnBuckets'] = async (client, buckets) => {
    const { rows } = await client.query<Row>(statements.findBuckets(buckets))
    if (closed.size > KNOWN_MAX) closed.clear()
    for (const { meter, hour, status } of rows)
      if (Number(status) !== OPEN && Number(status) !== UNTOUCHED) closed.add(int(meter) * HOURS + int(hour))
    return rows
  }

  async function loadMeters(client: pg.Client, events: readonly RoutedEvent[]): Promise<void> {
    if (meters.size > KNOWN_MAX) meters.clear()
    const missing = new Map<string, RoutedEvent>()
    for (const routed of events) {
      const name = nameOf(routed.subscription, routed.dimension)
      if (!meters.has(name)) missing.set(name, routed)
    }
    if (missing.size === 0) return
    const find = async () => {
      const { rows } = await client.query<Row>(statements.findMeters([...missing.values()]))
      for (const { subscription, dimension, seq } of rows) {
        const name = nameOf(text(subscription), text(dimension))
        meters.set(name, int(seq))
        missing.delete(name)
      }
    }
    await find()
    if (missing.size === 0) return
    await client.query(statements.addMeters([...missing.values()]))
    await find()
    const [unknown] = missing.values()
    assert(unknown === undefined, `subscription ${unknown?.subscription} is unknown to the ledger`)
  }

  async function loadKinships(client: pg.Client, of: readonly number[], epoch: number): Promise<void> {
    if (epoch !== kinEpoch || kinships.size > KNOWN_MAX) kinships.clear()
    kinEpoch = epoch
    const missing = of.filter((meter) => !kinships.has(meter))
    if (missing.length === 0) return
    const { rows } = await client.query<Row>(statements.findKin(missing))
    const found = new Map<number, { dimension: string; subscriptions: Set<number> }>()
    for (const { meter, dimension, subscription } of rows) {
      const kin = found.get(int(meter)) ?? { dimension: text(dimension), subscriptions: new Set<number>() }
      kin.subscriptions.add(int(subscription))
      found.set(int(meter), kin)
    }
    for (const [meter, { dimension, subscriptions }] of found) {
      const root = Math.min(...subscriptions)
      kinships.set(meter, { root, stripe: stripeOf(root, dimension), isAlone: subscriptions.size === 1 })
    }
  }

  /** Meters that share counters, by meter. Looked up when their lock is held: another process may have made one just now. */
  async function loadKin(client: pg.Client, of: readonly number[]): Promise<ReadonlyMap<number, number[]>> {
    const kin = new Map(of.map((meter) => [meter, [meter]]))
    const related = of.filter((meter) => !kinships.get(meter)!.isAlone)
    if (related.length === 0) return kin
    const { rows } = await client.query<Row>(statements.findKin(related))
    for (const { meter, relative } of rows)
      if (relative !== null && int(relative) !== int(meter)) kin.get(int(meter))!.push(int(relative))
    return kin
  }

  async function loadCounters(client: pg.Client, events: readonly RoutedEvent[], epoch: number) {
    const meterOf = (routed: RoutedEvent) => meters.get(nameOf(routed.subscription, routed.dimension))!
    const counted = events.filter(({ aggregation }) => aggregation !== 'sum' && aggregation !== 'count')
    const counters = createCounters()
    if (counted.length === 0) return { ...counters, kinOf: (meter: number): readonly number[] => [meter] }
    const of = [...new Set(counted.map(meterOf))]
    await loadKinships(client, of, epoch)
    // Every statement after this one sees what others counted against the same meters.
    await client.query(statements.lockStripes([...new Set(of.map((meter) => kinships.get(meter)!.stripe))]))
    const kin = await loadKin(client, of)
    await counters.load(client, counted, (routed) => kin.get(meterOf(routed))!)
    return { ...counters, kinOf: (meter: number): readonly number[] => kin.get(meter) ?? [meter] }
  }

  async function loadSameBuyers(
    client: pg.Client,
    pairs: readonly (readonly [number, number])[],
    epoch: number,
  ): Promise<(a: number, b: number) => boolean> {
    if (pairs.length === 0) return () => false
    await loadKinships(client, [...new Set(pairs.flat())], epoch)
    const { rows } = await client.query<Row>(statements.findSameBuyers(pairs))
    const same = new Set(rows.map(({ a, b }) => `${a} ${b}`))
    // One id is of one dimension: it need not be compared.
    return (a, b) => kinships.get(a)?.root === kinships.get(b)?.root || same.has(`${a} ${b}`)
  }

  return {
    learnBuckets,
    async load(client, { epoch, horizon, seen }, events) {
      await loadMeters(client, events)
      const meterOf = (routed: RoutedEvent) => meters.get(nameOf(routed.subscription, routed.dimension))!
      const findEvent = (id: string) => seen.get(id)
      const heirs = events.filter(({ hasHeir }) => hasHeir)
      if (heirs.length > 0)
        await learnBuckets(
          client,
          heirs.flatMap((routed) => routed.hours.map((hour) => ({ meter: meterOf(routed), hour }))),
        )
      const isSameBuyer = await loadSameBuyers(client, metersToCompare(events, { meterOf, findEvent }), epoch)
      return {
        ...(await loadCounters(client, events, epoch)),
        epoch,
        horizon,
        meterOf,
        findEvent,
        isSameBuyer,
        isClosed: (meter, hour) => closed.has(meter * HOURS + hour),
      }
    },
    tagSet: (key) => tagSets.get(key)?.seq,
    async keepTagSets(client, lastHours) {
      // Once an hour: a tag set is forgotten after the last event that has it, and may be by another process.
      const due = [...lastHours].filter(([key, hour]) => (tagSets.get(key)?.lastHour ?? -1) < hour)
      if (due.length === 0) return
      if (tagSets.size > TAG_SETS_MAX) {
        tagSets.clear()
        due.splice(0, due.length, ...lastHours)
      }
      const { rows } = await client.query<Row>(
        statements.keepTagSets(
          due.map(([key]) => key),
          due.map(([, hour]) => hour),
        ),
      )
      for (const { key, seq, last_hour } of rows)
        tagSets.set(text(key), { seq: int(seq), lastHour: int(last_hour) })
    },
    forget() {
      meters.clear()
      tagSets.clear()
      kinships.clear()
    },
  }
}

function createCounters() {
  const peaks = new Map<string, number>()
  const values = new Set<string>()
  const totals = new Map<string, RunningTotal>()
  return {
    peak: (meter: number, period: string) => peaks.get(`${meter} ${period}`),
    hasValue: (meter: number, period: string, value: Uint8Array) =>
      values.has(`${meter} ${period} ${keyText(value)}`),
    total: (meter: number, source: string) => totals.get(`${meter} ${source}`),
    async load(
      client: pg.Client,
      events: readonly RoutedEvent[],
      kinOf: (routed: RoutedEvent) => readonly number[],
    ): Promise<void> {
      const wanted = { max: createWanted(), unique: createWanted(), total: createWanted() }
      for (const routed of events) {
        const { aggregation, period, event } = routed
        if (aggregation === 'sum' || aggregation === 'count') continue
        const names = aggregation === 'total' ? [event.source] : [period, unbilledPeriod(period)]
        for (const meter of kinOf(routed))
          for (const name of names) wanted[aggregation].add(meter, name, event.value)
      }
      const { max, unique, total } = wanted
      await Promise.all([
        max.meters.length > 0 &&
          client.query<Row>(statements.findPeaks(max.meters, max.names)).then(({ rows }) => {
            for (const { meter, period, value } of rows) peaks.set(`${meter} ${period}`, int(value))
          }),
        unique.meters.length > 0 &&
          client
            .query<Row>(statements.findValues(unique.meters, unique.names, unique.values))
            .then(({ rows }) => {
              for (const { meter, period, value } of rows)
                values.add(`${meter} ${period} ${keyText(value as Uint8Array)}`)
            }),
        total.meters.length > 0 &&
          client.query<Row>(statements.findTotals(total.meters, total.names)).then(({ rows }) => {
            for (const row of rows)
              totals.set(`${row.meter} ${row.source}`, { total: int(row.total), time: int(row.time) })
          }),
      ])
    },
  }
}

/** Each once. */
function createWanted() {
  const known = new Set<string>()
  const [meters, names, values]: [number[], string[], Uint8Array[]] = [[], [], []]
  return {
    meters,
    names,
    values,
    add(meter: number, name: string, value: Uint8Array | undefined) {
      const key = `${meter} ${name} ${value === undefined ? '' : keyText(value)}`
      if (known.has(key)) return
      known.add(key)
      meters.push(meter)
      names.push(name)
      if (value !== undefined) values.push(value)
    },
  }
}

function nameOf(subscription: string, dimension: string): string {
  return `${subscription}\n${dimension}`
}

function stripeOf(root: number, dimension: string): number {
  return crc32(`${root} ${dimension}`) % STRIPES
}
