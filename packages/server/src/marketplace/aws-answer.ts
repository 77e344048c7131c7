import { licenseTail } from '../domain/subscriptions/subscription.ts'
import { type Hour, hourOf } from '../domain/usage/hour.ts'
import type { MeteringAnswer } from '../domain/usage/metering-service.ts'
import { awsIdentityKey, type UsageRecord } from '../domain/usage/usage-record.ts'
import type { RecordAnswer } from '../domain/usage/usage-store.ts'
import { type Exchange, isRecord } from './aws-exchange.ts'

/** What an attempt's row keeps of an answer. A full batch with its echoes is far shorter. */
const RESPONSE_LENGTH_MAX = 200_000
const MESSAGE_LENGTH_MAX = 500

/**
 * What one `BatchMeterUsage` exchange means for each record. Three things are told apart:
 *
 * - **Taken or not, in AWS's words**: a 2xx whose body names the record.
 * - **Certainly not taken**: AWS refused the request by name with a 4xx, or not a byte of it left.
 * - **Nobody knows**: everything else. That includes a 4xx without a name AWS gives its errors: a proxy, a load
 *   balancer (408, 499) or a firewall may answer after it passed the request on. To think wrongly that AWS does not
 *   have it would bill twice; to doubt wrongly costs another attempt.
 */
export function meteringAnswer(records: readonly UsageRecord[], exchange: Exchange): MeteringAnswer {
  if (exchange.kind === 'failure') {
    const response = JSON.stringify({ sent: exchange.sent, code: exchange.code, message: exchange.message })
    if (exchange.sent === 'maybe') return unanswered(records, exchange.message, response)
    const { code, message } = exchange
    const answer = refusedRequest(records, code, message, 'unanswered', response)
    // A connection comes back by itself; credentials and addresses wait for a person.
    const forPerson = code === 'CredentialsUnavailable' || code === 'EndpointNotAllowed'
    return forPerson ? { ...answer, error: { code, message } } : answer
  }

  const { status } = exchange
  const body = parseJson(exchange.body)
  const response = responseText(exchange, body)
  if (status >= 200 && status < 300) {
    if (!isRecord(body)) return unanswered(records, `HTTP ${status} whose body is not JSON`, response)
    const answers = answersOf(records, body)
    return { outcome: answers.size > 0 ? 'answered' : 'unanswered', response, answers }
  }
  const error = awsError(exchange, body)
  if (status >= 400 && status < 500 && error) {
    const { code, message } = error
    return { ...refusedRequest(records, code, message, 'answered', response), error }
  }
  return unanswered(records, `HTTP ${status}${error ? ` ${error.code}` : ''}`, response)
}

