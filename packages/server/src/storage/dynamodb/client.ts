import type { DynamoDBClient, DynamoDBClientConfig } from '@aws-sdk/client-dynamodb'
import type { Operations, Requests } from './requests.ts'

/** Where a table is, and how it is reached. */
export interface DynamoPlace {
  readonly region: string
  readonly table: string
  /**
   * Endpoint, credentials, timeouts and the like, as every AWS client of the server has them; `maxAttempts: 1`: what may
   * be sent again, and when, the table decides.
   */
  readonly client: DynamoDBClientConfig
  /** For one request until its answer has been read, ms: the client's own timeouts end at the answer's head. */
  readonly timeoutMs: number
}

export interface DynamoClient extends Requests {
  /** For what is done to the table itself. */
  readonly sdk: DynamoDBClient
  close(): void
}

/** The SDK is loaded only where a ledger is on DynamoDB. */
export async function openDynamoClient({
  region,
  client: config,
  timeoutMs,
}: DynamoPlace): Promise<DynamoClient> {
  const sdk = await import('@aws-sdk/client-dynamodb')
  const client = new sdk.DynamoDBClient({
    region,
    ...config,
    maxAttempts: 1,
    // Each would be looked up in the environment and `~/.aws`.
    accountIdEndpointMode: 'disabled',
    endpointDiscoveryEnabled: false,
  })
  const commands: { readonly [Name in keyof Operations]: (input: Operations[Name]['input']) => object } = {
    GetItem: (input) => new sdk.GetItemCommand(input),
    BatchGetItem: (input) => new sdk.BatchGetItemCommand(input),
    Query: (input) => new sdk.QueryCommand(input),
    Scan: (input) => new sdk.ScanCommand(input),
    PutItem: (input) => new sdk.PutItemCommand(input),
    UpdateItem: (input) => new sdk.UpdateItemCommand(input),
    DeleteItem: (input) => new sdk.DeleteItemCommand(input),
    TransactGetItems: (input) => new sdk.TransactGetItemsCommand(input),
    TransactWriteItems: (input) => new sdk.TransactWriteItemsCommand(input),
  }
  return {
    // The SDK's `send` has no type for a command that is chosen at run time.
    send: <Name extends keyof Operations>(name: Name, input: Operations[Name]['input']) =>
      client.send(commands[name](input) as Parameters<typeof client.send>[0], {
        abortSignal: AbortSignal.timeout(timeoutMs),
      }) as Promise<Operations[Name]['output']>,
    sdk: client,
    close: () => client.destroy(),
  }
}
