import Type from 'typebox'
import { CLOSED } from './values.ts'

export const StoreSchema = Type.Object(
  {
    url: Type.String({
      pattern: '^(sqlite:.+|postgres(ql)?://.+|dynamodb://.+)$',
      errorMessage:
        '`sqlite:` and a path, such as `sqlite:./tollkeeper.db`, or `postgres://USER:PASSWORD@HOST/DATABASE`, or `dynamodb://REGION/TABLE`',
      default: 'sqlite:./tollkeeper.db',
      description:
        'Where the ledger is: a SQLite file (a path is relative to this file), a PostgreSQL database or a DynamoDB table.',
    }),
    postgres: Type.Object(
      {
        poolMax: Type.Integer({
          minimum: 2,
          maximum: 100,
          default: 10,
          description: 'Connections of one process at most.',
        }),
        connectTimeoutSeconds: Type.Integer({
          minimum: 1,
          maximum: 60,
          default: 10,
          description: 'Seconds to wait for a connection.',
        }),
        statementTimeoutSeconds: Type.Integer({
          minimum: 1,
          maximum: 600,
          default: 30,
          description: 'Seconds that one statement may take, and that a transaction may stand idle.',
        }),
      },
      { ...CLOSED, default: {}, description: 'Where the ledger is on PostgreSQL.' },
    ),
    dynamodb: Type.Object(
      {
        transactionItems: Type.Optional(
          Type.Integer({
            minimum: 10,
            maximum: 100,
            description:
              'Items in one transaction at most. Default: 100 on AWS, 10 at an `endpoint`, since old versions of DynamoDB Local take no more.',
          }),
        ),
        shards: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 16,
            description:
              'Items that share the counters of one hour, so that none is hot. Fixed when the ledger is made. Default: 4 on AWS, 2 at an `endpoint`.',
          }),
        ),
      },
      { ...CLOSED, default: {}, description: 'Where the ledger is on DynamoDB.' },
    ),
  },
  { ...CLOSED, default: {}, description: 'The ledger.' },
)
