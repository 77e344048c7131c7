import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import {
  type PostgresServer,
  startPostgresServer,
} from '../packages/server/src/storage/sql/postgres-server.fixture.ts'
import { aFolder } from './a-folder.ts'
import { aSeller, sellProduct } from './cluster/seller.ts'
import { ask, eventually, NODE, Refusal, type Running, start } from './processes.ts'

const ENTRY = join(import.meta.dirname, 'cluster/node.ts')
const CONNECTIONS = 200
const SMALL = 10
const LARGE = 1_000_000
/** Of one use of the large limit, so that it is used up within the test. */
const STEP = 997
/** Of one use of what is left of it. */
const SMALL_STEP = 50
/** What a node counts by itself, at most; and of one use that is larger. */
const SLICE = 1_000
const METERED = 150
const HOURS_MAX = 6

const PLAN = `    plans:
      - id: load
        title: Load
        limits:
          - { dimension: calls, quantity: ${SMALL}, window: month }
          - { dimension: bytes, quantity: ${LARGE}, window: month }
          - { dimension: scans, quantity: ${METERED}, window: month }
`

interface Answer {
  readonly allowed: boolean
  readonly reason?: string
  readonly remaining?: number
}

/** Uses that were let through, and those of which nobody knows: their node died. */
interface Count {
  allowed: number
  unknown: number
}

/** A seller whose buyer has an API key, and nodes on one ledger. */
async function aGate(storeUrl: string, count: number) {
  const product = await sellProduct(1, { runs: true })
  const { place, issueKey, audit } = aSeller(product, storeUrl, '', { plan: PLAN, meteredByGate: ['scans'] })
  const nodes: Running[] = []
  onTestFinished(async () => {
    for (const node of nodes) await node.stop('SIGKILL')
  })
  nodes.push(
    ...(await Promise.all(Array.from({ length: count }, () => start(NODE, [ENTRY, 'serve'], place)))),
  )
  const service = await issueKey()
  const alive = nodes.map(({ ready }) => ready.url!)
  const { licenseArn } = product.buyers[0]!
  const { key } = await ask<{ key: string }>(`${alive[0]}/keys`, { key: service, body: { licenseArn } })

  /** @returns undefined: nobody knows whether it was let through */
  async function validate(url: string, body: object): Promise<Answer | undefined> {
    try {
      return await ask<Answer>(`${url}/quota/validate`, { key: service, body: { key, ...body } })
    } catch (error) {
      if (error instanceof Refusal && error.status === 503) {
        await pause(20)
        return validate(url, body)
      }
      if (!(error instanceof TypeError)) throw error
      // The connection broke, or nobody listens any more.
      const index = alive.indexOf(url)
      if (index >= 0) alive.splice(index, 1)
      return undefined
    }
  }

  /** From all connections at once, until each is told that there is no more. */
  async function useUp(
    { dimension, quantity = 1, id }: { dimension: string; quantity?: number; id?: string },
    onAllowed: (count: Count) => void = () => {},
    connections = CONNECTIONS,
  ): Promise<Count> {
    const count: Count = { allowed: 0, unknown: 0 }
    const client = async (connection: number) => {
      for (let use = 0; ; use++) {
        const url = alive[(connection + use) % alive.length]!
        const own = { dimension, quantity, ...(id !== undefined && { id: `${id}-${connection}-${use}` }) }
        let answer = await validate(url, own)
        // With its id it may be asked again, of another node: it counts once.
        while (answer === undefined && id !== undefined) answer = await validate(alive[0]!, own)
        if (answer === undefined) {
          count.unknown++
          continue
        }
        if (!answer.allowed) {
          expect(answer.reason).toBe('quota_exceeded')
          return
        }
        count.allowed++
        onAllowed(count)
      }
    }
    await Promise.all(Array.from({ length: connections }, (_, connection) => client(connection)))
    return count
  }

  /** Uses of the meter, as AWS bills them. */
  async function billed(): Promise<number> {
    const total = () =>
      product.simulator.marketplace
        .ledger()
        .records.filter(({ dimension }) => dimension === 'scans')
        .reduce((sum, { quantity }) => sum + quantity, 0)
    for (let hour = 0; hour < HOURS_MAX && total() === 0; hour++) {
      product.simulator.clock.advance(3_600_000)
      await eventually('what is due is sent', async () => {
        const { records } = await ask<{ records: Record<string, number> }>(`${alive[0]}/usage/status`, {
          key: service,
        })
        return (records.accepted ?? 0) > 0 || hour === 0
      })
    }
    return total()
  }
  return { nodes, alive, useUp, billed, audit }
}

it('lets exactly the limit through to 200 connections at once, small and large, and bills what it meters', async () => {
  const gate = await aGate(`sqlite:${join(aFolder(), 'ledger.db')}`, 1)
  expect(await gate.useUp({ dimension: 'calls' })).toEqual({ allowed: SMALL, unknown: 0 })
  expect(await gate.useUp({ dimension: 'bytes', quantity: STEP })).toEqual({
    allowed: Math.floor(LARGE / STEP),
    unknown: 0,
  })
  expect(await gate.useUp({ dimension: 'scans', id: 'scan' })).toEqual({ allowed: METERED, unknown: 0 })
  expect(await gate.billed()).toBe(METERED)
  expect(await gate.audit()).toMatchObject({ balanced: true, discrepancies: [] })
})

describe('on three nodes', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgresServer()
  })
  afterAll(() => server?.stop())

  it('lets no more through than the limit where one of them is killed, and of what it counted by itself at most a slice less', async () => {
    const gate = await aGate(await server.createEmpty(), 3)
    const victim = gate.nodes[1]!
    let killed: Promise<void> | undefined
    const kill = ({ allowed }: Count) => {
      if (allowed * STEP > LARGE * 0.4) killed ??= victim.stop('SIGKILL')
    }
    // With ids, so that whoever lost its answer asks again.
    const [large, metered, small] = await Promise.all([
      gate.useUp({ dimension: 'bytes', quantity: STEP }, kill, CONNECTIONS / 2),
      gate.useUp({ dimension: 'scans', id: 'scan' }, undefined, CONNECTIONS / 4),
      gate.useUp({ dimension: 'calls', id: 'call' }, undefined, CONNECTIONS / 4),
    ])
    expect(killed, 'one died in the middle').toBeDefined()
    await killed
    expect(gate.alive).toHaveLength(2)
    expect([small.allowed, metered.allowed]).toEqual([SMALL, METERED])

    // What the others hold is given back within seconds, and then used up to the last.
    let used = large.allowed * STEP
    await eventually('slices are given back', async () => {
      const more = await gate.useUp({ dimension: 'bytes', quantity: SMALL_STEP }, undefined, 2)
      used += more.allowed * SMALL_STEP
      return used + large.unknown * STEP >= LARGE - SLICE
    })
    expect(used).toBeLessThanOrEqual(LARGE)
    console.log(`${LARGE - used} of ${LARGE} less, ${large.unknown} answers lost with the node`)

    expect(await gate.billed()).toBe(METERED)
    expect(await gate.audit()).toMatchObject({ balanced: true, discrepancies: [] })
  })
})
