import { once } from 'node:events'
import { createServer } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Engine } from '../compose.ts'

/** Besides a call to AWS that is under way, requests and jobs may take so long to end. */
const STOP_MS = 10_000
const CLOSE_IDLE_EVERY_MS = 50

/**
 * Runs until SIGINT or SIGTERM, then stops so that nobody notices: says so to the balancer, answers on for as long as that
 * needs, ends requests and jobs in progress, gives its leases back and closes the ledger. What does not end in time is
 * named in the log and cut: all that was accepted is on disk, and what was begun goes on elsewhere or at the next start.
 */
export async function runUntilStopped(
  engine: Engine,
  app: FastifyInstance | undefined,
  onStop: () => Promise<void> = async () => {},
): Promise<void> {
  await new Promise<void>((resolve) => {
    // Ctrl-C may come twice, from the terminal and from the process that started this one: the second must not end us.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve())
  })
  const { config } = engine.ledger
  const unfinished = new Set<string>()
  const end = async (what: string, work: () => Promise<unknown>) => {
    unfinished.add(what)
    await work()
    unfinished.delete(what)
  }
  const drainMs = app === undefined ? 0 : config.server.drainMs
  const tooLong = setTimeout(
    () => {
      engine.logger.error({ unfinished: [...unfinished] }, 'stopped before everything had ended')
      process.exit(1)
    },
    drainMs + STOP_MS + config.aws.timeoutMs,
  ).unref()
  engine.leave()
  await Promise.all([
    app && end('requests', () => drain(app, drainMs)),
    end('queues', () => engine.poller.stop()),
    // At once: others take over while this one still answers.
    end('jobs', () => engine.jobs.stop()),
  ])
  // After the last request.
  await end('last uses of keys', () => engine.keyUses.stop())
  await end('slices of limits', () => engine.leasedQuota.stop())
  await end('what runs beside', onStop)
  await end('store', () => engine.ledger.close())
  clearTimeout(tooLong)
}

/** Answers on, and has each client ask elsewhere next; then listens no more, and ends what it is answering. */
async function drain(app: FastifyInstance, drainMs: number): Promise<void> {
  app.server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'))
  await new Promise((resolve) => setTimeout(resolve, drainMs))
  // A connection whose request began before is kept open for a next one, for longer than we wait.
  const closing = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS)
  await app.close()
  clearInterval(closing)
}

/**
 * Before anything is opened or written: may we listen there?
 *
 * @throws the system's error, such as `EADDRINUSE`
 */
export async function checkAddress(host: string, port: number): Promise<void> {
  const server = createServer()
  server.listen(port, host)
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
}

/** The address to show to a person. */
export function urlOf(host: string, port: number): string {
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  return `http://${shown}:${port}`
}
