/**
 * What the ledger's own events cost DynamoDB at the least: the same items in a table with the same indexes, in batches without
 * any condition; or in transactions as large as the engine takes them. It reads nothing, checks nothing and answers nobody.
 */
import assert from 'node:assert/strict'
import { hash, randomUUID } from 'node:crypto'
import type { BatchWriteItemCommandInput } from '@aws-sdk/client-dynamodb'
import { HOUR_MS, hourOf } from '../../packages/server/src/domain/usage/hour.ts'
import { awsClientConfig } from '../../packages/server/src/marketplace/aws-client.ts'
import { itemOf, type Planned, toTransactItem } from '../../packages/server/src/storage/dynamodb/changes.ts'
import { type DynamoClient, openDynamoClient } from '../../packages/server/src/storage/dynamodb/client.ts'
import {
  bucketKey,
  countedPartition,
  eventItemKey,
  meterPartition,
  padded,
  part,
} from '../../packages/server/src/storage/dynamodb/keys.ts'
import type { Item } from '../../packages/server/src/storage/dynamodb/table.ts'
import { ensureTable } from '../../packages/server/src/storage/dynamodb/table-definition.ts'
import { answerQuestions } from '../harness/child.ts'
import { DIMENSION, subscriptionId } from './demo-ledger.ts'

export interface RawDynamoOptions {
  readonly endpoint: string
  readonly region: string
  readonly table: string
  readonly buyers: number
}

export interface RawDynamoWrite {
  readonly by: 'batches' | 'transactions'
  /** Requests under way at once. */
  readonly inFlight: number
  readonly ms: number
}

/** AWS's: items of one `BatchWriteItem`. */
const BATCH = 25
/** The test engine's: items of one `TransactWriteItems`. One of them is the bucket. */
const TRANSACTION = 10
const TIMEOUT_MS = 30_000
const KEPT_MS = 36 * 24 * HOUR_MS

let client: DynamoClient | undefined
let options: RawDynamoOptions | undefined
let sdk: typeof import('@aws-sdk/client-dynamodb')
let written = 0
let orders = 0

async function start(given: RawDynamoOptions): Promise<void> {
  const { endpoint, region, table } = given
  options = given
  sdk = await import('@aws-sdk/client-dynamodb')
  client = await openDynamoClient({
    region,
    table,
    client: awsClientConfig({ mode: 'simulated', endpoint, timeoutMs: TIMEOUT_MS }, 'DynamoDB'),
    timeoutMs: TIMEOUT_MS,
  })
  await ensureTable(client, table)
}

/** An event as the ledger keeps it. */
function anEvent(meter: string, subscription: string, shard: number): Item {
  const now = Date.now()
  const number = written++
  const id = `raw-${process.pid}-${number.toString(16).padStart(20, '0')}`
  return {
    ...eventItemKey(hash('sha256', id, 'buffer').subarray(0, 16)),
    id,
    subscription,
    meter,
    time: now,
    quantity: quantityOf(number),
    delta: quantityOf(number),
    counted: hourOf(now),
    state: 0,
    receivedAt: now,
    epoch: 1,
    countedIn: countedPartition(meter, hourOf(now), shard),
    countedAt: `${padded(now)}#${part(id)}`,
    expiresAt: Math.ceil((now + KEPT_MS) / 1000),
  }
}

function quantityOf(number: number): number {
  return 1 + (number % 100)
}

/** Neighbours are of different buyers: no two requests under way want the same bucket. */
function nextBuyer(): { subscription: string; meter: string } {
  const subscription = subscriptionId((orders++ * 7919) % options!.buyers)
  return { subscription, meter: meterPartition(subscription, DIMENSION) }
}

async function sendBatch(): Promise<number> {
  const { table } = options!
  const items = Array.from({ length: BATCH }, () => {
    const { meter, subscription } = nextBuyer()
    return { PutRequest: { Item: itemOf(anEvent(meter, subscription, 0), randomUUID()) } }
  })
  let left: BatchWriteItemCommandInput['RequestItems'] = { [table]: items }
  while (Object.keys(left ?? {}).length > 0) {
    left = (await client!.sdk.send(new sdk.BatchWriteItemCommand({ RequestItems: left }))).UnprocessedItems
  }
  return BATCH
}

/** Events of one meter and what they add to their bucket. */
async function sendTransaction(): Promise<number> {
  const { table } = options!
  const { meter, subscription } = nextBuyer()
  const events = Array.from({ length: TRANSACTION - 1 }, () => anEvent(meter, subscription, 0))
  const quantity = events.reduce((sum, event) => sum + Number(event.quantity), 0)
  const puts = events.map(
    (item): Planned => ({
      key: item,
      expected: 'missing',
      refuseIf: [],
      mustExist: false,
      change: { kind: 'put', item },
    }),
  )
  const addition: Planned = {
    key: bucketKey(meter, hourOf(Date.now()), 0),
    expected: undefined,
    refuseIf: [],
    mustExist: false,
    change: { kind: 'add', addition: { amounts: { quantity, events: events.length } } },
  }
  const token = randomUUID()
  await client!.send('TransactWriteItems', {
    TransactItems: [...puts, addition].map((planned) => toTransactItem(table, planned, token)),
    ClientRequestToken: token,
  })
  return events.length
}

/** @returns events written, and how long it took until the last answer */
async function write({ by, inFlight, ms }: RawDynamoWrite): Promise<{ answered: number; ms: number }> {
  assert(client !== undefined, 'not started')
  const send = by === 'batches' ? sendBatch : sendTransaction
  const startedAt = performance.now()
  let events = 0
  const sendOn = async () => {
    while (performance.now() - startedAt < ms) {
      const sent = await send()
      events += sent
    }
  }
  await Promise.all(Array.from({ length: inFlight }, sendOn))
  return { answered: events, ms: performance.now() - startedAt }
}

answerQuestions({ start, write })
