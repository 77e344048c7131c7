import type pg from 'pg'
import { BUCKET_MAX } from '../ingest/outcomes.ts'
import type { Placed } from '../ingest/place-event.ts'
import { byteaArray, int8Array, textArray } from './postgres-arrays.ts'

type Statement = pg.QueryConfig<unknown[]>

/**
 * Ingest shuts out what changes whom usage is resolved to, and not other ingest: the weakest lock that theirs does not go
 * with. What is read after it is as it will be at the commit.
 */
export const BEGIN_INGEST = `BEGIN ISOLATION LEVEL READ COMMITTED; LOCK TABLE ingest_gate IN ROW EXCLUSIVE MODE;
  SELECT name, value FROM ledger WHERE name IN ('epoch', 'horizon')`

/**
 * Every statement here looks rows up by their keys. A plan is made once, and that may be while a table is nearly empty: it must
 * not be one that reads all of it, ever after.
 */
export const PLAN_BY_KEYS =
  'SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off'

export function findEvents(keys: readonly Uint8Array[]): Statement {
  return {
    name: 'ingest_find_events',
    text: `SELECT e.key, e.meter, e.time, e.quantity, e.value, e.state, e.received_at, t.key AS tags
           FROM usage_event e LEFT JOIN tag_set t ON t.seq = e.tags WHERE e.key = ANY ($1::bytea[])`,
    values: [byteaArray(keys)],
  }
}

export interface MeterName {
  readonly subscription: string
  readonly dimension: string
}

export function findMeters(names: readonly MeterName[]): Statement {
  return {
    name: 'ingest_find_meters',
    text: `SELECT s.id AS subscription, m.dimension, m.seq FROM unnest($1::text[], $2::text[]) AS x (subscription, dimension)
           JOIN subscription s ON s.id = x.subscription JOIN meter m ON m.subscription = s.seq AND m.dimension = x.dimension`,
    values: [
      textArray(names.map(({ subscription }) => subscription)),
      textArray(names.map(({ dimension }) => dimension)),
    ],
  }
}

export interface NewMeter extends MeterName {
  readonly product: string
  readonly scale: number
  readonly aggregation: string
  readonly per?: string | undefined
}

export function addMeters(meters: readonly NewMeter[]): Statement {
  return {
    name: 'ingest_add_meters',
    text: `INSERT INTO meter (subscription, dimension, product, scale, aggregation, per)
           SELECT s.seq, x.dimension, x.product, x.scale, x.aggregation, x.per
           FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[]) AS x (subscription, dimension, product, scale, aggregation, per)
           JOIN subscription s ON s.id = x.subscription ORDER BY s.seq, x.dimension ON CONFLICT (subscription, dimension) DO NOTHING`,
    values: [
      textArray(meters.map(({ subscription }) => subscription)),
      textArray(meters.map(({ dimension }) => dimension)),
      textArray(meters.map(({ product }) => product)),
      int8Array(meters.map(({ scale }) => scale)),
      textArray(meters.map(({ aggregation }) => aggregation)),
      textArray(meters.map(({ per }) => per ?? null)),
    ],
  }
}

/**
 * Subscriptions that renew each other, by any of their meters: the first of them, how many there are, and the meters of the same
 * dimension.
 */
export function findKin(meters: readonly number[]): Statement {
  return {
    name: 'ingest_find_kin',
    text: `WITH RECURSIVE kin (meter, dimension, id) AS (
             SELECT m.seq, m.dimension, s.id FROM meter m JOIN subscription s ON s.seq = m.subscription WHERE m.seq = ANY ($1::bigint[])
             UNION SELECT k.meter, k.dimension, n.id FROM kin k JOIN subscription o ON o.id = k.id JOIN subscription n ON n.id = o.successor OR n.successor = o.id
           ) SELECT k.meter, k.dimension, s.seq AS subscription, r.seq AS relative FROM kin k JOIN subscription s ON s.id = k.id
             LEFT JOIN meter r ON r.subscription = s.seq AND r.dimension = k.dimension`,
    values: [int8Array(meters)],
  }
}

