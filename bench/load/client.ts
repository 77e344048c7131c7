/** The process that makes load: as much as is answered, or at a steady pace with latencies. */
import { createHistogram } from 'node:perf_hooks'
import { answerQuestions } from '../harness/child.ts'
import { createBodies, type Load } from './bodies.ts'
import { type Connection, openConnection } from './connection.ts'
import type { Latency } from './latency.ts'

export interface Target {
  readonly url: string
  readonly connections: number
  readonly load: Load
}

export interface Saturation {
  readonly answered: number
  readonly ms: number
}

const DRAIN_MS = 10_000
/** Said by a server whose core others use as well: nothing was written, and nothing is counted. */
const OVERLOADED = 503

interface Opened {
  readonly connections: readonly Connection[]
  readonly next: () => string
}

const targets = new Map<string, Opened>()
let broken: Error | undefined

async function open({ name, target }: { name: string; target: Target }): Promise<void> {
  const { load } = target
  const isGet = load.kind === 'check'
  const headers = { ...(!isGet && { 'content-type': 'application/json' }), ...load.headers }
  const connections = await Promise.all(
    Array.from({ length: target.connections }, () =>
      openConnection(new URL(target.url), isGet ? undefined : load.path, headers, (error) => {
        broken = error
      }),
    ),
  )
  targets.set(name, { connections, next: createBodies(load) })
}

function find(name: string): Opened {
  const target = targets.get(name)
  if (target === undefined) throw new Error(`no connections to ${name}`)
  return target
}

/** Every connection sends its next request as soon as it has its answer. */
async function saturate({ name, ms }: { name: string; ms: number }): Promise<Saturation> {
  const { connections, next } = find(name)
  let answered = 0
  let refused = 0
  const startedAt = performance.now()
  let lastAt = startedAt
  await Promise.all(
    connections.map(
      (connection) =>
        new Promise<void>((resolve, reject) => {
          const send = () =>
            connection.send(next(), (status) => {
              if (broken !== undefined) return reject(broken)
              if (status === 200) answered++
              else if (status !== OVERLOADED) refused++
              lastAt = performance.now()
              if (lastAt - startedAt < ms) send()
              else resolve()
            })
          send()
        }),
    ),
  )
  if (refused > 0) throw new Error(`${refused} of ${answered + refused} requests were refused`)
  return { answered, ms: lastAt - startedAt }
}

/** Requests leave when they are due, whether or not earlier ones are answered; waiting counts as latency. */
async function pace({
  name,
  ms,
  perSecond,
}: {
  name: string
  ms: number
  perSecond: number
}): Promise<Latency> {
  const { connections, next } = find(name)
  const histogram = createHistogram()
  const free = [...connections]
  const total = Math.floor((perSecond * ms) / 1000)
  const startedAt = performance.now()
  let sent = 0
  let ended = 0
  let answered = 0
  let refused = 0
  while (ended < total) {
    if (broken !== undefined) throw broken
    const now = performance.now()
    if (now - startedAt > ms + DRAIN_MS)
      throw new Error(`only ${ended} of ${total} paced requests were answered`)
    while (sent < total && free.length > 0 && startedAt + (sent * 1000) / perSecond <= now) {
      const connection = free.pop()!
      const due = startedAt + (sent++ * 1000) / perSecond
      connection.send(next(), (status) => {
        ended++
        if (status === 200) answered++
        else if (status !== OVERLOADED) refused++
        histogram.record(Math.max(1, Math.round((performance.now() - due) * 1000)))
        free.push(connection)
      })
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (refused > 0) throw new Error(`${refused} of ${total} paced requests were refused`)
  return {
    answered,
    p50Us: histogram.percentile(50),
    p99Us: histogram.percentile(99),
  }
}

answerQuestions({ start: () => undefined, open, saturate, pace })
