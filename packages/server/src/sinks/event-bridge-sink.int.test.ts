import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSimulator, createVirtualClock, type Simulator } from '@tollkeeper/simulator'
import { afterEach, expect, it } from 'vitest'
import type { DomainEvent } from '../domain/telling/domain-event.ts'
import { createEventBridgeSink } from './event-bridge-sink.ts'

const AT = Date.parse('2026-11-21T10:00Z')
const LICENSE = 'arn:aws:license-manager::294406891311:license:l-1'
const NEVER_CUT = new AbortController().signal

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

function anEvent(number: number, data: DomainEvent['data'] = {}): DomainEvent {
  return {
    id: `evt_${number}`,
    type: 'subscription.activated',
    at: AT,
    product: 'demo',
    buyer: 'buy_1',
    subscription: `sub_${number}`,
    data,
  }
}

function aSink(endpoint: string, isAllowedHost: (host: string) => boolean = (host) => host === '127.0.0.1') {
  const sink = createEventBridgeSink({
    spec: { name: 'eventbridge', product: undefined, types: [] },
    bus: 'arn:aws:events:us-east-1:123456789012:event-bus/sales',
    region: 'us-east-1',
    source: 'tollkeeper',
    client: {
      endpoint,
      maxAttempts: 1,
      credentials: { accessKeyId: 'SIMULATED', secretAccessKey: 'simulated' },
    },
    isAllowedHost,
    timeoutMs: 2_000,
  })
  closing.push(() => sink.close())
  return sink
}

interface Put {
  readonly id: string
  readonly source: string
  readonly detailType: string
  readonly detail: string
  readonly eventBusName: string
  readonly resources: readonly string[]
  readonly time: string
}

async function aBus(): Promise<{ simulator: Simulator; url: string; listed(): Promise<Put[]> }> {
  const simulator = await createSimulator({ clock: createVirtualClock({ start: AT }), products: [] })
  closing.push(() => simulator.close())
  const { url } = await simulator.listen()
  const listed = async () =>
    ((await (await fetch(`${url}/_control/events`)).json()) as { events: Put[] }).events
  return { simulator, url, listed }
}

it('puts events on the bus, with the license they are about and without anybody’s name', async () => {
  const { url, listed } = await aBus()
  const data = { subscription: { id: 'sub_1', licenseArn: LICENSE }, previous: 'sub_0' }
  const outcomes = await aSink(url).deliver([anEvent(1, data), anEvent(2)], NEVER_CUT)
  expect(outcomes).toEqual([{ kind: 'delivered' }, { kind: 'delivered' }])
  const [first, second] = await listed()
  expect(first).toMatchObject({
    source: 'tollkeeper',
    detailType: 'subscription.activated',
    eventBusName: 'arn:aws:events:us-east-1:123456789012:event-bus/sales',
    resources: [LICENSE],
    time: '2026-11-21T10:00:00.000Z',
  })
  expect(JSON.parse(first!.detail)).toEqual({
    id: 'evt_1',
    type: 'subscription.activated',
    timestamp: '2026-11-21T10:00:00.000Z',
    data: { product: 'demo', ...data, buyer: { id: 'buy_1' } },
  })
  expect(second!.resources).toEqual([])
})

it('says of each entry what became of it, so that one that failed goes out again alone', async () => {
  const { url, simulator, listed } = await aBus()
  simulator.faults.order({ kind: 'unprocessed', operation: 'PutEvents', times: 1 })
  const sink = aSink(url)
  const failed = { kind: 'failed', reason: 'InternalFailure' }
  expect(await sink.deliver([anEvent(1), anEvent(2)], NEVER_CUT)).toEqual([failed, failed])
  expect(await sink.deliver([anEvent(2)], NEVER_CUT)).toEqual([{ kind: 'delivered' }])
  expect((await listed()).map(({ detail }) => JSON.parse(detail).id)).toEqual(['evt_2'])
})

it('sends as much in a call as AWS takes, and gives up what it never takes', async () => {
  const { url, simulator, listed } = await aBus()
  const large = { text: 'ü'.repeat(60_000) }
  const events = [1, 2, 3, 4].map((number) => anEvent(number, large))
  const tooLarge = anEvent(5, { text: 'x'.repeat(300_000) })
  const outcomes = await aSink(url).deliver([...events.slice(0, 2), tooLarge, ...events.slice(2)], NEVER_CUT)
  expect(outcomes.map(({ kind }) => kind)).toEqual([
    'delivered',
    'delivered',
    'refused',
    'delivered',
    'delivered',
  ])
  expect(await listed()).toHaveLength(4)
  expect(simulator.calls()).toHaveLength(2)
})

it.each([
  ['throttle', { kind: 'busy', reason: 'ThrottlingException', retryAfterMs: 5_000 }],
  ['internalError', { kind: 'unreachable' }],
  ['html503', { kind: 'unreachable' }],
  ['cutAfter', { kind: 'unreachable' }],
] as const)('is asked to wait, or is down, for all alike: %s', async (kind, outcome) => {
  const { url, simulator } = await aBus()
  simulator.faults.order({ kind, operation: 'PutEvents', times: 1 })
  expect(await aSink(url).deliver([anEvent(1)], NEVER_CUT)).toMatchObject([outcome])
})

it('is down when nobody listens', async () => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  expect(await aSink(`http://127.0.0.1:${port}`).deliver([anEvent(1)], NEVER_CUT)).toEqual([
    { kind: 'unreachable', reason: 'Error (ECONNREFUSED)' },
  ])
})

it('sends nothing to an address that does not fit the mode', async () => {
  const { url, simulator } = await aBus()
  expect(await aSink(url, () => false).deliver([anEvent(1)], NEVER_CUT)).toEqual([
    { kind: 'unreachable', reason: 'its address does not fit the mode' },
  ])
  expect(simulator.calls()).toEqual([])
})

it('lets one entry that AWS calls invalid stop no other', async () => {
  // The simulator refuses entries one by one; AWS refuses the whole call for some of them.
  const put: string[] = []
  const server: Server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const ids = JSON.parse(body).Entries.map(({ Detail }: { Detail: string }) => JSON.parse(Detail).id)
    const isInvalid = ids.includes('evt_2')
    if (!isInvalid) put.push(...ids)
    response.writeHead(isInvalid ? 400 : 200, { 'content-type': 'application/x-amz-json-1.1' })
    response.end(
      JSON.stringify(
        isInvalid
          ? { __type: 'ValidationException', message: 'no' }
          : { FailedEntryCount: 0, Entries: ids.map((EventId: string) => ({ EventId })) },
      ),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => server.close())
  const { port } = server.address() as AddressInfo
  const events = [anEvent(1), anEvent(2), anEvent(3)]
  expect(await aSink(`http://127.0.0.1:${port}`).deliver(events, NEVER_CUT)).toEqual([
    { kind: 'delivered' },
    { kind: 'failed', reason: 'ValidationException' },
    { kind: 'delivered' },
  ])
  expect(put).toEqual(['evt_1', 'evt_3'])
})
