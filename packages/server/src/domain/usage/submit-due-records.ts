import type { Clock } from '../clock.ts'
import { ALL_WORK, type WorkShare } from '../work-share.ts'
import { AWS_RULES, MARGINS } from './aws-rules.ts'
import { hourText, MINUTE_MS } from './hour.ts'
import { isHaltingError, isSplittingError, judgeAnswer, judgeExpired } from './judge-record.ts'
import type { MeteringAnswer, MeteringService } from './metering-service.ts'
import { awsIdentityKey, type UsageRecord } from './usage-record.ts'
import type { ClaimedBatch, RecordAnswer, UsageStore } from './usage-store.ts'

/** A stopped product is tried again by itself after this long: credentials are often mended without telling us. */
const PROBE_AFTER_MS = 5 * MINUTE_MS
/** How long after a call's own timeout its process may still book the answer. */
const LEASE_MARGIN_MS = 30_000
/** Calls in one run; what is left is the next run's. */
const CALLS_MAX = 100_000
/**
 * Calls of one run for a single record that AWS may refuse again: a quarter of what our rate allows in ten seconds.
 * A whole product that AWS refuses would else take every other product's calls for hours. One node makes them.
 */
const LONE_CALLS_MAX = 22
const EXPIRE_SLICE = 200

export interface SubmitReport {
  calls: number
  accepted: number
  unanswered: number
  /** Records whose deadline passed. */
  expired: number
  halted: string[]
  /** It stopped at its time, and more is due. */
  more: boolean
}

export interface SubmitDeps {
  readonly usage: UsageStore
  readonly metering: MeteringService
  readonly clock: Clock
  readonly share?: WorkShare
  readonly timeoutMs: number
  /** Begins no call later than this after its start: what is left is the next run's. Undefined: until all is sent. */
  readonly runMs?: number | undefined
}

/**
 * Sends every record that is due: the earliest deadline first, one call for each product in turn, 25 records to a call,
 * under AWS's rate. One bad record does not stop the rest. Safe in several processes at once: records are claimed.
 */
export async function submitDueRecords(deps: SubmitDeps, signal?: AbortSignal): Promise<SubmitReport> {
  const report: SubmitReport = {
    calls: 0,
    accepted: 0,
    unanswered: 0,
    expired: 0,
    halted: [],
    more: false,
  }
  const until = deps.clock.now() + (deps.runMs ?? Number.POSITIVE_INFINITY)
  await expireRecords(deps, report, signal)
  const share = deps.share ?? ALL_WORK
  // Asked also where nothing is due: what another node passes on has its new one before it is.
  const triesSuspects = await share.keeps('suspects')
  // In turn, so that a product with many records does not keep the others waiting; what falls due meanwhile is the next run's.
  const products = (await deps.usage.listSendable(deps.clock.now())).map(({ product }) => product)
  if (products.length === 0) return report
  const run: Run = { deps, report, signal, loneCallsLeft: triesSuspects ? LONE_CALLS_MAX : 0 }
  let isWell = false
  try {
    await sendInTurn(run, products, until)
    isWell = report.unanswered === 0 && report.halted.length === 0
  } finally {
    // Whoever does not reach AWS, or may not call it, must not keep what nobody else may try meanwhile.
    if (triesSuspects && !isWell) await share.passOn('suspects').catch(() => {})
  }
  return report
}

/** One call for each product, and again, until nothing is due or its time is over. */
async function sendInTurn(run: Run, products: readonly string[], until: number): Promise<void> {
  const { deps, report, signal } = run
  while (products.length > 0 && report.calls < CALLS_MAX && !signal?.aborted) {
    const goOn: string[] = []
    for (const product of products) {
      if (signal?.aborted) break
      if (deps.clock.now() >= until) {
        report.more = true
        return
      }
      if (await submitOne(run, product)) goOn.push(product)
    }
    products = goOn
  }
}

interface Run {
  readonly deps: SubmitDeps
  readonly report: SubmitReport
  readonly signal: AbortSignal | undefined
  loneCallsLeft: number
}

/** One call, or its halves. @returns `false` when the product has nothing more to send, or should wait for the next run */
async function submitOne(run: Run, product: string, only?: readonly string[]): Promise<boolean> {
  const { deps, report } = run
  const batch = await deps.usage.claim({
    product,
    now: deps.clock.now(),
    leaseMs: deps.timeoutMs + LEASE_MARGIN_MS,
    spacingMs: Math.ceil(1000 / MARGINS.callsPerSecond),
    sizeOf: (record) => deps.metering.sizeOf(record),
    requestOf: (records) => deps.metering.requestOf(records),
    withoutSuspects: run.loneCallsLeft <= 0,
    ...(only && { only }),
  })
  if (batch === undefined) return only !== undefined
  if (batch.alone) run.loneCallsLeft--
  const wait = batch.sendAt - deps.clock.now()
  // Not interruptible: a claimed record is sent, so that stopping leaves no doubt behind.
  if (wait > 0) await deps.clock.sleep(wait)
  const answer = await deps.metering.batchMeterUsage(batch.region, batch.records)
  report.calls++
  const settled = await book(deps, batch, answer, report)
  if (answer.error === undefined) return answer.outcome === 'answered'
  return handleError(run, batch, answer.error, settled)
}

