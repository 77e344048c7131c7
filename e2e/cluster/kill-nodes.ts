import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { openStores } from '../../packages/server/src/compose.ts'
import { loadConfig } from '../../packages/server/src/config.ts'
import type { UsageRecord } from '../../packages/server/src/domain/usage/usage-record.ts'
import type { Attempt } from '../../packages/server/src/domain/usage/usage-store.ts'
import { ask, eventually, NODE, type Running, start } from '../processes.ts'
import { createRandom } from '../simulation/random.ts'
import { createCrowd } from './crowd.ts'
import { aSeller, DIMENSIONS, sellProduct } from './seller.ts'

const ENTRY = join(import.meta.dirname, 'node.ts')
const BUYERS = 3
/** Time goes on while the nodes keep up with it: however slow the machine, AWS's deadline of a day is not what is tested here. */
const BEHIND_HOURS_MAX = 8
const PATIENCE_MS = 60_000
/** After so long nobody else will book the answer of a call: its timeout, and a margin. */
const CALL_LEASE_MS = 2_000 + 30_000
/** Hours until AWS must have everything, once nobody reports any more. */
const HOURS_MAX = 30

type NodeKind = 'serve' | 'worker'

export interface Killing {
  /** Of a ledger that nobody has opened yet. */
  readonly storeUrl: string
  readonly kinds: readonly NodeKind[]
  readonly kills: number
  readonly clients: number
}

/**
 * Nodes on one empty ledger, killed by SIGKILL under load, again and again: while they take usage in, close hours, send,
 * migrate or recover. Then the load ends and AWS must have, to the unit, what was acknowledged.
 */
export async function killNodes({ storeUrl, kinds, kills, clients }: Killing): Promise<void> {
  const seed = Number(process.env.TOLLKEEPER_SEED ?? randomInt(2 ** 31))
  console.log(`seed ${seed}: repeat with TOLLKEEPER_SEED=${seed}`)
  const random = createRandom(seed)
  const product = await sellProduct(BUYERS, { runs: true })
  const { simulator } = product
  const { place, issueKey, audit } = aSeller(product, storeUrl)

  // All at once on a ledger without tables: they are made once, and so is each declared subscription.
  const nodes: Node[] = kinds.map((kind) => ({ kind, running: undefined }))
  onTestFinished(async () => {
    for (const { running } of nodes) await running?.stop('SIGKILL')
  })
  await Promise.all(nodes.map(startNode))
  const key = await issueKey()
  const stores = await openStores(loadConfig({ cwd: place.cwd, env: {} }))
  onTestFinished(() => stores.close())
  expect(stores.migrated).toEqual([])
  const crowd = createCrowd({ product, random, key, urls: serving })

  let failure: unknown
  const fail = (error: unknown) => {
    failure ??= [error, ...nodes.map(({ running }) => running?.output())]
    crowd.stop()
  }
  let killing = true
  const load = [crowd.report(clients).catch(fail), passTime().catch(fail)]
  for (let kill = 0; kill < kills && failure === undefined; kill++) {
    await pause(random.int(50, 700))
    simulator.faults.clear()
    // The first call for certain: where few are made, chance may leave all of them alone.
    simulator.faults.order({ kind: 'cutAfter', times: 1, operation: 'BatchMeterUsage' })
    simulator.faults.order({ kind: 'cutAfter', share: 0.2, operation: 'BatchMeterUsage' })
    const victim = random.pick(nodes)
    await victim.running!.stop('SIGKILL')
    // Some die again before they are ready.
    await startNode(victim, random.chance(0.3) ? random.int(100, 700) : undefined)
  }
  killing = false
  crowd.stop()
  await Promise.all(load)
  expect(failure, `seed ${seed}`).toBeUndefined()

  simulator.faults.clear()
  for (let hour = 0; hour < HOURS_MAX; hour++) {
    simulator.clock.advance(3_600_000)
    await untilSent()
    if ((await stores.usage.status(undefined)).openBuckets > 0) continue
    // The last ones may have been closed only just now.
    await untilSent()
    break
  }
  const { records } = await ask<{ records: Record<string, number> }>(
    `${random.pick(serving())}/usage/status`,
    { key },
  )
  const { accepted, ...others } = records
  expect(Object.values(others), `seed ${seed}: ${JSON.stringify(records)}`).toEqual(
    Object.values(others).map(() => 0),
  )
  await Promise.all(nodes.map(({ running }) => running!.stop()))
  expect(nodes.map(({ running }) => running!.process.exitCode)).toEqual(nodes.map(() => 0))

  const billed = new Map<string, number>()
  for (const { licenseArn, dimension, quantity } of simulator.marketplace.ledger().records) {
    const name = `${licenseArn} ${dimension}`
    billed.set(name, (billed.get(name) ?? 0) + quantity)
  }
  expect(sorted(billed), `seed ${seed}`).toEqual(sorted(crowd.acknowledged))
  expect(billed.size).toBe(BUYERS * DIMENSIONS.length)
  expect(await audit()).toMatchObject({ balanced: true, discrepancies: [] })

  expect(await stores.subscriptions.list({ limit: 100 })).toHaveLength(BUYERS)
  const alive = nodes.map(({ running }) => running!.ready.node)
  expect((await stores.leases.list()).filter(({ holder }) => alive.includes(holder))).toEqual([])
  const { items } = await stores.usage.listRecords({ limit: 10_000 })
  expect(items).toHaveLength(accepted!)
  let resent = 0
  for (const record of items) {
    const attempts = (await stores.usage.listAttempts({ record: record.id, limit: 100 })).items
    checkAttempts(record, attempts)
    resent += attempts.length - 1
  }
  const { events, repeats } = crowd.count
  console.log(
    `${kills} kills, ${events} events, ${repeats} repeats, ${items.length} records, ${resent} sent again`,
  )
  expect(repeats, 'some answers were lost, so some events were sent again').toBeGreaterThan(0)
  expect(resent, 'some calls were cut, so some records were sent again').toBeGreaterThan(0)

  function serving(): string[] {
    return nodes.flatMap(({ kind, running }) => (kind === 'serve' && running ? [running.ready.url!] : []))
  }

  function untilSent(): Promise<boolean> {
    return eventually('all that is due is sent', async () => (await unsentSince()) === undefined, PATIENCE_MS)
  }

  /** The oldest hour that should be closed or sent by now, ms. */
  async function unsentSince(): Promise<number | undefined> {
    const { oldest } = await stores.usage.status(undefined, { now: simulator.clock.now(), units: [] })
    return oldest && oldest.hour * 3_600_000
  }

  /** @param diesAfterMs - the first try does not live that long */
  async function startNode(node: Node, diesAfterMs?: number): Promise<void> {
    if (diesAfterMs !== undefined) {
      const starting = start(NODE, [ENTRY, node.kind], place, (child) =>
        setTimeout(() => child.kill('SIGKILL'), diesAfterMs),
      )
      const early = await starting.catch(() => undefined)
      await early?.stop('SIGKILL')
    }
    node.running = await start(NODE, [ENTRY, node.kind], place)
  }

  async function passTime(): Promise<void> {
    while (killing) {
      await pause(random.int(20, 200))
      const since = (await unsentSince()) ?? simulator.clock.now()
      if (simulator.clock.now() - since < BEHIND_HOURS_MAX * 3_600_000)
        simulator.clock.advance(random.int(1, 40) * 60_000)
    }
  }
}

