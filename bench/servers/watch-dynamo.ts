import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { Wire } from '../../packages/server/src/storage/dynamodb/attributes.ts'
import { writeUnits } from '../../packages/server/src/storage/dynamodb/write-units.ts'

/** What DynamoDB is asked to do by this process, seen from below the product. */
export interface DynamoWatch {
  /** Transactions that were asked for. */
  commits(): number
  /** Requests of any kind. */
  requests(): number
  /**
   * Write units that AWS would charge for them, told by the requests alone: each item that is put is taken for a new one, each
   * that is changed or checked for less than 1 KB with its places in indexes as they were.
   */
  writeUnits(): number
  /** Call before the first client is made. The SDK is loaded only then. */
  begin(): Promise<void>
}

interface Put {
  readonly Item?: Wire
}

/** What is looked at of a request. */
interface Input extends Put {
  readonly TransactItems?: readonly { readonly Put?: Put }[]
}

export function watchDynamo(): DynamoWatch {
  let commits = 0
  let requests = 0
  let units = 0
  const unitsOf = (put: Put | undefined, inTransaction: boolean) =>
    writeUnits(undefined, put?.Item, { inTransaction })
  const see = (name: string, input: Input) => {
    requests++
    if (name === 'TransactWriteItemsCommand') {
      commits++
      for (const { Put } of input.TransactItems ?? []) units += unitsOf(Put, true)
    } else if (/^(Put|Update|Delete)ItemCommand$/.test(name)) units += unitsOf(input, false)
  }
  return {
    commits: () => commits,
    requests: () => requests,
    writeUnits: () => units,
    async begin() {
      const sdk = await import('@aws-sdk/client-dynamodb')
      const { send } = sdk.DynamoDBClient.prototype
      sdk.DynamoDBClient.prototype.send = function (this: DynamoDBClient, ...given: Parameters<typeof send>) {
        const [command] = given
        see(command.constructor.name, command.input as Input)
        return send.apply(this, given)
      } as typeof send
    },
  }
}
