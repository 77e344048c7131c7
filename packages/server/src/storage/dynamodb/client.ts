import type { DynamoDBClient, DynamoDBClientConfig } from '@aws-sdk/client-dynamodb'
import type { Requests } from './requests.ts'

/** Where a table is, and how it is reached. */
export interface DynamoPlace {
  readonly region: string
  readonly table: string
  /**
   * Endpoint, credentials, timeouts and the like, as every AWS client of the server has them; `maxAttempts: 1`: what may
   * be sent again, and when, the table decides.
   */
  readonly client: DynamoDBClientConfig
}

export interface DynamoClient extends Requests {
  /** For what is done to the table itself. */
  readonly sdk: DynamoDBClient
  close(): void
}

/** The SDK is loaded only where a ledger is on DynamoDB. */
export async function openDynamoClient({ region, client: config }: DynamoPlace): Promise<DynamoClient> {
  const sdk = await import('@aws-sdk/client-dynamodb')
  const client = new sdk.DynamoDBClient({ region, ...config, maxAttempts: 1 })
  const commands = {
    GetItem: sdk.GetItemCommand,
    BatchGetItem: sdk.BatchGetItemCommand,
    Query: sdk.QueryCommand,
    PutItem: sdk.PutItemCommand,
    UpdateItem: sdk.UpdateItemCommand,
    DeleteItem: sdk.DeleteItemCommand,
    TransactWriteItems: sdk.TransactWriteItemsCommand,
  }
  type Send = (input: object) => Promise<never>
  return {
    send: (name, input) => {
      const Command = commands[name] as unknown as new (input: object) => Parameters<typeof client.send>[0]
      return client.send(new Command(input)) as ReturnType<Send>
    },
    sdk: client,
    close: () => client.destroy(),
  }
}
