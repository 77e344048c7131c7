import { EventBridgeClient, ListRulesCommand, PutEventsCommand } from '@aws-sdk/client-eventbridge'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Simulator } from '../simulator.ts'
import { aSimulator, utc } from '../test-values.ts'

let simulator: Simulator
let client: EventBridgeClient
let url: string

beforeEach(async () => {
  simulator = await aSimulator()
  url = (await simulator.listen()).url
  client = new EventBridgeClient({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    maxAttempts: 1,
  })
})
afterEach(async () => {
  client.destroy()
  await simulator.close()
})

const anEvent = (more = {}) => ({ Source: 'seller', DetailType: 'Order placed', Detail: '{"n":1}', ...more })

async function listed() {
  return ((await (await fetch(`${url}/_control/events`)).json()) as { events: { id: string }[] }).events
}

it('keeps what a seller puts on the bus, and lists it', async () => {
  const { FailedEntryCount, Entries } = await client.send(
    new PutEventsCommand({
      Entries: [
        anEvent(),
        anEvent({ Time: new Date(utc('11:00')), Resources: ['arn:x'], EventBusName: 'mine' }),
      ],
    }),
  )
  expect([FailedEntryCount, Entries?.length]).toEqual([0, 2])
  expect(await listed()).toEqual([
    {
      id: Entries?.[0]?.EventId,
      source: 'seller',
      detailType: 'Order placed',
      detail: '{"n":1}',
      eventBusName: 'default',
      resources: [],
      at: '2026-11-20T12:30:00.000Z',
    },
    expect.objectContaining({
      id: Entries?.[1]?.EventId,
      eventBusName: 'mine',
      resources: ['arn:x'],
      time: '2026-11-20T11:00:00.000Z',
    }),
  ])
  expect(new Set(Entries?.map(({ EventId }) => EventId)).size).toBe(2)
})

it('refuses entries one by one', async () => {
  const { FailedEntryCount, Entries } = await client.send(
    new PutEventsCommand({
      Entries: [
        anEvent({ Detail: 'no json' }),
        anEvent(),
        anEvent({ Source: 'aws.agreement-marketplace' }),
        anEvent({ DetailType: undefined }),
      ],
    }),
  )
  expect(FailedEntryCount).toBe(3)
  expect(Entries?.map(({ ErrorCode }) => ErrorCode)).toEqual([
    'MalformedDetail',
    undefined,
    'NotAuthorizedForSourceException',
    'InvalidArgument',
  ])
  expect(await listed()).toHaveLength(1)
})

it('refuses a request that is too large as a whole', async () => {
  const tooMany = client.send(new PutEventsCommand({ Entries: Array.from({ length: 11 }, () => anEvent()) }))
  await expect(tooMany).rejects.toMatchObject({ name: 'ValidationException' })
  const Detail = JSON.stringify({ text: 'x'.repeat(130_000) })
  const tooLarge = client.send(new PutEventsCommand({ Entries: [1, 2, 3].map(() => anEvent({ Detail })) }))
  await expect(tooLarge).rejects.toMatchObject({ name: 'ValidationException' })
  await expect(client.send(new ListRulesCommand({}))).rejects.toMatchObject({
    name: 'UnknownOperationException',
  })
  expect(await listed()).toEqual([])
})

it('fails entries as ordered', async () => {
  simulator.faults.order({ kind: 'unprocessed', operation: 'PutEvents', times: 1 })
  const put = () => client.send(new PutEventsCommand({ Entries: [anEvent(), anEvent()] }))
  expect(await put()).toMatchObject({
    FailedEntryCount: 2,
    Entries: [{ ErrorCode: 'InternalFailure' }, { ErrorCode: 'InternalFailure' }],
  })
  expect(await put()).toMatchObject({ FailedEntryCount: 0 })
  expect(await listed()).toHaveLength(2)
  expect(simulator.calls().map(({ operation, fault }) => [operation, fault])).toEqual([
    ['PutEvents', undefined],
    ['PutEvents', 'unprocessed'],
  ])
})
