import { createHash } from 'node:crypto'
import type { MessageAttribute } from '../delivery/queue.ts'
import { AwsError } from '../marketplace/aws-error.ts'

const ATTRIBUTES_MAX = 10
const NAME = /^(?!aws\.|amazon\.)[A-Za-z0-9_.-]{1,256}$/i
const TYPE = /^(String|Number|Binary)(\.[\x20-\x7e]{1,249})?$/

/** @throws {AwsError} `InvalidParameterValue` */
export function readMessageAttributes(value: unknown): Record<string, MessageAttribute> | undefined {
  if (value === undefined || value === null) return undefined
  const entries = Object.entries(value as Record<string, MessageAttribute | null>)
  if (entries.length === 0) return undefined
  if (entries.length > ATTRIBUTES_MAX) {
    throw invalid(
      `Number of message attributes [${entries.length}] exceeds the allowed maximum [${ATTRIBUTES_MAX}].`,
    )
  }
  return Object.fromEntries(
    entries.map(([name, attribute]) => {
      const { DataType, StringValue, BinaryValue } = attribute ?? {}
      if (!NAME.test(name)) throw invalid(`The message attribute name '${name}' is invalid.`)
      if (!TYPE.test(String(DataType ?? ''))) {
        throw invalid(`The type of message (user) attribute '${name}' is invalid.`)
      }
      const isBinary = DataType?.startsWith('Binary')
      const given = isBinary ? BinaryValue : StringValue
      if (typeof given !== 'string' || given === '') {
        throw invalid(`The message (user) attribute '${name}' must contain a non-empty value.`)
      }
      return [name, { DataType: String(DataType), [isBinary ? 'BinaryValue' : 'StringValue']: given }]
    }),
  )
}

/**
 * What SDKs check the attributes of a message by.
 *
 * @see {@link https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html | Message metadata}
 */
export function md5OfAttributes(attributes: Readonly<Record<string, MessageAttribute>>): string {
  const hash = createHash('md5')
  const add = (bytes: Buffer) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    hash.update(length).update(bytes)
  }
  for (const name of Object.keys(attributes).sort()) {
    const { DataType = '', StringValue = '', BinaryValue } = attributes[name] ?? {}
    add(Buffer.from(name))
    add(Buffer.from(DataType))
    hash.update(Buffer.from([BinaryValue === undefined ? 1 : 2]))
    add(BinaryValue === undefined ? Buffer.from(StringValue) : Buffer.from(BinaryValue, 'base64'))
  }
  return hash.digest('hex')
}

function invalid(message: string): AwsError {
  return new AwsError('InvalidParameterValue', message)
}