interface Node {
  readonly kind: NodeKind
  running: Running | undefined
}

/** The same bytes each time, and again only where nobody knew, or could know any more, what came of the call before. */
function checkAttempts(record: UsageRecord, attempts: readonly Attempt[]): void {
  // Not always the last: one whose time was over may be answered while the next one, in its place, is cut.
  expect(
    attempts.map(({ outcome }) => outcome),
    `${record.id}: ${JSON.stringify(attempts)}`,
  ).toContain('answered')
  const sent = new Set<string>()
  for (const [index, attempt] of attempts.entries()) {
    const { UsageRecords } = JSON.parse(attempt.request) as { UsageRecords: Record<string, unknown>[] }
    const same = UsageRecords.filter(
      ({ Timestamp, Dimension, LicenseArn }) =>
        Timestamp === record.timestamp / 1000 &&
        Dimension === record.dimension &&
        record.identity.kind === 'license' &&
        LicenseArn === record.identity.licenseArn,
    )
    expect(same, record.id).toHaveLength(1)
    sent.add(JSON.stringify(same[0]))
    const before = attempts[index - 1]
    if (before === undefined) continue
    // Time leaps here while calls are under way: whose time is over may still be answered.
    const isOver = attempt.startedAt >= before.startedAt + CALL_LEASE_MS
    const isUnanswered = before.outcome === 'unanswered' && before.finishedAt! <= attempt.startedAt
    expect(isOver || isUnanswered, `${record.id} was sent again: ${JSON.stringify([before, attempt])}`).toBe(
      true,
    )
  }
  expect([...sent], record.id).toHaveLength(1)
}

function sorted(totals: ReadonlyMap<string, number>): [string, number][] {
  return [...totals].sort(([a], [b]) => a.localeCompare(b))
}
