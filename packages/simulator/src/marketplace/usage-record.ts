import { AwsError } from './aws-error.ts'
import {
  isRequired,
  readList,
  readObject,
  readOptionalInteger,
  readOptionalString,
  readTimestamp,
  violates,
} from './shapes.ts'

/** Most records of one `BatchMeterUsage` call (API model 2016-01-14, botocore 1.43.107). */
export const RECORDS_MAX = 25
/** Largest quantity of a record or an allocation (same model). */
export const QUANTITY_MAX = 2_147_483_647
/** Most allocations of one record (same model). */
const ALLOCATIONS_MAX = 2_500
/** Most tags of an allocation, and most tag keys of a record (same model; AWS's agent toolkit). */
const TAGS_MAX = 5
const TAG_KEY_LENGTH_MAX = 100
const TAG_VALUE_LENGTH_MAX = 256
/** The model's own pattern; ` -=` is a range in it, from space to the equals sign. */
const TAG_CHARACTERS = /^[a-zA-Z0-9+ -=._:/@]+$/
const LICENSE_ARN =
  /^arn:aws[a-zA-Z-]*:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,1023}$/

/** One line of a usage record split by tags, in the words of the wire. */
export interface UsageAllocation {
  readonly AllocatedUsageQuantity: number
  readonly Tags?: readonly UsageTag[]
}

export interface UsageTag {
  readonly Key: string
  readonly Value: string
}

/** A usage record whose fields have the right shapes; whether its content holds is judged later. */
export interface UsageRecord {
  /** Epoch milliseconds. */
  readonly timestamp: number
  readonly dimension: string
  readonly quantity: number
  readonly customerIdentifier?: string
  readonly accountId?: string
  readonly licenseArn?: string
  readonly allocations?: readonly UsageAllocation[]
}

/** @throws {AwsError} `SerializationException`, `ValidationException`, `InvalidLicenseException` */
export function parseUsageRecord(value: unknown, index: number): UsageRecord {
  const path = `usageRecords.${index + 1}.member`
  const record = readObject(value, path)
  const timestamp = readTimestamp(record.Timestamp, `${path}.timestamp`)
  const dimension = readOptionalString(record.Dimension, `${path}.dimension`)
  if (dimension === undefined) throw isRequired(`${path}.dimension`)
  if (dimension.length < 1 || dimension.length > 255)
    throw violates(`${path}.dimension`, lengthBetween(1, 255))
  const quantity = readQuantity(record.Quantity, `${path}.quantity`) ?? 0
  const customerIdentifier = readOptionalString(record.CustomerIdentifier, `${path}.customerIdentifier`)
  const accountId = readOptionalString(record.CustomerAWSAccountId, `${path}.customerAWSAccountId`)
  const licenseArn = readOptionalString(record.LicenseArn, `${path}.licenseArn`)
  if (customerIdentifier !== undefined && customerIdentifier.length > 255) {
    throw violates(`${path}.customerIdentifier`, 'Member must have length less than or equal to 255')
  }
  if (accountId !== undefined && !/^\d{1,255}$/.test(accountId)) {
    throw violates(`${path}.customerAWSAccountId`, 'Member must satisfy regular expression pattern: ^[0-9]+$')
  }
  if (licenseArn !== undefined && !LICENSE_ARN.test(licenseArn)) {
    throw new AwsError('InvalidLicenseException', `${licenseArn.slice(0, 100)} is no license ARN`)
  }
  const split = record.UsageAllocations ?? undefined
  return {
    timestamp,
    dimension,
    quantity,
    ...(customerIdentifier !== undefined && { customerIdentifier }),
    ...(accountId !== undefined && { accountId }),
    ...(licenseArn !== undefined && { licenseArn }),
    ...(split !== undefined && { allocations: parseAllocations(split, `${path}.usageAllocations`) }),
  }
}

function parseAllocations(value: unknown, path: string): UsageAllocation[] {
  const list = readList(value, path)
  if (list.length < 1 || list.length > ALLOCATIONS_MAX)
    throw violates(path, lengthBetween(1, ALLOCATIONS_MAX))
  return list.map((item, index) => {
    const at = `${path}.${index + 1}.member`
    const allocation = readObject(item, at)
    const quantity = readQuantity(allocation.AllocatedUsageQuantity, `${at}.allocatedUsageQuantity`)
    if (quantity === undefined) throw isRequired(`${at}.allocatedUsageQuantity`)
    const tags = allocation.Tags ?? undefined
    if (tags === undefined) return { AllocatedUsageQuantity: quantity }
    return {
      AllocatedUsageQuantity: quantity,
      Tags: readList(tags, `${at}.tags`).map((tag) => parseTag(tag, at)),
    }
  })
}

