import { once } from 'node:events'
import { createServer } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Engine } from '../compose.ts'

/** How long requests in progress may take to end when the process is asked to stop. */
const DRAIN_MS = 10_000

/** Runs until SIGINT or SIGTERM, then ends requests and jobs in progress, and closes the ledger. */
export async function runUntilStopped(
  engine: Engine,
  app: FastifyInstance | undefined,
  onStop: () => Promise<void> = async () => {},
): Promise<void> {
  await new Promise<void>((resolve) => {
    // Ctrl-C may come twice, from the terminal and from the process that started this one: the second must not end us.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve())
  })
  const tooLong = setTimeout(() => process.exit(1), DRAIN_MS).unref()
  await app?.close()
  await Promise.all([engine.poller.stop(), engine.jobs.stop()])
  await onStop()
  await engine.ledger.close()
  clearTimeout(tooLong)
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
