import { Command } from 'commander'
import { composeEngine, composeServer, declareConfiguration, openLedger } from '../../compose.ts'
import { loadConfig } from '../../config.ts'
import { systemClock } from '../../system-clock.ts'
import { checkLive } from '../check-live.ts'
import type { CommonOptions } from '../context.ts'
import { guarded, integerOption } from '../output.ts'
import { checkAddress, runUntilStopped, urlOf } from '../serving.ts'

export function serveCommand(): Command {
  return new Command('serve')
    .description('run the server and its jobs, by the machine’s own time')
    .option('--config <file>', 'configuration file (default: tollkeeper.yaml)')
    .option('--host <address>', 'address to listen on (default: server.host)')
    .option('--port <number>', 'port to listen on; 0 takes any free one (default: server.port)')
    .option('--no-jobs', 'only answer requests; another process runs `tollkeeper worker`')
    .option('--json', 'write one JSON object when ready')
    .action(
      guarded(async (options: CommonOptions & { host?: string; port?: string; jobs: boolean }) => {
        const config = loadConfig({
          ...(options.config !== undefined && { file: options.config }),
          cwd: process.cwd(),
          env: process.env,
        })
        const host = options.host ?? config.server.host
        const port =
          options.port === undefined ? config.server.port : integerOption('--port', options.port, 0, 65_535)
        await checkAddress(host, port)
        await checkLive(config)
        const ledger = await openLedger(config, systemClock)
        await declareConfiguration(ledger, systemClock)
        const engine = await composeEngine(ledger, { clock: systemClock, syncsAgreements: true })
        const app = await composeServer(engine)
        try {
          await app.listen({ host, port })
        } catch (error) {
          await ledger.close()
          throw error
        }
        const address = app.server.address()
        const url = urlOf(host, typeof address === 'object' && address !== null ? address.port : port)
        process.stdout.write(
          options.json
            ? `${JSON.stringify({ url, mode: config.mode, store: config.store.name })}\n`
            : `Tollkeeper (${config.mode}) listens on ${url}\n`,
        )
        engine.keyUses.start()
        engine.leasedQuota.start()
        if (options.jobs) {
          engine.jobs.start()
          engine.poller.start()
        } else engine.jobs.watch()
        await runUntilStopped(engine, app)
      }),
    )
}

export function workerCommand(): Command {
  return new Command('worker')
    .description('run only the jobs: close hours, send records; safe beside other workers and servers')
    .option('--config <file>', 'configuration file (default: tollkeeper.yaml)')
    .option('--json', 'write one JSON object when ready')
    .action(
      guarded(async (options: CommonOptions) => {
        const config = loadConfig({
          ...(options.config !== undefined && { file: options.config }),
          cwd: process.cwd(),
          env: process.env,
        })
        await checkLive(config)
        const ledger = await openLedger(config, systemClock)
        await declareConfiguration(ledger, systemClock)
        const engine = await composeEngine(ledger, { clock: systemClock, syncsAgreements: true })
        process.stdout.write(
          options.json
            ? `${JSON.stringify({ mode: config.mode, store: config.store.name })}\n`
            : `Tollkeeper worker (${config.mode}) on ${config.store.name}\n`,
        )
        engine.jobs.start()
        engine.poller.start()
        await runUntilStopped(engine, undefined)
      }),
    )
}
