import { expect, it } from 'vitest'
import { createHealthEndpoint, type NodeResponse } from './health-endpoint.ts'

it('answers 200 while all checks are well, and says which is not', async () => {
  let isWell = true
  const errors: [string, unknown][] = []
  const health = createHealthEndpoint({
    checks: {
      database: async () => isWell,
      queue: () => {
        if (!isWell) throw new Error('the password of the queue is hunter2')
      },
    },
    onError: (name, error) => errors.push([name, error]),
  })
  const well = await health.fetch()
  expect([well.status, await well.json()]).toEqual([
    200,
    { status: 'ok', checks: { database: 'ok', queue: 'ok' } },
  ])
  isWell = false
  const ill = await health.fetch()
  const text = await ill.text()
  expect([ill.status, JSON.parse(text)]).toEqual([
    503,
    { status: 'failing', checks: { database: 'failing', queue: 'failing' } },
  ])
  expect(text).not.toContain('hunter2')
  expect(errors.map(([name]) => name).sort()).toEqual(['database', 'queue'])
})

it('waits for no check longer than it should, and tells it to stop', async () => {
  let stopped: AbortSignal | undefined
  const health = createHealthEndpoint({
    checks: {
      stuck: (signal) => {
        stopped = signal
        return new Promise(() => {})
      },
    },
    timeoutMs: 5,
  })
  expect(await health.check()).toMatchObject({ status: 'failing' })
  expect(stopped?.aborted).toBe(true)
})

it('answers, whatever its listener does', async () => {
  const health = createHealthEndpoint({
    checks: { database: () => false },
    onError: () => {
      throw new Error('the listener is ill')
    },
  })
  expect((await health.fetch()).status).toBe(503)
})

it('runs the checks once for all who ask meanwhile, and answers node:http as well', async () => {
  let runs = 0
  const health = createHealthEndpoint({ checks: { slow: async () => void runs++ } })
  let answered: unknown
  const response: NodeResponse = {
    writeHead: (status) => {
      answered = status
    },
    end: (body) => {
      answered = [answered, JSON.parse(body)]
    },
  }
  await Promise.all([health.check(), health.fetch(), health.node(undefined, response)])
  expect(runs).toBe(1)
  expect(answered).toEqual([200, { status: 'ok', checks: { slow: 'ok' } }])
})
