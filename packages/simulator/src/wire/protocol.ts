import { decode, encode, Tagged } from 'cborg'
import { AwsError } from '../marketplace/aws-error.ts'

/** How a service writes its messages: awsJson1_0 or 1_1, or Smithy RPC v2 CBOR. */
export interface Protocol {
  readonly contentType: string
  readonly headers: Readonly<Record<string, string>>
  /** @throws {AwsError} `SerializationException` for a body that cannot be read */
  decode(body: string | Uint8Array): unknown
  encode(value: object): string | Uint8Array
}

/** Deepest nesting of a request; the deepest real one (tags of an allocation) has seven levels. */
const CBOR_DEPTH_MAX = 32

const JSON_1_1: Protocol = {
  contentType: 'application/x-amz-json-1.1',
  headers: {},
  decode(body) {
    const text = typeof body === 'string' ? body : Buffer.from(body).toString()
    if (text === '') return {}
    try {
      return JSON.parse(text)
    } catch (error) {
      throw unreadable(error)
    }
  },
  encode: (value) => JSON.stringify(value),
}

const JSON_1_0: Protocol = { ...JSON_1_1, contentType: 'application/x-amz-json-1.0' }

const RPC_V2_CBOR: Protocol = {
  contentType: 'application/cbor',
  headers: { 'smithy-protocol': 'rpc-v2-cbor' },
  decode(body) {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body
    if (bytes.length === 0) return {}
    try {
      return decode(bytes, { rejectDuplicateMapKeys: true, tags: { 1: (content) => content() } })
    } catch (error) {
      throw unreadable(error)
    }
  },
  encode: (value) => encode(tagTimestamps(value, 0)),
}

/** @param target - the operation, whose service decides on the version of JSON */
export function protocolOf(contentType: string | undefined, target = ''): Protocol {
  if (contentType?.startsWith('application/cbor')) return RPC_V2_CBOR
  return target.startsWith(AGREEMENT_SERVICE) ? JSON_1_0 : JSON_1_1
}

export const AGREEMENT_SERVICE = 'AWSMPCommerceService_v20200301'

/** Members that are timestamps, and so carry tag 1 in CBOR; in JSON they are plain numbers. */
const TIMESTAMPS = new Set([
  'ExpirationDate',
  'Timestamp',
  'acceptanceTime',
  'startTime',
  'endTime',
  'lastUpdateTime',
  'agreementStartDate',
  'agreementEndDate',
  'createdAt',
  'updatedAt',
])

function tagTimestamps(value: unknown, depth: number): unknown {
  if (depth > CBOR_DEPTH_MAX || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => tagTimestamps(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      TIMESTAMPS.has(key) && member !== null ? new Tagged(1, member) : tagTimestamps(member, depth + 1),
    ]),
  )
}

function unreadable(cause: unknown): AwsError {
  return new AwsError(
    'SerializationException',
    `The body cannot be read: ${String((cause as Error).message).slice(0, 200)}`,
  )
}
