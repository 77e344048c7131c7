import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { awsClientConfig } from '../../marketplace/aws-client.ts'
import { openDynamoClient } from './client.ts'
import { failureOf } from './requests.ts'

it('gives an answer up that begins and never ends, as one that may have been done', async () => {
  const server = createServer((_, answer) => {
    answer.writeHead(200, { 'content-type': 'application/x-amz-json-1.0', 'content-length': '1000' })
    answer.write('{"Item":')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = await openDynamoClient({
    region: 'us-east-1',
    table: 't',
    client: awsClientConfig({ mode: 'simulated', endpoint, timeoutMs: 5_000 }, 'DynamoDB'),
    timeoutMs: 200,
  })
  onTestFinished(() => client.close())
  const Key = { pk: { S: 'p' }, sk: { S: 's' } }
  const answer = await client.send('GetItem', { TableName: 't', Key }).catch(failureOf)
  expect(answer).toEqual({ kind: 'lost' })
}, 5_000)
