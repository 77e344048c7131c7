import type {
  BatchGetItemInput,
  BatchGetItemOutput,
  CancellationReason,
  DeleteItemInput,
  DeleteItemOutput,
  GetItemInput,
  GetItemOutput,
  PutItemInput,
  PutItemOutput,
  QueryInput,
  QueryOutput,
  ScanInput,
  ScanOutput,
  TransactGetItemsInput,
  TransactGetItemsOutput,
  TransactWriteItemsInput,
  TransactWriteItemsOutput,
  UpdateItemInput,
  UpdateItemOutput,
} from '@aws-sdk/client-dynamodb'
import { DomainError } from '../../domain/error.ts'
import type { Wire } from './attributes.ts'
import type { Patience } from './patience.ts'

/** What a table asks of DynamoDB, one HTTP request each. */
export interface Operations {
  GetItem: { input: GetItemInput; output: GetItemOutput }
  BatchGetItem: { input: BatchGetItemInput; output: BatchGetItemOutput }
  Query: { input: QueryInput; output: QueryOutput }
  PutItem: { input: PutItemInput; output: PutItemOutput }
  UpdateItem: { input: UpdateItemInput; output: UpdateItemOutput }
  DeleteItem: { input: DeleteItemInput; output: DeleteItemOutput }
  TransactGetItems: { input: TransactGetItemsInput; output: TransactGetItemsOutput }
  /** Of a whole table: only where a ledger is copied to another store. */
  Scan: { input: ScanInput; output: ScanOutput }
  TransactWriteItems: { input: TransactWriteItemsInput; output: TransactWriteItemsOutput }
}

/** Sends one request once. Everything that reaches the engine goes through here: tests make it fail, the cost note counts. */
export interface Requests {
  send<Name extends keyof Operations>(
    name: Name,
    input: Operations[Name]['input'],
  ): Promise<Operations[Name]['output']>
}

/** What an error of a request means for who sent it. */
export type Failure =
  /** Certainly nothing was done: DynamoDB asks to wait. */
  | { readonly kind: 'throttled' }
  /** Certainly nothing was done: another transaction is at one of the items. */
  | { readonly kind: 'conflict' }
  /** The condition of a single write does not hold. */
  | { readonly kind: 'refused'; readonly item: Wire | undefined }
  /** A transaction was not done; a reason for each of its items, in their order. */
  | { readonly kind: 'cancelled'; readonly reasons: readonly CancellationReason[] }
  /** No answer, or one of a broken server: it may have been done, or still be. */
  | { readonly kind: 'lost' }
  /** It will never be done as it stands. */
  | { readonly kind: 'defect' }

const THROTTLED = new Set([
  'ProvisionedThroughputExceededException',
  'ProvisionedThroughputExceeded',
  'ThrottlingException',
  'ThrottlingError',
  'Throttling',
  'RequestLimitExceeded',
  'LimitExceededException',
])
const CONFLICT = new Set(['TransactionConflictException', 'TransactionConflict'])

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { kind: 'defect' }
  const { name } = error
  if (name === 'ConditionalCheckFailedException') return { kind: 'refused', item: wireOf(error, 'Item') }
  if (name === 'TransactionCanceledException') {
    const reasons = (error as { CancellationReasons?: CancellationReason[] }).CancellationReasons ?? []
    const codes = new Set(reasons.map(({ Code }) => Code ?? 'None'))
    codes.delete('None')
    // A condition that does not hold says most: what else stood in the way may be over by then.
    if (codes.has('ConditionalCheckFailed')) return { kind: 'cancelled', reasons }
    const all = [...codes]
    if (all.length > 0 && all.every((code) => CONFLICT.has(code))) return { kind: 'conflict' }
    if (all.length > 0 && all.every((code) => CONFLICT.has(code) || THROTTLED.has(code))) {
      return { kind: 'throttled' }
    }
    return { kind: 'defect' }
  }
  if (CONFLICT.has(name)) return { kind: 'conflict' }
  // The same token's first request is still at work: its answer comes by asking again.
  if (name === 'TransactionInProgressException') return { kind: 'lost' }
  if (THROTTLED.has(name)) return { kind: 'throttled' }
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
  if (status === 429) return { kind: 'throttled' }
  if (status !== undefined && status >= 400 && status < 500) return { kind: 'defect' }
  return isLocal(error) ? { kind: 'defect' } : { kind: 'lost' }
}

/** Never left this machine: no keys, or a request that the SDK itself cannot write. */
function isLocal(error: Error): boolean {
  return (
    ['CredentialsProviderError', 'TypeError', 'RangeError', 'AssertionError'].includes(error.name) ||
    error instanceof DomainError
  )
}

function wireOf(error: object, name: string): Wire | undefined {
  return (error as Record<string, Wire | undefined>)[name]
}

/** Sends what may be sent again whatever came of it, until it is answered. */
export async function sendRepeatably<Name extends keyof Operations>(
  requests: Requests,
  name: Name,
  input: Operations[Name]['input'],
  patience: Patience,
): Promise<Operations[Name]['output']> {
  for (;;) {
    try {
      return await requests.send(name, input)
    } catch (error) {
      const { kind } = failureOf(error)
      if (kind === 'defect' || kind === 'refused' || kind === 'cancelled') throw explain(error)
      await patience.pause(error)
    }
  }
}

/** Says for a person what a request that will never succeed lacks. Other errors are handed on as they are. */
export function explain(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const hints: Record<string, string> = {
    ResourceNotFoundException: 'the table or an index is missing: run `tollkeeper migrate`',
    AccessDeniedException: 'the credentials lack a permission: docs/dynamodb.md lists them',
    CredentialsProviderError: 'there are no AWS credentials here',
  }
  if (error.name === 'TransactionCanceledException') {
    const reasons = (error as { CancellationReasons?: CancellationReason[] }).CancellationReasons ?? []
    const said = reasons
      .map(({ Code, Message }, index) =>
        Code === undefined || Code === 'None' ? '' : `item ${index}: ${Code} ${Message ?? ''}`,
      )
      .filter((text) => text !== '')
    return new Error(`DynamoDB takes a step of the ledger in no way (${said.join('; ')})`, { cause: error })
  }
  const hint = hints[error.name]
  return hint === undefined ? error : new Error(`${error.message}: ${hint}`, { cause: error })
}