/** Pairs of meters whose subscriptions are one buyer's, one of them ended: a buyer who left and came back. */
export function findSameBuyers(pairs: readonly (readonly [number, number])[]): Statement {
  return {
    name: 'ingest_find_same_buyers',
    text: `SELECT a.seq AS a, b.seq AS b FROM unnest($1::bigint[], $2::bigint[]) AS p (a, b)
           JOIN meter a ON a.seq = p.a JOIN subscription x ON x.seq = a.subscription JOIN meter b ON b.seq = p.b JOIN subscription y ON y.seq = b.subscription
           WHERE (x.access_end IS NOT NULL OR y.access_end IS NOT NULL)
             AND (x.customer_identifier = y.customer_identifier OR x.customer_aws_account_id = y.customer_aws_account_id OR x.tenant_id = y.tenant_id)`,
    values: [int8Array(pairs.map(([a]) => a)), int8Array(pairs.map(([, b]) => b))],
  }
}

/** Whoever else counts against the same peaks, values or totals waits until this transaction is over. In order: no two wait for each other. */
export function lockStripes(stripes: readonly number[]): Statement {
  return {
    name: 'ingest_lock_stripes',
    text: `SELECT pg_advisory_xact_lock(${STRIPE_SPACE}, stripe::int) FROM (SELECT unnest($1::bigint[]) AS stripe ORDER BY 1) s`,
    values: [int8Array(stripes)],
  }
}
/** Of our locks by number: the first half of each. */
const STRIPE_SPACE = 1_416_588_365

/** Pairs of a meter and a period, or a source: the same length each. */
export function findPeaks(meters: readonly number[], periods: readonly string[]): Statement {
  return {
    name: 'ingest_find_peaks',
    text: 'SELECT p.meter, p.period, p.value FROM unnest($1::bigint[], $2::text[]) AS x (meter, period) JOIN peak p USING (meter, period)',
    values: [int8Array(meters), textArray(periods)],
  }
}

export function findTotals(meters: readonly number[], sources: readonly string[]): Statement {
  return {
    name: 'ingest_find_totals',
    text: 'SELECT t.meter, t.source, t.total, t.time FROM unnest($1::bigint[], $2::text[]) AS x (meter, source) JOIN running_total t USING (meter, source)',
    values: [int8Array(meters), textArray(sources)],
  }
}

export function findValues(
  meters: readonly number[],
  periods: readonly string[],
  values: readonly Uint8Array[],
): Statement {
  return {
    name: 'ingest_find_values',
    text: 'SELECT v.meter, v.period, v.value FROM unnest($1::bigint[], $2::text[], $3::bytea[]) AS x (meter, period, value) JOIN seen_value v USING (meter, period, value)',
    values: [int8Array(meters), textArray(periods), byteaArray(values)],
  }
}

export interface BucketName {
  readonly meter: number
  readonly hour: number
}

export function findBuckets(buckets: readonly BucketName[]): Statement {
  return {
    name: 'ingest_find_buckets',
    text: 'SELECT b.meter, b.hour, b.status, b.quantity, b.unbillable FROM unnest($1::bigint[], $2::bigint[]) AS x (meter, hour) JOIN bucket b USING (meter, hour)',
    values: [int8Array(buckets.map(({ meter }) => meter)), int8Array(buckets.map(({ hour }) => hour))],
  }
}

export function keepTagSets(keys: readonly string[], lastHours: readonly number[]): Statement {
  return {
    name: 'ingest_keep_tag_sets',
    text: `INSERT INTO tag_set (key, last_hour) SELECT * FROM unnest($1::text[], $2::bigint[]) ORDER BY 1
           ON CONFLICT (key) DO UPDATE SET last_hour = GREATEST(tag_set.last_hour, excluded.last_hour) RETURNING key, seq, last_hour`,
    values: [textArray(keys), int8Array(lastHours)],
  }
}

export interface Amount extends BucketName {
  readonly quantity: bigint
  readonly events: readonly unknown[]
}

