import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Destinations, SimulatedProduct } from '@tollkeeper/simulator'
import { Command } from 'commander'
import {
  composeEngine,
  composeServer,
  createLogger,
  declareConfiguration,
  type Ledger,
  openLedger,
} from '../../compose.ts'
import type { Config } from '../../config.ts'
import type { Clock } from '../../domain/clock.ts'
import { issueServiceKey } from '../../domain/keys/issue-service-key.ts'
import { hashSecret } from '../../domain/keys/key-secret.ts'
import type { Product } from '../../domain/products/product.ts'
import { type CommonOptions, configOf, DEV_DIRECTORY } from '../context.ts'
import { CliError, guarded, integerOption } from '../output.ts'
import { checkAddress, runUntilStopped, urlOf } from '../serving.ts'
import { greetingOf, type Ready } from './dev-greeting.ts'

/** Where the simulated EventBridge puts its events, and where we fetch them. */
const QUEUE = 'tollkeeper'

/** A laptop that loads a module late is not overloaded: nobody is to be turned away for that. */
const OVERLOAD_DELAY_MS = 15_000

interface DevOptions extends CommonOptions {
  readonly port?: string
  readonly simulatorPort: string
  readonly data: string
}

/** The whole of AWS Marketplace and of Tollkeeper on this machine, on one virtual clock. */
export function devCommand(): Command {
  return new Command('dev')
    .description('run everything on this machine: server, simulated AWS Marketplace, a demo product')
    .option('--config <file>', 'configuration file (default: tollkeeper.yaml, or else the demo)')
    .option('--port <number>', 'port of the server; 0 takes any free one (default: server.port)')
    .option('--simulator-port <number>', 'port of the simulator; 0 takes any free one', '4010')
    .option('--data <directory>', 'where the simulator’s state and the key are kept', DEV_DIRECTORY)
    .option('--json', 'write one JSON object when ready')
    .action(guarded(runDev))
}

async function runDev(options: DevOptions): Promise<void> {
  const given = configOf(options, options.data)
  if (given.mode !== 'simulated')
    throw new CliError(
      `\`tollkeeper dev\` pretends, and the configuration says \`mode: ${given.mode}\`: use \`tollkeeper serve\`, or a configuration with \`mode: simulated\``,
    )
  const { host } = given.server
  const port =
    options.port === undefined ? given.server.port : integerOption('--port', options.port, 0, 65_535)
  const simulatorPort = integerOption('--simulator-port', options.simulatorPort, 0, 65_535)
  await checkAddress(host, port)
  await checkAddress('127.0.0.1', simulatorPort).catch((error: Error) => {
    throw new CliError(`the simulator cannot listen (${error.message}): give another --simulator-port`)
  })
  mkdirSync(options.data, { recursive: true, mode: 0o700 })

  const { createSimulator, createVirtualClock } = await import('@tollkeeper/simulator')
  const clock = createVirtualClock({ running: true })
  // First the server's address, which the products' fulfilment URLs need; the simulator then sells them.
  const simulator = await createSimulator({
    clock,
    products: [],
    stateFile: join(options.data, 'simulator.jsonl'),
  })
  const marketplace = await simulator.listen({ host: '127.0.0.1', port: simulatorPort })
  try {
    const { sellerAccountId } = simulator.marketplace.settings
    const config: Config = {
      ...given,
      aws: { ...given.aws, endpoint: marketplace.url },
      notifications: {
        ...given.notifications,
        sqsQueues: [...given.notifications.sqsQueues, `${marketplace.url}/${sellerAccountId}/${QUEUE}`],
      },
    }
    const ledger = await openLedger(config, clock)
    await declareConfiguration(ledger, clock)
    // Requests and jobs are not told one by one here: the screen belongs to what there is to click.
    const logger = createLogger({
      log: { level: process.env.LOG_LEVEL === undefined ? 'warn' : config.log.level },
    })
    const engine = await composeEngine(ledger, { clock, logger, syncsAgreements: true })
    const app = await composeServer(engine, {
      storefrontUrl: marketplace.url,
      overloadDelayMs: OVERLOAD_DELAY_MS,
    })
    await app.listen({ host, port })
    const address = app.server.address()
    const url = urlOf(host, typeof address === 'object' && address !== null ? address.port : port)
    for (const product of config.products) simulator.marketplace.addProduct(toSimulated(product, url))
    simulator.deliverTo(toDestinations(config.products, url))
    const secret = await devKey(ledger, clock, options.data)
    engine.keyUses.start()
    engine.leasedQuota.start()
    engine.jobs.start()
    engine.poller.start()
    const { email } = config.events
    greet(options, {
      url,
      storefront: marketplace.url,
      mailbox: email !== undefined && email.smtpUrl === undefined ? `${url}/mailbox` : undefined,
      key: secret,
      product: config.products[0],
    })
    await runUntilStopped(engine, app, () => simulator.close())
  } catch (error) {
    await simulator.close()
    throw error
  }
}

