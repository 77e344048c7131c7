/** The product's server as `tollkeeper serve` composes it; or the same one with a use case that decides nothing. */
import assert from 'node:assert/strict'
import { composeEngine, composeServer, type Engine, openLedger } from '../../packages/server/src/compose.ts'
import { issueServiceKey } from '../../packages/server/src/domain/keys/issue-service-key.ts'
import type { IngestUsage } from '../../packages/server/src/domain/usage/ingest-usage.ts'
import { systemClock } from '../../packages/server/src/system-clock.ts'
import { answerQuestions } from '../harness/child.ts'
import { aConfig, aProduct, aSubscription, DIMENSION } from './demo-ledger.ts'
import { watchStore } from './watch-store.ts'

export interface TollkeeperOptions {
  readonly directory: string
  /** A PostgreSQL database or a DynamoDB table; without it, a SQLite file in the directory. */
  readonly store?: string | undefined
  readonly buyers: number
  /** `false`: nothing is looked up and nothing written. */
  readonly decides: boolean
}

export interface ServerUsage {
  readonly cpuUs: number
  readonly commits: number
  /** Sent to DynamoDB, and the write units that they come to. */
  readonly requests: number
  readonly writeUnits: number
}

/** The same door and the same answers, and no thought in between. */
const decideNothing: IngestUsage = async (reports) =>
  reports.map(({ id = '' }) => ({
    id,
    status: 'accepted',
    meteringRecordId: '00000000-0000-8000-8000-000000000000',
  }))

const DAY_MS = 86_400_000
const watch = watchStore()
let engine: Engine | undefined

async function start(options: TollkeeperOptions): Promise<void> {
  const config = aConfig({ ...options, products: [aProduct([DIMENSION])] })
  await watch.begin(config.store)
  const ledger = await openLedger(config, systemClock)
  for (let index = 0; index < options.buyers; index++) {
    await ledger.subscriptions.create(aSubscription(index, Date.now() - DAY_MS), 'bench')
  }
  const composed = await composeEngine(ledger, { clock: systemClock })
  engine = options.decides ? composed : { ...composed, ingest: decideNothing }
}

async function listen(): Promise<{ url: string; secret: string }> {
  assert(engine !== undefined)
  const { secret } = await issueServiceKey(
    { keys: engine.ledger.keys, clock: engine.clock },
    { name: 'bench', scopes: ['usage:write'], product: undefined },
    'bench',
  )
  const app = await composeServer(engine)
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), secret }
}

function usage(): ServerUsage {
  const { user, system } = process.cpuUsage()
  return {
    cpuUs: user + system,
    commits: watch.commits(),
    requests: watch.requests(),
    writeUnits: watch.writeUnits(),
  }
}

/** Is every event that was answered counted? Buckets and events are two views of it. */
async function check(): Promise<{ events: number }> {
  assert(engine !== undefined)
  await watch.assertDurable(engine.ledger.config.store)
  let events = 0
  let cursor: string | undefined
  do {
    const page = await engine.ledger.usage.listBuckets({
      limit: 500,
      ...(cursor !== undefined && { cursor }),
    })
    for (const bucket of page.items) events += bucket.events
    cursor = page.next
  } while (cursor !== undefined)
  return { events }
}

answerQuestions({ start, listen, usage, check })