/** Returns those that took it: a bucket that is closed, or has no room for all of it, takes nothing. */
export function addToBuckets(amounts: readonly Amount[]): Statement {
  return {
    name: 'ingest_add_to_buckets',
    text: `INSERT INTO bucket (meter, hour, quantity, events) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) ORDER BY 1, 2
           ON CONFLICT (meter, hour) DO UPDATE SET quantity = bucket.quantity + excluded.quantity, events = bucket.events + excluded.events, status = 0
           WHERE bucket.status IN (0, 3) AND bucket.quantity <= ${BUCKET_MAX} - excluded.quantity`,
    values: [
      int8Array(amounts.map(({ meter }) => meter)),
      int8Array(amounts.map(({ hour }) => hour)),
      int8Array(amounts.map(({ quantity }) => quantity)),
      int8Array(amounts.map(({ events }) => events.length)),
    ],
  }
}

/** What nobody is billed for is booked beside the quantity, whatever the bucket's status. */
export function addUnbillable(amounts: readonly Amount[]): Statement {
  return {
    name: 'ingest_add_unbillable',
    text: `INSERT INTO bucket (meter, hour, unbillable, status) SELECT *, 3 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) ORDER BY 1, 2
           ON CONFLICT (meter, hour) DO UPDATE SET unbillable = bucket.unbillable + excluded.unbillable WHERE bucket.unbillable <= ${BUCKET_MAX} - excluded.unbillable`,
    values: [
      int8Array(amounts.map(({ meter }) => meter)),
      int8Array(amounts.map(({ hour }) => hour)),
      int8Array(amounts.map(({ quantity }) => quantity)),
    ],
  }
}

export interface TagShare extends BucketName {
  readonly tags: number
  readonly quantity: bigint
}

/** Of buckets that this transaction holds. Past AWS's bound, what has another tag set counts as untagged: it is part of the bucket alone. */
export function addTags(shares: readonly TagShare[], tagSetsMax: number): Statement {
  return {
    name: 'ingest_add_tags',
    text: `WITH x AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS x (meter, hour, tags, quantity, place)),
             taken AS (SELECT t.meter, t.hour, COUNT(*) AS sets FROM (SELECT DISTINCT meter, hour FROM x) b JOIN bucket_tag t USING (meter, hour) GROUP BY t.meter, t.hour),
             ranked AS (SELECT x.*, t.tags IS NOT NULL AS known, row_number() OVER (PARTITION BY x.meter, x.hour, t.tags IS NULL ORDER BY x.place) AS rank
                        FROM x LEFT JOIN bucket_tag t USING (meter, hour, tags))
           INSERT INTO bucket_tag (meter, hour, tags, quantity)
           SELECT r.meter, r.hour, r.tags, r.quantity FROM ranked r LEFT JOIN taken USING (meter, hour) WHERE r.known OR COALESCE(taken.sets, 0) + r.rank <= $5
           ON CONFLICT (meter, hour, tags) DO UPDATE SET quantity = bucket_tag.quantity + excluded.quantity`,
    values: [
      int8Array(shares.map(({ meter }) => meter)),
      int8Array(shares.map(({ hour }) => hour)),
      int8Array(shares.map(({ tags }) => tags)),
      int8Array(shares.map(({ quantity }) => quantity)),
      tagSetsMax,
    ],
  }
}

export function setPeaks(
  peaks: readonly { readonly meter: number; readonly period: string; readonly peak: number }[],
): Statement {
  return {
    name: 'ingest_set_peaks',
    text: `INSERT INTO peak (meter, period, value) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])
           ON CONFLICT (meter, period) DO UPDATE SET value = excluded.value`,
    values: [
      int8Array(peaks.map(({ meter }) => meter)),
      textArray(peaks.map(({ period }) => period)),
      int8Array(peaks.map(({ peak }) => peak)),
    ],
  }
}

export function addValues(
  values: readonly { readonly meter: number; readonly period: string; readonly value: Uint8Array }[],
): Statement {
  return {
    name: 'ingest_add_values',
    text: 'INSERT INTO seen_value (meter, period, value) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])',
    values: [
      int8Array(values.map(({ meter }) => meter)),
      textArray(values.map(({ period }) => period)),
      byteaArray(values.map(({ value }) => value)),
    ],
  }
}

