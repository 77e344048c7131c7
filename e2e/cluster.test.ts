import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { describeOnDynamo, dynamoEndpoint } from '../packages/server/src/storage/dynamodb/dynamodb.fixture.ts'
import {
  type PostgresServer,
  startPostgresServer,
} from '../packages/server/src/storage/sql/postgres-server.fixture.ts'
import { killNodes } from './cluster/kill-nodes.ts'

describe('on PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgresServer()
  })
  afterAll(() => server?.stop())

  it('bills each unit once from three nodes that are killed under load, again and again', async () => {
    const storeUrl = await server.createEmpty()
    await killNodes({ storeUrl, kinds: ['serve', 'serve', 'worker'], kills: 9, clients: 6 })
  }, 900_000)
})

describeOnDynamo('on DynamoDB', () => {
  it('bills each unit once from two nodes that are killed under load, again and again', async () => {
    const storeUrl = `dynamodb://us-east-1/cluster-${randomUUID()}?endpoint=${await dynamoEndpoint()}`
    await killNodes({ storeUrl, kinds: ['serve', 'serve'], kills: 4, clients: 3 })
  }, 900_000)
})