/** As a seller sets it up at AWS: events through a queue, the topics of legacy products to the webhook. */
export function toDestinations(products: readonly Product[], serverUrl: string): Destinations {
  const hasTopics = products.some(({ metering }) => metering === 'legacy')
  return {
    subscriptions: hasTopics ? [{ protocol: 'http', endpoint: `${serverUrl}/marketplace/webhook` }] : [],
    rules: [{ name: 'tollkeeper', target: { queue: QUEUE } }],
  }
}

const PRICING = {
  usage: 'usage',
  contract: 'contract',
  'contract-with-consumption': 'contractWithConsumption',
} as const satisfies Record<Product['pricing'], SimulatedProduct['pricing']>

/** What the marketplace sells, from what the ledger meters and what plans are granted by. */
export function toSimulated(product: Product, serverUrl: string): SimulatedProduct {
  const metered = product.dimensions.map(({ key, name, price }) => ({
    key,
    name,
    ...(price !== undefined && { price }),
    ...(product.pricing === 'contract-with-consumption' && { types: ['ExternallyMetered'] as const }),
  }))
  const granted = product.plans.flatMap(({ grantedBy, included }) => [
    grantedBy,
    ...included.map(({ per }) => per),
  ])
  const keys = new Set(granted.filter((key) => key !== undefined))
  const entitled = [...keys].map((key) => ({ key, types: ['Entitled'] as const }))
  return {
    productCode: product.productCode,
    ...(product.productId !== undefined && { productId: product.productId }),
    title: product.title,
    metering: product.metering,
    pricing: PRICING[product.pricing],
    fulfillmentUrl: `${serverUrl}/marketplace/register/${product.listing}`,
    dimensions: [
      ...(product.pricing === 'contract' ? [] : metered.filter(({ key }) => !keys.has(key))),
      ...(product.pricing === 'usage' ? [] : entitled),
    ],
  }
}

/** One key for this folder, kept where only its owner reads it, so that the printed command works after a restart. */
async function devKey(ledger: Ledger, clock: Clock, directory: string): Promise<string> {
  const file = join(directory, 'dev-key')
  try {
    const secret = readFileSync(file, 'utf8').trim()
    const known = await ledger.keys.findByHash(hashSecret(secret))
    if (known !== undefined && known.revokedAt === undefined) return secret
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const request = { name: 'tollkeeper dev', scopes: ['admin'] as const, product: undefined }
  const { secret } = await issueServiceKey({ keys: ledger.keys, clock }, request, 'cli:dev')
  writeFileSync(file, `${secret}\n`, { mode: 0o600 })
  return secret
}

function greet(options: DevOptions, ready: Ready): void {
  if (options.json) {
    const { url, storefront, mailbox, key } = ready
    process.stdout.write(`${JSON.stringify({ mode: 'simulated', url, storefront, mailbox, key })}\n`)
    return
  }
  process.stdout.write(greetingOf(ready, options.data))
}