export function setTotals(
  totals: readonly {
    readonly meter: number
    readonly source: string
    readonly total: number
    readonly time: number
  }[],
): Statement {
  return {
    name: 'ingest_set_totals',
    text: `INSERT INTO running_total (meter, source, total, time) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[])
           ON CONFLICT (meter, source) DO UPDATE SET total = excluded.total, time = excluded.time`,
    values: [
      int8Array(totals.map(({ meter }) => meter)),
      textArray(totals.map(({ source }) => source)),
      int8Array(totals.map(({ total }) => total)),
      int8Array(totals.map(({ time }) => time)),
    ],
  }
}

/** Sorted by key: two transactions that have the same ids wait for each other in one order. */
export function addEvents(
  placed: readonly Placed<number>[],
  tagsOf: (placed: Placed<number>) => number | null,
): Statement {
  const rows = [...placed].sort((a, b) => Buffer.compare(a.routed.key, b.routed.key))
  return {
    name: 'ingest_add_events',
    text: `INSERT INTO usage_event (key, hour, meter, time, quantity, delta, counted, received_at, tags, state, id, source, value)
           SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::bytea[])
           ON CONFLICT (key) DO NOTHING`,
    values: [
      byteaArray(rows.map(({ routed }) => routed.key)),
      int8Array(rows.map(({ hour }) => hour)),
      int8Array(rows.map(({ meter }) => meter)),
      int8Array(rows.map(({ routed }) => routed.event.time)),
      int8Array(rows.map(({ routed }) => routed.event.quantity)),
      int8Array(rows.map(({ delta }) => delta)),
      int8Array(rows.map(({ counted }) => counted)),
      int8Array(rows.map(({ now }) => now)),
      int8Array(rows.map(tagsOf)),
      int8Array(rows.map(({ state }) => state)),
      textArray(rows.map(({ routed }) => routed.event.id)),
      textArray(rows.map(({ routed }) => routed.event.source)),
      byteaArray(rows.map(({ routed }) => routed.event.value ?? null)),
    ],
  }
}

export function findAccessStarts(meters: readonly number[]): Statement {
  return {
    name: 'ingest_find_access_starts',
    text: 'SELECT m.seq AS meter, s.access_start FROM meter m JOIN subscription s ON s.seq = m.subscription WHERE m.seq = ANY ($1::bigint[])',
    values: [int8Array(meters)],
  }
}

export interface AcrossAmount {
  readonly subject: string
  readonly product: string
  readonly months: number
  readonly agreements: number
  readonly amount: bigint
}

export function addLateAcross(across: readonly AcrossAmount[]): Statement {
  return {
    name: 'ingest_add_late_across',
    text: `INSERT INTO late_across (subject, product, months, agreements, amount) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) ORDER BY 1
           ON CONFLICT (subject) DO UPDATE SET months = late_across.months + excluded.months, agreements = late_across.agreements + excluded.agreements,
             amount = LEAST(late_across.amount + excluded.amount, ${BUCKET_MAX}) RETURNING subject, amount`,
    values: [
      textArray(across.map(({ subject }) => subject)),
      textArray(across.map(({ product }) => product)),
      int8Array(across.map(({ months }) => months)),
      int8Array(across.map(({ agreements }) => agreements)),
      int8Array(across.map(({ amount }) => amount)),
    ],
  }
}

export interface RaisedAlarm {
  readonly subject: string
  readonly message: string
  readonly raised: number
  readonly firstAt: number
  readonly lastAt: number
}

export function raiseLateAcross(alarms: readonly RaisedAlarm[]): Statement {
  return {
    name: 'ingest_raise_late_across',
    text: `INSERT INTO alarm (kind, subject, message, raised, first_at, last_at) SELECT 'late_across_edge', * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) ORDER BY 2
           ON CONFLICT (kind, subject) DO UPDATE SET message = excluded.message, raised = alarm.raised + excluded.raised, last_at = GREATEST(alarm.last_at, excluded.last_at)`,
    values: [
      textArray(alarms.map(({ subject }) => subject)),
      textArray(alarms.map(({ message }) => message)),
      int8Array(alarms.map(({ raised }) => raised)),
      int8Array(alarms.map(({ firstAt }) => firstAt)),
      int8Array(alarms.map(({ lastAt }) => lastAt)),
    ],
  }
}
