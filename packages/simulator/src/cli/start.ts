import { readFileSync } from 'node:fs'
import { createVirtualClock } from '../clock/virtual-clock.ts'
import type { Destinations } from '../delivery/destinations.ts'
import { SimulatorError } from '../errors.ts'
import { parseProduct } from '../marketplace/product.ts'
import { parseSettings } from '../marketplace/settings.ts'
import { createSimulator, type SimulatorOptions } from '../simulator.ts'

interface StartOptions {
  readonly port: string
  readonly host: string
  readonly allowHost?: string[]
  readonly state?: string
  readonly config?: string
  readonly startAt?: string
  readonly frozen?: boolean
  readonly json?: boolean
}

/**
 * Runs a simulator until SIGINT or SIGTERM.
 *
 * @throws {SimulatorError} for options, a configuration or a state file that will not do
 */
export async function startSimulator(options: StartOptions): Promise<void> {
  const port = parsePort(options.port)
  const startAt = options.startAt === undefined ? undefined : parseStart(options.startAt)
  const config = options.config === undefined ? {} : readConfig(options.config)
  const clock = createVirtualClock()
  const simulator = await createSimulator({
    ...config,
    clock,
    ...(options.state !== undefined && { stateFile: options.state }),
    ...(options.json && { logger: (line) => console.log(JSON.stringify(line)) }),
  })
  // Said here and now, so it goes before what the state file remembers.
  if (options.frozen) clock.run(false)
  if (startAt !== undefined) clock.set(startAt)

  const { url } = await simulator
    .listen({ host: options.host, port, allowedHosts: options.allowHost ?? [] })
    .catch(async (error: NodeJS.ErrnoException) => {
      await simulator.close()
      throw new SimulatorError('invalid', listenFailure(error, options))
    })
  // Ctrl-C may come twice: from the terminal, and from the process that started this one.
  const stop = () => void simulator.close().then(() => process.exit(0))
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)

  if (options.json)
    console.log(JSON.stringify({ url, now: new Date(clock.now()).toISOString(), running: clock.running }))
  else {
    console.log(`AWS Marketplace, SIMULATED: nothing leaves this machine.

  storefront    ${url}/
  AWS endpoint  ${url}        (any credentials)
  control API   ${url}/_control/clock
  virtual time  ${new Date(clock.now()).toISOString()}${clock.running ? '' : ', frozen'}
  state         ${options.state ?? 'in memory only'}`)
  }
}

function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new SimulatorError('invalid', `--port must be a number from 0 to 65535, not ${text}`)
  }
  return port
}

function parseStart(text: string): number {
  const epochMs = Date.parse(text)
  if (Number.isNaN(epochMs))
    throw new SimulatorError('invalid', `--start-at must be a time such as 2026-11-20T12:00:00Z`)
  return epochMs
}

/** @throws {SimulatorError} naming file and field */
function readConfig(path: string): Pick<SimulatorOptions, 'products' | 'settings' | 'deliverTo' | 'seed'> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Error('it must be an object')
    const { products, settings, deliverTo, seed, ...rest } = value as Record<string, unknown>
    const [unknown] = Object.keys(rest)
    if (unknown !== undefined)
      throw new Error(`unknown ${unknown}; it may have products, settings, deliverTo and seed`)
    if (products !== undefined && !Array.isArray(products)) throw new Error('products must be a list')
    return {
      ...(products !== undefined && { products: products.map(parseProduct) }),
      ...(settings !== undefined && { settings: parseSettings(settings) }),
      // Checked when it is put to use.
      ...(deliverTo !== undefined && { deliverTo: deliverTo as Destinations }),
      ...(seed !== undefined && { seed: seed as number }),
    }
  } catch (error) {
    throw new SimulatorError('invalid', `configuration ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

function listenFailure(error: NodeJS.ErrnoException, { host, port }: StartOptions): string {
  if (error.code === 'EADDRINUSE')
    return `port ${port} of ${host} is in use: stop what holds it, or give --port`
  if (error.code === 'EACCES') return `port ${port} needs more rights: give --port 1024 or higher`
  return `cannot listen on ${host}, port ${port}: ${error.message}`
}
