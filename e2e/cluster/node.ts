import { runUntilStopped, urlOf } from '../../packages/server/src/cli/serving.ts'
import {
  composeEngine,
  composeServer,
  declareConfiguration,
  openLedger,
} from '../../packages/server/src/compose.ts'
import { loadConfig } from '../../packages/server/src/config.ts'
import { followClock } from './follow-clock.ts'

/**
 * `serve`, or with the argument `worker` that, but for one thing: its time is the simulator's, so that hours pass in
 * seconds. The real commands follow the machine's time alone.
 */
const config = loadConfig({ cwd: process.cwd(), env: process.env })
const clock = await followClock(config.aws.endpoint!)
const ledger = await openLedger(config, clock)
await declareConfiguration(ledger, clock)
const engine = await composeEngine(ledger, { clock, syncsAgreements: true })
const isWorker = process.argv[2] === 'worker'
const app = isWorker ? undefined : await composeServer(engine, { overloadDelayMs: 15_000 })
await app?.listen({ host: '127.0.0.1', port: 0 })
const address = app?.server.address()
const port = typeof address === 'object' && address !== null ? address.port : 0
process.stdout.write(`${JSON.stringify({ url: urlOf('127.0.0.1', port), node: engine.node })}\n`)
engine.jobs.start()
engine.poller.start()
if (!isWorker) engine.leasedQuota.start()
await runUntilStopped(engine, app, async () => clock.stop())