async function book(
  deps: SubmitDeps,
  batch: ClaimedBatch,
  answer: MeteringAnswer,
  report: SubmitReport,
): Promise<readonly UsageRecord[]> {
  const now = deps.clock.now()
  const answers = new Map<string, RecordAnswer>()
  for (const record of batch.records) {
    const found = answer.answers.get(record.id)
    answers.set(record.id, found ?? { kind: 'unanswered', reason: 'AWS did not mention it in its answer' })
  }
  const settled = await deps.usage.settle(
    batch.attempt,
    { outcome: answer.outcome, response: answer.response, finishedAt: now },
    answers,
    (record, subscription, recordAnswer) => judgeAnswer(record, subscription, recordAnswer, now),
  )
  for (const record of settled) {
    if (record.state === 'accepted') report.accepted++
    await raiseAlarm(deps.usage, record, now)
  }
  if (answer.outcome === 'unanswered') report.unanswered++
  // AWS speaks of records again, whatever it says of these: the product is no longer refused as a whole.
  const spoke =
    answer.outcome === 'answered' && (answer.error === undefined || isSplittingError(answer.error.code))
  if (batch.probe && spoke) await deps.usage.resume(batch.product, 'system', now)
  await endIsolation(deps, batch, settled)
  return settled
}

/** A success alone ends an isolation. */
async function endIsolation(
  deps: SubmitDeps,
  batch: ClaimedBatch,
  settled: readonly UsageRecord[],
): Promise<void> {
  if (batch.alone && settled.some(({ state }) => state === 'accepted')) {
    const [record] = batch.records
    await deps.usage.isolate(batch.product, 'dimension', record!.dimension, false)
    await deps.usage.isolate(batch.product, 'identity', awsIdentityKey(record!.identity), false)
  }
}

async function handleError(
  run: Run,
  batch: ClaimedBatch,
  error: { code: string; message: string },
  settled: readonly UsageRecord[],
): Promise<boolean> {
  const { deps, report } = run
  if (isSplittingError(error.code)) {
    if (batch.records.length > 1) return submitHalves(run, batch, settled)
    await isolatePoison(deps, batch.records[0]!, error)
    return true
  }
  if (isHaltingError(error.code)) {
    const now = deps.clock.now()
    report.halted.push(batch.product)
    const reason = `${error.code}: ${error.message}`
    await deps.usage.halt({ product: batch.product, reason, since: now, probeAt: now + PROBE_AFTER_MS })
    await deps.usage.raise({
      kind: 'halted',
      subject: batch.product,
      message: `AWS refuses every call for this product: ${reason}`,
      at: now,
    })
  }
  return false
}

/** AWS refuses a whole request for one bad record: halves find it, and the others are billed. At most five levels deep. */
async function submitHalves(
  run: Run,
  batch: ClaimedBatch,
  settled: readonly UsageRecord[],
): Promise<boolean> {
  const ids = settled.filter(({ state }) => state === 'ready' || state === 'sent').map(({ id }) => id)
  const middle = Math.ceil(ids.length / 2)
  let goOn = true
  for (const half of [ids.slice(0, middle), ids.slice(middle)]) {
    if (half.length > 0 && goOn) goOn = await submitOne(run, batch.product, half)
  }
  return goOn
}

async function isolatePoison(
  deps: SubmitDeps,
  record: UsageRecord,
  error: { code: string; message: string },
): Promise<void> {
  const now = deps.clock.now()
  const subject = `${record.product}/${record.dimension}`
  if (error.code === 'InvalidUsageDimensionException')
    await deps.usage.isolate(record.product, 'dimension', record.dimension, true)
  if (error.code === 'InvalidLicenseException' || error.code === 'InvalidCustomerIdentifierException') {
    await deps.usage.isolate(record.product, 'identity', awsIdentityKey(record.identity), true)
  }
  await deps.usage.raise({
    kind: 'poison',
    subject,
    message: `AWS refuses ${record.id} (${error.code}): ${error.message}`,
    at: now,
  })
}

async function expireRecords(deps: SubmitDeps, report: SubmitReport, signal?: AbortSignal): Promise<void> {
  while (!signal?.aborted) {
    const now = deps.clock.now()
    const expired = await deps.usage.expire(now, EXPIRE_SLICE, (record, subscription) =>
      judgeExpired(record, subscription, now),
    )
    report.expired += expired.length
    for (const record of expired) await raiseAlarm(deps.usage, record, now)
    if (expired.length < EXPIRE_SLICE) return
  }
}

async function raiseAlarm(usage: UsageStore, record: UsageRecord, now: number): Promise<void> {
  if (record.state !== 'conflict' && record.state !== 'in_doubt' && record.state !== 'refused') return
  if (record.quantity === 0) return
  const what = `${record.quantity} ${record.dimension} of ${hourText(record.hour)}`
  await usage.raise({
    kind: record.state,
    subject: record.id,
    message: `${what}: ${record.note ?? record.state}`,
    at: now,
  })
}

/** Records in one call at most, by AWS's rule and our margin. */
export const PACKING = { recordsMax: AWS_RULES.batchRecordsMax, bytesMax: MARGINS.batchBytes } as const
