import assert from 'node:assert/strict'
import type {
  UsageRecord as AwsUsageRecord,
  BatchMeterUsageCommandInput,
  MarketplaceMeteringClient,
} from '@aws-sdk/client-marketplace-metering'
import { DomainError } from '../domain/error.ts'
import { AWS_RULES } from '../domain/usage/aws-rules.ts'
import type { MeteringService, ResolvedCustomer } from '../domain/usage/metering-service.ts'
import { awsIdentityKey, type UsageRecord } from '../domain/usage/usage-record.ts'
import { awsError, meteringAnswer, parseJson } from './aws-answer.ts'
import { type AwsClientOptions, awsClientConfig, checkEndpoint, placeOf } from './aws-client.ts'
import { type Exchange, exchange, isRecord, WATCH_PLACE } from './aws-exchange.ts'

/** `shadow` resolves buyers but sends no usage. */
export type AwsMeteringOptions = AwsClientOptions

export interface AwsMetering extends MeteringService {
  /** Closes the connections that are kept open between calls. */
  close(): void
}

/**
 * AWS Marketplace's metering service through the AWS SDK, one client for each region, made when first needed.
 *
 * @throws {Error} where mode and endpoint do not fit: pretend and real never mix
 */
export function createAwsMetering(options: AwsMeteringOptions): AwsMetering {
  const { mode, timeoutMs } = options
  const where = placeOf(mode)
  checkEndpoint(options, 'metering')

  const clients = new Map<string, Promise<MarketplaceMeteringClient>>()
  const clientOf = (region: string) => {
    let client = clients.get(region)
    if (!client) {
      client = createClient(region, options)
      clients.set(region, client)
    }
    return client
  }

  return {
    async batchMeterUsage(region, records, signal) {
      checkBatch(records)
      if (mode === 'shadow') return meteringAnswer(records, SHADOW)
      const { BatchMeterUsageCommand } = await import('@aws-sdk/client-marketplace-metering')
      const command = new BatchMeterUsageCommand(toRequest(records))
      const client = await clientOf(region)
      const send: Send = (watch, abortSignal) => {
        command.middlewareStack.add(watch, WATCH_PLACE)
        return client.send(command, { abortSignal })
      }
      return meteringAnswer(records, await exchange(send, { where, timeoutMs, signal }))
    },
    sizeOf: (record) => Buffer.byteLength(JSON.stringify(onWire(record))),
    requestOf: (records) => JSON.stringify({ UsageRecords: records.map(onWire), ...productCodeOf(records) }),
    async resolveCustomer(region, token) {
      const { ResolveCustomerCommand } = await import('@aws-sdk/client-marketplace-metering')
      const command = new ResolveCustomerCommand({ RegistrationToken: token })
      const client = await clientOf(region)
      const send: Send = (watch, abortSignal) => {
        command.middlewareStack.add(watch, WATCH_PLACE)
        return client.send(command, { abortSignal })
      }
      return resolvedCustomer(await exchange(send, { where, timeoutMs }))
    },
    close() {
      for (const client of clients.values()) client.then((made) => made.destroy(), ignore)
      clients.clear()
    },
  }
}

type Send = Parameters<typeof exchange>[0]

const SHADOW: Exchange = {
  kind: 'failure',
  sent: 'no',
  code: 'EndpointNotAllowed',
  message: 'shadow mode sends no usage',
}

/** Importing the SDK takes longer than the rest of a start, so it waits for the first call. */
async function createClient(region: string, options: AwsMeteringOptions): Promise<MarketplaceMeteringClient> {
  const { MarketplaceMeteringClient } = await import('@aws-sdk/client-marketplace-metering')
  // Every attempt is the ledger's.
  return new MarketplaceMeteringClient({ region, ...awsClientConfig(options, 'metering') })
}

/** The ledger packs batches by these rules; a batch that breaks them is our bug, and AWS would refuse it whole. */
function checkBatch(records: readonly UsageRecord[]): void {
  assert(records.length >= 1 && records.length <= AWS_RULES.batchRecordsMax, 'a call has 1 to 25 records')
  const kinds = records.map(({ identity }) => (identity.kind === 'legacy' ? identity.productCode : 'license'))
  assert(new Set(kinds).size === 1, 'a call is for one product, metered in one way')
  const keys = records.map(
    ({ identity, dimension, hour }) => `${awsIdentityKey(identity)} ${dimension} ${hour}`,
  )
  assert(new Set(keys).size === keys.length, 'a call has one record for each identity, dimension and hour')
}

function productCodeOf(records: readonly UsageRecord[]): { ProductCode?: string } {
  const identity = records[0]?.identity
  return identity?.kind === 'legacy' ? { ProductCode: identity.productCode } : {}
}

function toRequest(records: readonly UsageRecord[]): BatchMeterUsageCommandInput {
  return { UsageRecords: records.map(toUsageRecord), ...productCodeOf(records) }
}

/** License records name license and account and no product code: both in one call would be two kinds of metering. */
function toUsageRecord(record: UsageRecord): AwsUsageRecord {
  const { identity, dimension, quantity, allocations } = record
  // In the order in which the SDK writes the fields, so that `requestOf` shows the very bytes.
  return {
    Timestamp: new Date(record.timestamp),
    Dimension: dimension,
    ...(identity.kind === 'legacy' && { CustomerIdentifier: identity.customerIdentifier }),
    Quantity: quantity,
    ...(allocations.length > 0 && {
      UsageAllocations: allocations.map(({ quantity: share, tags }) => ({
        AllocatedUsageQuantity: share,
        ...(tags.length > 0 && { Tags: tags.map(([Key, Value]) => ({ Key, Value })) }),
      })),
    }),
    ...(identity.kind === 'license' && {
      CustomerAWSAccountId: identity.customerAwsAccountId,
      LicenseArn: identity.licenseArn,
    }),
  }
}

/** The record as the SDK writes it: times are seconds since the epoch. */
function onWire(record: UsageRecord): object {
  return { ...toUsageRecord(record), Timestamp: record.timestamp / 1000 }
}

/**
 * The answer's words never enter an error here, nor its cause: AWS may quote the token, and whoever has the token can
 * register as the buyer.
 */
function resolvedCustomer(answer: Exchange): ResolvedCustomer {
  if (answer.kind === 'failure') {
    const why = answer.sent === 'no' ? answer.code : 'no answer'
    throw new DomainError('marketplace.unavailable', `AWS Marketplace cannot be asked who registers (${why})`)
  }
  const body = parseJson(answer.body)
  if (answer.status >= 200 && answer.status < 300 && isRecord(body)) {
    const productCode = textOf(body.ProductCode)
    if (productCode !== undefined) {
      return {
        productCode,
        customerAwsAccountId: textOf(body.CustomerAWSAccountId),
        customerIdentifier: textOf(body.CustomerIdentifier),
        licenseArn: textOf(body.LicenseArn),
      }
    }
  }
  const error = answer.status >= 400 && answer.status < 500 ? awsError(answer, body) : undefined
  if (error?.code === 'InvalidTokenException') {
    throw new DomainError(
      'registration.token_invalid',
      'AWS Marketplace does not know this registration token',
    )
  }
  // The same name is given to expired credentials of ours; only the words differ.
  if (error?.code === 'ExpiredTokenException' && !/security token/i.test(error.message)) {
    throw new DomainError(
      'registration.token_expired',
      'the registration token has expired: the buyer presses "Set up your account" again',
    )
  }
  const why = error?.code ?? `HTTP ${answer.status}`
  throw new DomainError('marketplace.unavailable', `AWS Marketplace cannot be asked who registers (${why})`)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function ignore(): void {}
