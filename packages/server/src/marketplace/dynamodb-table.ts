import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import { DomainError } from '../domain/error.ts'
import { awsError, parseJson } from './aws-answer.ts'
import { type AwsClientOptions, awsClientConfig, placeOf } from './aws-client.ts'
import { isRecord, WATCH_PLACE } from './aws-exchange.ts'
import { exchangePatiently } from './aws-patience.ts'

export interface TableOptions extends AwsClientOptions {
  readonly table: string
  readonly region: string
  /** Pauses are this many times shorter: tests wait less. */
  readonly haste?: number
}

/** Far more than a table of subscribers has; a key that leads in circles ends here. */
const PAGES_MAX = 1_000_000

/**
 * All items of a DynamoDB table in DynamoDB's typed JSON, page by page, read consistently.
 *
 * @throws {DomainError} `marketplace.unavailable`, saying what to do
 * @throws {Error} where mode and endpoint do not fit: pretend and real never mix
 */
export async function* scanTable(
  options: TableOptions,
  signal?: AbortSignal,
): AsyncIterable<readonly unknown[]> {
  const { mode, table, region, timeoutMs, haste } = options
  const config = awsClientConfig(options, 'DynamoDB')
  const { DynamoDBClient, ScanCommand } = await import('@aws-sdk/client-dynamodb')
  const client = new DynamoDBClient({
    region,
    ...config,
    // Else looked up in the environment and `~/.aws`.
    ...(mode === 'simulated' && {
      accountIdEndpointMode: 'disabled' as const,
      endpointDiscoveryEnabled: false,
    }),
  })
  try {
    let startKey: Record<string, AttributeValue> | undefined
    for (let page = 0; page < PAGES_MAX; page++) {
      const input = {
        TableName: table,
        ConsistentRead: true,
        ...(startKey !== undefined && { ExclusiveStartKey: startKey }),
      }
      const answer = await exchangePatiently(
        (watch, abortSignal) => {
          const command = new ScanCommand(input)
          command.middlewareStack.add(watch, WATCH_PLACE)
          return client.send(command, { abortSignal })
        },
        { where: placeOf(mode), timeoutMs, signal },
        haste === undefined ? {} : { haste },
      )
      const body = answer.kind === 'response' ? parseJson(answer.body) : undefined
      if (
        answer.kind !== 'response' ||
        answer.status !== 200 ||
        !isRecord(body) ||
        !Array.isArray(body.Items)
      ) {
        const error = answer.kind === 'response' ? awsError(answer, body) : answer
        const why = error === undefined ? 'no answer of DynamoDB' : `${error.code}: ${error.message}`
        throw new DomainError(
          'marketplace.unavailable',
          `the table ${table} in ${region} cannot be read (${why}); reading needs dynamodb:Scan on it`,
        )
      }
      yield body.Items
      // A key of these tables is text or a number, which the wire and the SDK write alike.
      startKey = isRecord(body.LastEvaluatedKey)
        ? (body.LastEvaluatedKey as Record<string, AttributeValue>)
        : undefined
      if (startKey === undefined) return
    }
  } finally {
    client.destroy()
  }
}
