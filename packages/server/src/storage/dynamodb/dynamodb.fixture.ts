import { randomUUID } from 'node:crypto'
import { describe, inject, onTestFinished } from 'vitest'
// For what it provides.
import type {} from '../../../../../e2e/dynamodb-local.setup.ts'
import { awsClientConfig } from '../../marketplace/aws-client.ts'
import type { OpenStores } from '../contract/open-stores.ts'
import type { Wire } from './attributes.ts'
import { type DynamoClient, openDynamoClient } from './client.ts'
import { openDynamoStores } from './dynamo-stores.ts'
import { createDynamoTable, type TableSettings } from './dynamo-table.ts'
import type { Operations, Requests } from './requests.ts'
import type { Table } from './table.ts'
import { deleteTable, ensureTable } from './table-definition.ts'
import { writeUnits } from './write-units.ts'

const IS_THERE = inject('dynamoLocal') !== ''

const TIMEOUT_MS = 10_000

/** A suite that needs DynamoDB Local: where there is no Java it is left out, and the run says so at its end. */
export const describeOnDynamo = describe.skipIf(!IS_THERE)

/** The engine's address: one for the whole run, started by whoever asks first. */
export async function dynamoEndpoint(): Promise<string> {
  const answer = await fetch(inject('dynamoLocal'))
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
}

/** An empty table on the test engine, gone when the test ends. @returns what opens it */
export async function aDynamoPlace() {
  const place = {
    region: 'us-east-1',
    table: `t-${randomUUID()}`,
    client: awsClientConfig(
      { mode: 'simulated', endpoint: await dynamoEndpoint(), timeoutMs: TIMEOUT_MS },
      'DynamoDB',
    ),
    timeoutMs: TIMEOUT_MS,
  }
  const client = await aClient(place)
  await ensureTable(client, place.table)
  onTestFinished(() => deleteTable(client, place.table))
  return place
}

async function aClient(place: Parameters<typeof openDynamoClient>[0]): Promise<DynamoClient> {
  const client = await openDynamoClient(place)
  onTestFinished(() => client.close())
  return client
}

export type Place = Awaited<ReturnType<typeof aDynamoPlace>>

/**
 * A table on the test engine as one process has it open.
 *
 * @param options.place - of another process's; else it is a new one
 * @param options.through - stands between the table and the engine
 */
export async function aDynamoTable(
  options: Partial<TableSettings> & {
    readonly place?: Place
    readonly through?: (requests: Requests) => Requests
  } = {},
): Promise<Table> {
  const { place = await aDynamoPlace(), through = (requests) => requests, ...settings } = options
  const client = await aClient(place)
  return createDynamoTable(through(client), {
    table: place.table,
    shards: 2,
    transactionItems: 10,
    graceMs: 200,
    ...settings,
  })
}

/** Counts requests, and the write units that AWS would charge for them: the items are looked at before and after. */
export function meterWrites(table: string) {
  const meter = { requests: new Map<string, number>(), units: 0, through }
  return meter

  function through(requests: Requests): Requests {
    const read = async (key: Wire) =>
      (await requests.send('GetItem', { TableName: table, Key: key, ConsistentRead: true })).Item
    return {
      async send(name, input) {
        meter.requests.set(name, (meter.requests.get(name) ?? 0) + 1)
        const keys = writtenKeys(name, input)
        const before = await Promise.all(keys.map(read))
        try {
          return await requests.send(name, input)
        } finally {
          // What is refused for its condition costs as much, but no index.
          const after = await Promise.all(keys.map(read))
          const options = { inTransaction: name === 'TransactWriteItems' }
          for (const index of keys.keys()) meter.units += writeUnits(before[index], after[index], options)
        }
      },
    }
  }
}

function writtenKeys(name: keyof Operations, input: Operations[keyof Operations]['input']): Wire[] {
  const keyOf = ({ Item, Key }: { Item?: Wire | undefined; Key?: Wire | undefined }): Wire => {
    const { pk, sk } = (Item ?? Key)!
    return { pk: pk!, sk: sk! }
  }
  if (name === 'TransactWriteItems') {
    const { TransactItems = [] } = input as Operations['TransactWriteItems']['input']
    return TransactItems.map((one) => keyOf((one.Put ?? one.Update ?? one.Delete ?? one.ConditionCheck)!))
  }
  return ['PutItem', 'UpdateItem', 'DeleteItem'].includes(name) ? [keyOf(input as { Key: Wire })] : []
}

const places = new Map<symbol, Promise<Place>>()

/** Every port on a table of the test engine. */
export const openDynamoForTest: OpenStores = async (ledger) => {
  let place = ledger === undefined ? undefined : places.get(ledger)
  if (place === undefined) {
    place = aDynamoPlace()
    if (ledger !== undefined) places.set(ledger, place)
  }
  const stores = await openDynamoStores(await place, { transactionItems: 10, shards: 2, isAtAws: false })
  onTestFinished(() => stores.close())
  return stores
}