/** AWS's name for what went wrong, where the answer is AWS's. */
export function awsError(
  exchange: Extract<Exchange, { kind: 'response' }>,
  body: unknown = parseJson(exchange.body),
): { code: string; message: string } | undefined {
  const fields = isRecord(body) ? body : {}
  const named = [fields.__type, fields.code, exchange.errorType].find((name) => typeof name === 'string')
  // `com.amazonaws.marketplacemetering#ThrottlingException`, `ThrottlingException:http://…`
  const code = named?.split(',')[0]?.split(':')[0]?.split('#').at(-1)?.trim()
  if (code === undefined || !/^[A-Za-z][A-Za-z0-9_.]{0,127}$/.test(code)) return undefined
  const message = [fields.message, fields.Message].find((text) => typeof text === 'string') ?? ''
  return { code, message: message.slice(0, MESSAGE_LENGTH_MAX) }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unanswered(records: readonly UsageRecord[], reason: string, response: string): MeteringAnswer {
  const answers = new Map<string, RecordAnswer>()
  for (const { id } of records) answers.set(id, { kind: 'unanswered', reason })
  return { outcome: 'unanswered', response, answers }
}

function refusedRequest(
  records: readonly UsageRecord[],
  code: string,
  message: string,
  outcome: MeteringAnswer['outcome'],
  response: string,
): MeteringAnswer {
  const answers = new Map<string, RecordAnswer>()
  const alone = records.length === 1
  for (const { id } of records) answers.set(id, { kind: 'refused_request', code, message, alone })
  return { outcome, response, answers }
}

/**
 * Finds our records among those that AWS speaks of. It echoes each record, but not to the letter: times come back
 * truncated, and a license in another spelling. What it says of others is kept in the response and changes nothing.
 */
function answersOf(
  records: readonly UsageRecord[],
  body: Record<string, unknown>,
): Map<string, RecordAnswer> {
  const ids = new Map<string, string>()
  for (const record of records)
    ids.set(keyOf(awsIdentityKey(record.identity), record.dimension, record.hour), record.id)
  const productCode = records[0]?.identity.kind === 'legacy' ? records[0].identity.productCode : ''
  const idOf = (echo: unknown) => {
    const key = keyOfEcho(echo, productCode)
    return key === undefined ? undefined : ids.get(key)
  }

  const answers = new Map<string, RecordAnswer>()
  for (const echo of listOf(body.UnprocessedRecords)) {
    const id = idOf(echo)
    if (id !== undefined) answers.set(id, { kind: 'unprocessed' })
  }
  for (const result of listOf(body.Results)) {
    if (!isRecord(result)) continue
    const id = idOf(result.UsageRecord)
    const before = id === undefined ? undefined : answers.get(id)
    // Said to be taken once, it is taken, whatever else is said of it.
    if (id === undefined || (before?.kind === 'result' && before.status === 'Success')) continue
    const { Status: status, MeteringRecordId: meteringRecordId } = result
    if (typeof status !== 'string' || status === '') {
      answers.set(id, { kind: 'unanswered', reason: 'AWS gave it no status' })
    } else {
      answers.set(id, {
        kind: 'result',
        status,
        ...(typeof meteringRecordId === 'string' ? { meteringRecordId } : {}),
      })
    }
  }
  return answers
}

function keyOfEcho(echo: unknown, productCode: string): string | undefined {
  if (!isRecord(echo)) return undefined
  const { LicenseArn: license, CustomerIdentifier: customer, Dimension: dimension } = echo
  const hour = hourOfEcho(echo.Timestamp)
  if (typeof dimension !== 'string' || hour === undefined) return undefined
  if (typeof license === 'string' && license !== '')
    return keyOf(`license:${licenseTail(license)}`, dimension, hour)
  if (typeof customer === 'string' && customer !== '') {
    return keyOf(`legacy:${productCode}:${customer}`, dimension, hour)
  }
  return undefined
}

function keyOf(identity: string, dimension: string, hour: Hour): string {
  return JSON.stringify([identity, dimension, hour])
}

/** Seconds since the epoch as AWS writes them, or any spelling of a date. */
function hourOfEcho(timestamp: unknown): Hour | undefined {
  const seconds = typeof timestamp === 'number' ? timestamp : Number.NaN
  const text = typeof timestamp === 'string' ? timestamp : ''
  const time = Number.isFinite(seconds)
    ? seconds * 1000
    : /^\d+(\.\d+)?$/.test(text)
      ? Number(text) * 1000
      : Date.parse(text)
  // 1795168800.123 × 1000 is not whole in floats
  return Number.isFinite(time) ? hourOf(Math.round(time)) : undefined
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function responseText(exchange: Extract<Exchange, { kind: 'response' }>, body: unknown): string {
  const { status, requestId } = exchange
  const whole = exchange.body.length <= RESPONSE_LENGTH_MAX
  const shown = whole ? (body ?? exchange.body) : exchange.body.slice(0, RESPONSE_LENGTH_MAX)
  return JSON.stringify({ status, requestId, body: shown, ...(whole ? {} : { cut: true }) })
}
