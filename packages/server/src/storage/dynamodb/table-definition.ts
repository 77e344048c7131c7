import { setTimeout as sleep } from 'node:timers/promises'
import type { CreateTableCommandInput, TableDescription } from '@aws-sdk/client-dynamodb'
import { DomainError } from '../../domain/error.ts'
import type { DynamoClient } from './client.ts'
import { INDEXES } from './indexes.ts'

/** Attribute by which DynamoDB deletes what has had its time, seconds since 1970. */
export const EXPIRES_AT = 'expiresAt'

const WAIT_MS = 300_000
const LOOK_MS = 2_000

export interface TableState {
  /** Another one for each table, also where it was restored under the same name. */
  readonly id: string
  readonly wasCreated: boolean
}

/**
 * Makes the table where there is none, with its indexes, and waits until all of it can be used. Protection against
 * deletion and point-in-time recovery belong to the account's owner: see docs/dynamodb.md.
 *
 * @throws {DomainError} `ledger.mode_mismatch` where the name is another table's
 */
export async function ensureTable(client: DynamoClient, table: string): Promise<TableState> {
  const sdk = await import('@aws-sdk/client-dynamodb')
  const { sdk: aws } = client
  const describe = async (): Promise<TableDescription | undefined> => {
    try {
      return (await aws.send(new sdk.DescribeTableCommand({ TableName: table }))).Table
    } catch (error) {
      if (error instanceof sdk.ResourceNotFoundException) return undefined
      throw error
    }
  }
  let state = await describe()
  let wasCreated = false
  if (state === undefined) {
    try {
      await aws.send(new sdk.CreateTableCommand(tableDefinition(table)))
      wasCreated = true
    } catch (error) {
      // Another process was first.
      if (!(error instanceof sdk.ResourceInUseException)) throw error
    }
    state = await describe()
  }
  const end = performance.now() + WAIT_MS
  while (!isReady(state)) {
    if (performance.now() > end)
      throw new DomainError('ledger.busy', `the table ${table} does not become ACTIVE`)
    await sleep(LOOK_MS)
    state = await describe()
  }
  checkTable(table, state!)
  if (wasCreated) {
    await aws.send(
      new sdk.UpdateTimeToLiveCommand({
        TableName: table,
        TimeToLiveSpecification: { Enabled: true, AttributeName: EXPIRES_AT },
      }),
    )
  }
  return { id: idOf(state!), wasCreated }
}

/** What a person should know of the table, before real usage stands on it. What nobody may look at is not known. */
export async function tableWarnings(client: DynamoClient, table: string): Promise<string[]> {
  const sdk = await import('@aws-sdk/client-dynamodb')
  const warnings: string[] = []
  const { Table: state } = await client.sdk.send(new sdk.DescribeTableCommand({ TableName: table }))
  if (state?.DeletionProtectionEnabled === false) {
    warnings.push(`the table ${table} is not protected against deletion: see docs/dynamodb.md`)
  }
  const backups = await ifPermitted(
    client.sdk.send(new sdk.DescribeContinuousBackupsCommand({ TableName: table })),
  )
  const recovery = backups?.ContinuousBackupsDescription?.PointInTimeRecoveryDescription
  if (recovery?.PointInTimeRecoveryStatus === 'DISABLED') {
    warnings.push(`the table ${table} has no point-in-time recovery: see docs/dynamodb.md`)
  }
  const expiry = await ifPermitted(client.sdk.send(new sdk.DescribeTimeToLiveCommand({ TableName: table })))
  const { AttributeName, TimeToLiveStatus = '' } = expiry?.TimeToLiveDescription ?? {}
  const isOn = AttributeName === EXPIRES_AT && ['ENABLED', 'ENABLING'].includes(TimeToLiveStatus)
  if (expiry !== undefined && !isOn) {
    warnings.push(
      `the table ${table} deletes nothing that has had its time, and grows for ever: turn on its time to live by ${EXPIRES_AT}, see docs/dynamodb.md`,
    )
  }
  return warnings
}

async function ifPermitted<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof Error && error.name === 'AccessDeniedException') return undefined
    throw error
  }
}

/** Deletes a table, whatever is in it. */
export async function deleteTable(client: DynamoClient, table: string): Promise<void> {
  const { DeleteTableCommand } = await import('@aws-sdk/client-dynamodb')
  await client.sdk.send(new DeleteTableCommand({ TableName: table }))
}

/** What `CreateTable` is asked for. */
export function tableDefinition(table: string): CreateTableCommandInput {
  const indexed = Object.values(INDEXES).flatMap(({ partition, sort }) => [partition, sort])
  return {
    TableName: table,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [...new Set(['pk', 'sk', ...indexed])].map((name) => ({
      AttributeName: name,
      AttributeType: 'S',
    })),
    KeySchema: keySchema('pk', 'sk'),
    GlobalSecondaryIndexes: Object.entries(INDEXES).map(([name, { partition, sort }]) => ({
      IndexName: name,
      KeySchema: keySchema(partition, sort),
      Projection: { ProjectionType: 'KEYS_ONLY' },
    })),
  }
}

/** DynamoDB Local has no ids: there a table is known by its name and when it was made. */
function idOf({ TableId, TableArn, CreationDateTime }: TableDescription): string {
  return TableId ?? `${TableArn} ${CreationDateTime?.toISOString()}`
}

function keySchema(partition: string, sort: string) {
  return [
    { AttributeName: partition, KeyType: 'HASH' as const },
    { AttributeName: sort, KeyType: 'RANGE' as const },
  ]
}

function isReady(state: TableDescription | undefined): boolean {
  return (
    state?.TableStatus === 'ACTIVE' &&
    (state.GlobalSecondaryIndexes ?? []).every(({ IndexStatus }) => IndexStatus === 'ACTIVE')
  )
}

function checkTable(table: string, { KeySchema, GlobalSecondaryIndexes = [] }: TableDescription): void {
  const keys = (KeySchema ?? []).map(({ AttributeName }) => AttributeName).join()
  const names = new Set(GlobalSecondaryIndexes.map(({ IndexName }) => IndexName))
  const missing = Object.keys(INDEXES).filter((name) => !names.has(name))
  if (keys === 'pk,sk' && missing.length === 0) return
  const lack = keys === 'pk,sk' ? `it lacks ${missing.join(', ')}` : `its keys are ${keys}`
  throw new DomainError(
    'ledger.mode_mismatch',
    `the table ${table} is none of Tollkeeper's (${lack}): give \`store.url\` another name`,
  )
}
