import { createSimulator } from '@tollkeeper/simulator'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSqsQueue, type SqsQueue } from './sqs-queue.ts'

const NAME = 'marketplace'
const AWS_URL = `https://sqs.us-east-1.amazonaws.com/123456789012/${NAME}`

let simulator: Awaited<ReturnType<typeof createSimulator>>
let url: string
let queue: SqsQueue
const never = new AbortController().signal
const environment = { ...process.env }

beforeEach(async () => {
  simulator = await createSimulator({ seed: 1 })
  url = (await simulator.listen()).url
  simulator.delivery.queues.put(NAME, {})
  queue = open(`${url}/123456789012/${NAME}`)
})
afterEach(async () => {
  process.env = { ...environment }
  queue.close()
  await simulator.close()
})

function open(queueUrl: string, mode: 'simulated' | 'shadow' | 'live' = 'simulated'): SqsQueue {
  return createSqsQueue({ mode, queueUrl, region: 'us-east-1', timeoutMs: 1_000 })
}

const send = (body: string) => simulator.delivery.queues.send(NAME, { body })

describe('a queue of SQS', () => {
  it('gives out messages with their id, time and count, until they are deleted', async () => {
    const { id, sentAt } = send('one')
    const [message] = await queue.receive(never)
    expect(message).toMatchObject({ id, body: 'one', sentAt, receives: 1 })
    await queue.retryIn(message!, 0)
    const [again] = await queue.receive(never)
    expect(again).toMatchObject({ id, receives: 2 })
    await queue.delete(again!)
    expect(simulator.delivery.queues.find(NAME)?.messages.size).toBe(0)
  })

  it('gives a message to one of two only, ten at a time', async () => {
    for (let count = 0; count < 12; count++) send(`message ${count}`)
    const other = open(`${url}/123456789012/${NAME}`)
    const [first, second] = await Promise.all([queue.receive(never), other.receive(never)])
    other.close()
    expect([first.length, second.length].sort()).toEqual([10, 2])
    expect(new Set([...first, ...second].map(({ id }) => id)).size).toBe(12)
  })

  it('waits for a message, and takes it at once', async () => {
    const received = queue.receive(never)
    send('late')
    expect(await received).toMatchObject([{ body: 'late' }])
  })

  it('stops waiting when told', async () => {
    const stopping = new AbortController()
    const received = queue.receive(stopping.signal)
    stopping.abort(new Error('stopping'))
    await expect(received).rejects.toThrow()
    await expect(queue.receive(stopping.signal)).rejects.toThrow()
  })

  it('says in AWS’s words what is wrong', async () => {
    const missing = open(`${url}/123456789012/nobody`)
    await expect(missing.receive(never)).rejects.toMatchObject({ name: 'QueueDoesNotExist' })
    missing.close()
    expect(missing.name).toBe('nobody')
  })

  it('looks at nothing of the surroundings in simulated mode', async () => {
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: 'https://sqs.example.com',
      AWS_ENDPOINT_URL_SQS: 'https://sqs.example.com',
      AWS_PROFILE: 'nobody-has-this-profile',
      AWS_CONFIG_FILE: '/nowhere/config',
      AWS_SHARED_CREDENTIALS_FILE: '/nowhere/credentials',
      AWS_USE_FIPS_ENDPOINT: 'true',
      AWS_RETRY_MODE: 'nonsense',
    })
    send('one')
    expect(await queue.receive(never)).toMatchObject([{ body: 'one' }])
    expect(simulator.calls().map(({ operation }) => operation)).toContain('ReceiveMessage')
  })
})

it('pretend and real never mix', () => {
  expect(() => open(AWS_URL)).toThrow('must be on this machine')
  for (const mode of ['shadow', 'live'] as const) {
    expect(() => open(`http://127.0.0.1:4010/123456789012/${NAME}`, mode)).toThrow(
      'must not be on this machine',
    )
    expect(() => open(`http://0.0.0.0:4010/123456789012/${NAME}`, mode)).toThrow(
      'must not be on this machine',
    )
    expect(() => open(AWS_URL.replace('https', 'http'), mode)).toThrow('https')
    expect(open(AWS_URL, mode).name).toBe(NAME)
  }
})