function parseTag(value: unknown, path: string): UsageTag {
  const tag = readObject(value, `${path}.tags`)
  const Key = readOptionalString(tag.Key, `${path}.tags.key`)
  const Value = readOptionalString(tag.Value, `${path}.tags.value`)
  if (Key === undefined) throw isRequired(`${path}.tags.key`)
  if (Value === undefined) throw isRequired(`${path}.tags.value`)
  return { Key, Value }
}

function readQuantity(value: unknown, path: string): number | undefined {
  const quantity = readOptionalInteger(value, path)
  if (quantity !== undefined && (quantity < 0 || quantity > QUANTITY_MAX)) {
    throw violates(path, `Member must have value between 0 and ${QUANTITY_MAX}`)
  }
  return quantity
}

/**
 * Judges the split of a record: tag sets distinct and well-formed, quantities adding up.
 *
 * @throws {AwsError} `InvalidTagException`, `InvalidUsageAllocationsException`
 */
export function checkAllocations(record: UsageRecord): void {
  if (record.allocations === undefined) return
  const keys = new Set<string>()
  const sets = new Set<string>()
  let sum = 0 // at most 2,500 × 2^31: exact in a number
  for (const { AllocatedUsageQuantity, Tags } of record.allocations) {
    sum += AllocatedUsageQuantity
    checkTags(Tags, keys)
    const set = tagSetKey(Tags)
    if (sets.has(set)) {
      throw new AwsError(
        'InvalidUsageAllocationsException',
        'Two allocations of a usage record have the same tags',
      )
    }
    sets.add(set)
  }
  if (keys.size > TAGS_MAX)
    throw new AwsError('InvalidTagException', `A usage record takes at most ${TAGS_MAX} tag keys`)
  if (sum !== record.quantity) {
    throw new AwsError(
      'InvalidUsageAllocationsException',
      `Allocated usage is ${sum}, but the quantity of the usage record is ${record.quantity}`,
    )
  }
}

function checkTags(tags: readonly UsageTag[] | undefined, keys: Set<string>): void {
  if (tags === undefined) return
  if (tags.length < 1 || tags.length > TAGS_MAX) {
    throw new AwsError('InvalidTagException', `An allocation takes 1 to ${TAGS_MAX} tags, not ${tags.length}`)
  }
  for (const { Key, Value } of tags) {
    if (!isTagText(Key, TAG_KEY_LENGTH_MAX) || !isTagText(Value, TAG_VALUE_LENGTH_MAX)) {
      throw new AwsError(
        'InvalidTagException',
        `The tag ${JSON.stringify(Key.slice(0, TAG_KEY_LENGTH_MAX))} is invalid`,
      )
    }
    keys.add(Key)
  }
  if (new Set(tags.map((tag) => tag.Key)).size !== tags.length) {
    throw new AwsError('InvalidTagException', 'An allocation names a tag key twice')
  }
}

function isTagText(text: string, lengthMax: number): boolean {
  return text.length <= lengthMax && TAG_CHARACTERS.test(text)
}

/** The same for the same tags in any order; the untagged bucket has one of its own. */
function tagSetKey(tags: readonly UsageTag[] | undefined): string {
  return JSON.stringify((tags ?? []).map((tag) => [tag.Key, tag.Value]).sort(byText))
}

function byText(a: readonly unknown[], b: readonly unknown[]): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

/** Whether two splits say the same, whatever the order of their lines and tags. */
export function sameAllocations(
  a: readonly UsageAllocation[] | undefined,
  b: readonly UsageAllocation[] | undefined,
): boolean {
  if (a === undefined || b === undefined) return a === b
  const lines = (split: readonly UsageAllocation[]) =>
    split.map((line) => `${tagSetKey(line.Tags)}=${line.AllocatedUsageQuantity}`).sort()
  return a.length === b.length && lines(a).join('\n') === lines(b).join('\n')
}

/** The record as AWS echoes it: its known members, the timestamp cut to milliseconds. */
export function toWire(record: UsageRecord): Record<string, unknown> {
  return {
    Timestamp: record.timestamp / 1000,
    ...(record.customerIdentifier !== undefined && { CustomerIdentifier: record.customerIdentifier }),
    ...(record.accountId !== undefined && { CustomerAWSAccountId: record.accountId }),
    ...(record.licenseArn !== undefined && { LicenseArn: record.licenseArn }),
    Dimension: record.dimension,
    Quantity: record.quantity,
    ...(record.allocations !== undefined && { UsageAllocations: record.allocations }),
  }
}

const lengthBetween = (min: number, max: number) => `Member must have length between ${min} and ${max}`
