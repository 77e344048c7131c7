import { readFileSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { checkSchema, problemAt } from './config/check-schema.ts'
import { ConfigError, type ConfigProblem } from './config/config-error.ts'
import { DEMO_CONFIG } from './config/demo.ts'
import { ENVIRONMENT, type Environment, readEnvironment } from './config/environment.ts'
import { type MarketplaceListings, readMarketplaceFile } from './config/marketplace-file.ts'
import { resolveProducts } from './config/products.ts'
import { type ConfigFile, ConfigSchema } from './config/schema.ts'
import { type Pointer, readSource, type Source, valueAt } from './config/source.ts'
import { isOnThisMachine, readStore, type StoreConfig } from './config/store.ts'
import { type DeclaredSubscription, resolveSubscriptions } from './config/subscriptions.ts'
import { editDistance } from './domain/closest-name.ts'
import { notOneOf } from './domain/not-one-of.ts'
import type { Product } from './domain/products/product.ts'
import { DOMAIN_EVENT_TYPES } from './domain/telling/domain-event.ts'
import { MINUTE_MS } from './domain/usage/hour.ts'
import { whereIs } from './marketplace/loopback.ts'

export type Mode = 'simulated' | 'shadow' | 'live'
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

/** All settings of one deployment: read once at start, checked, frozen. */
export interface Config {
  /** Absolute path of the file; undefined for the demo. */
  readonly file: string | undefined
  readonly mode: Mode
  readonly log: { readonly level: LogLevel }
  readonly server: {
    readonly host: string
    readonly port: number
    /** Without a slash at its end. */
    readonly publicUrl: string | undefined
    /** Addresses or ranges of proxies whose word about the caller's address is believed. */
    readonly trustProxy: readonly string[]
    /** How much one caller may ask of this process; 0: any number. */
    readonly rateLimits: Readonly<ConfigFile['server']['rateLimits']>
    /** From being told to stop until it listens no more: it still answers, and `/ready` says 503. */
    readonly drainMs: number
  }
  readonly store: StoreConfig
  readonly aws: {
    readonly accountId: string | undefined
    readonly region: string
    /** The metering service's address; undefined: AWS's own. Always set in simulated mode. */
    readonly endpoint: string | undefined
    readonly timeoutMs: number
    /** A role to assume with the ambient credentials; never in simulated mode. */
    readonly assumeRole: AssumedRole | undefined
  }
  readonly notifications: {
    readonly sqsQueues: readonly string[]
    /** Besides AWS Marketplace's own of each product. */
    readonly snsTopics: readonly string[]
    readonly relay: { readonly secret: string; readonly toleranceMs: number } | undefined
    readonly receivesMax: number
  }
  readonly events: {
    readonly eventBridge:
      | { readonly bus: string; readonly region: string; readonly source: string }
      | undefined
    readonly webhooks: readonly Webhook[]
    readonly email: Email | undefined
  }
  readonly entitlements: { readonly refreshMs: number }
  readonly usage: { readonly acceptBackMs: number; readonly acceptAheadMs: number }
  readonly visitors: VisitorsConfig
  readonly jobs: { readonly intervalMs: number }
  readonly products: readonly Product[]
  readonly subscriptions: readonly DeclaredSubscription[]
  /** Section `connectors.marketplace`, where the file has it. */
  readonly connector: Connector | undefined
  /** What `marketplace-config.json` says about the deployment, where it is there. */
  readonly deployment: Deployment | undefined
}

export interface VisitorsConfig {
  /** How long a salt is the one of now. */
  readonly saltMs: number
  readonly keepMs: number
  /** In an hour, of one address, without a challenge. Undefined: as many as come. */
  readonly newPerAddress: number | undefined
  /** Tries that a challenge takes at most. */
  readonly difficulty: number
}

export interface AssumedRole {
  readonly roleArn: string
  readonly externalId: string | undefined
  readonly sessionName: string
}

export interface Webhook {
  readonly id: string
  readonly url: string
  /** `whsec_` and base64. */
  readonly secret: string
  readonly product: string | undefined
  /** Empty: all. */
  readonly types: readonly string[]
  readonly allowPrivate: boolean
}

export interface Email {
  /** Undefined only in simulated mode: mail stays in the mailbox page. */
  readonly smtpUrl: string | undefined
  readonly from: string
  readonly sellerTo: readonly string[]
}

export interface Connector {
  readonly enabled: boolean
  readonly scheduleCron: string | undefined
  readonly entities: readonly string[]
  readonly writeActions: readonly string[]
}

export interface Deployment {
  readonly region: string | undefined
  readonly environment: string | undefined
  readonly retainResources: boolean
  readonly listings: readonly {
    readonly path: string
    readonly name: string | undefined
    readonly description: string | undefined
    readonly enabled: boolean
  }[]
}

export const CONFIG_FILE = 'tollkeeper.yaml'
export const MARKETPLACE_FILE = 'marketplace-config.json'
/** Where a server is asked by nobody but ourselves. */
export const NO_RATE_LIMITS: Config['server']['rateLimits'] = {
  usageAndGate: 0,
  otherRoutes: 0,
  perAddress: 0,
  unknownKeys: 0,
  unknownApiKeys: 0,
}

/** The metering service that simulated mode talks to unless told otherwise. */
export const SIMULATOR_ENDPOINT = 'http://127.0.0.1:4010'

/** Balancers ask for health every few seconds, and believe the second answer. */
const DRAIN_SECONDS = 5
const DAY_MS = 24 * 60 * MINUTE_MS
const FILE_BYTES_MAX = 1_000_000

/**
 * Reads `tollkeeper.yaml`, a `marketplace-config.json` beside it, and the environment.
 *
 * @param options.file - relative to `cwd`; without it `TOLLKEEPER_CONFIG`, then `tollkeeper.yaml`
 * @throws {ConfigError} with every problem found
 */
export function loadConfig(options: { file?: string; cwd: string; env: Environment }): Config {
  const { cwd, env } = options
  const file = resolve(cwd, options.file ?? readEnvironment(env, 'TOLLKEEPER_CONFIG') ?? CONFIG_FILE)
  const text = readText(file, cwd)
  if (text === undefined) {
    const hint =
      options.file === undefined
        ? 'run `tollkeeper init` to write one'
        : 'check the path, or run `tollkeeper init`'
    throw new ConfigError([wholeFile(nameOf(file, cwd), `does not exist: ${hint}`)])
  }
  const listingsFile = join(dirname(file), MARKETPLACE_FILE)
  const listingsText = readText(listingsFile, cwd)
  return parseConfig(text, {
    name: nameOf(file, cwd),
    file,
    directory: dirname(file),
    env,
    ...(listingsText === undefined
      ? {}
      : { listings: { name: nameOf(listingsFile, cwd), text: listingsText } }),
  })
}

/**
 * What `tollkeeper dev` sells when there is no `tollkeeper.yaml`: one product with three dimensions, simulated.
 *
 * @param options.directory - where its ledger is kept
 * @throws {ConfigError} for a name of the environment that cannot be used
 */
export function demoConfig(options: { directory?: string; env?: Environment } = {}): Config {
  const { directory = '.', env = {} } = options
  const mode = readEnvironment(env, 'TOLLKEEPER_MODE')
  if (mode !== undefined && mode !== 'simulated') {
    const message =
      'must be `simulated` for the demo: unset it, or run `tollkeeper serve` with a file of your own'
    throw new ConfigError([{ ...wholeFile('environment', message), path: 'TOLLKEEPER_MODE' }])
  }
  return parseConfig(DEMO_CONFIG, { name: 'the demo', directory: resolve(directory), env })
}

/**
 * The configuration that a text means.
 *
 * @param options.name - how messages call the text
 * @param options.directory - absolute; relative paths begin here
 * @throws {ConfigError} with every problem found
 */
export function parseConfig(
  text: string,
  options: {
    name: string
    directory: string
    env: Environment
    file?: string
    listings?: { name: string; text: string }
  },
): Config {
  const { env } = options
  const source = readSource(options.name, text, env)
  const problems: ConfigProblem[] = [...source.problems]
  let listings: MarketplaceListings | undefined
  if (options.listings) {
    const read = readMarketplaceFile(options.listings.name, options.listings.text)
    listings = read.listings
    problems.push(...read.problems)
  }
  if (source.problems.length > 0) throw new ConfigError(problems)

  problems.push(...takeEnvironment(source, env, listings))
  const { value, problems: shapeProblems } = checkSchema(ConfigSchema, source)
  problems.push(...shapeProblems)
  // Rules across parts need parts that are right in themselves.
  if (problems.length > 0) throw new ConfigError(problems)

  const file = value as ConfigFile
  const { products, problems: productProblems } = resolveProducts(file, source, listings, env)
  const { subscriptions, problems: buyerProblems } = resolveSubscriptions(
    file.subscriptions,
    products,
    source,
  )
  problems.push(...productProblems, ...buyerProblems, ...checkMode(file, source), ...checkUrls(file, source))
  const store = readStore(file.store, options.directory)
  problems.push(...checkStore(store, file, source))
  if (problems.length > 0 || typeof store === 'string') throw new ConfigError(problems)

  const connector = file.connectors.marketplace
  return deepFreeze<Config>({
    file: options.file,
    mode: file.mode,
    log: { level: file.log.level },
    server: {
      host: file.server.host,
      port: file.server.port,
      publicUrl: file.server.publicUrl?.replace(/\/+$/, ''),
      trustProxy: file.server.trustProxy,
      rateLimits: file.server.rateLimits,
      drainMs: (file.server.drainSeconds ?? (store.kind === 'sqlite' ? 0 : DRAIN_SECONDS)) * 1000,
    },
    store,
    aws: {
      accountId: file.aws.accountId,
      region: file.aws.region,
      endpoint: file.aws.endpoint ?? (file.mode === 'simulated' ? SIMULATOR_ENDPOINT : undefined),
      timeoutMs: file.aws.timeoutMs,
      assumeRole: file.aws.assumeRole && {
        roleArn: file.aws.assumeRole.roleArn,
        externalId: file.aws.assumeRole.externalId,
        sessionName: file.aws.assumeRole.sessionName,
      },
    },
    notifications: toNotifications(file),
    events: toEvents(file),
    entitlements: { refreshMs: file.entitlements.refreshMinutes * MINUTE_MS },
    usage: {
      acceptBackMs: file.usage.acceptBackDays * DAY_MS,
      acceptAheadMs: file.usage.acceptAheadMinutes * MINUTE_MS,
    },
    visitors: {
      saltMs: file.visitors.saltDays * DAY_MS,
      keepMs: file.visitors.keepDays * DAY_MS,
      newPerAddress: file.visitors.newPerAddress === 'off' ? undefined : Number(file.visitors.newPerAddress),
      difficulty: file.visitors.difficulty,
    },
    jobs: { intervalMs: file.jobs.intervalSeconds * 1000 },
    products,
    subscriptions,
    connector: connector && {
      enabled: connector.enabled,
      scheduleCron: connector.schedule_cron,
      entities: connector.entities,
      writeActions: connector.write_actions,
    },
    deployment: listings && toDeployment(listings),
  })
}

/** Names of the environment take the place of settings before anything is checked, so that they are checked alike. */
function takeEnvironment(
  source: Source,
  env: Environment,
  listings: MarketplaceListings | undefined,
): ConfigProblem[] {
  for (const { name, sets, how } of ENVIRONMENT) {
    const value = readEnvironment(env, name)
    if (value === undefined || sets === undefined || sets.includes('[]')) continue
    const pointer = sets.split('.')
    if (how === 'fills' && isSet(source, pointer)) continue
    source.override(pointer, name === 'LOG_LEVEL' ? value.toLowerCase() : value, name)
  }
  const region = listings?.file.deploymentSettings.region
  if (region !== undefined && !isSet(source, ['aws', 'region'])) {
    source.override(['aws', 'region'], region, `${MARKETPLACE_FILE}: deploymentSettings.region`)
  }

  const ours = ENVIRONMENT.map(({ name }) => name).filter((name) => name.startsWith('TOLLKEEPER_'))
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith('TOLLKEEPER_') || ours.includes(name)) return []
    // Other parts have names of their own (`TOLLKEEPER_KEY`): only what looks like a slip is one.
    const meant = ours.find((known) => editDistance(name, known) === 1)
    const message = `is not a setting: did you mean \`${meant}\`?`
    return meant === undefined ? [] : [{ file: 'environment', line: 0, column: 0, path: name, message }]
  })
}

function isSet(source: Source, pointer: Pointer): boolean {
  const value = valueAt(source.tree, pointer)
  return value !== undefined && value !== null
}

/** Pretend and real never mix: neither by a slip in the file nor by one in the environment. */
function checkMode(file: ConfigFile, source: Source): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const { mode, aws } = file
  const endpoint = aws.endpoint === undefined ? undefined : parseUrl(aws.endpoint)
  const place = endpoint && whereIs(endpoint)
  const report = (pointer: Pointer, message: string) => problems.push(problemAt(source, pointer, message))
  if (mode === 'simulated' && place !== undefined && place !== 'loopback') {
    report(
      ['aws', 'endpoint'],
      'must be on this machine in simulated mode, such as `http://127.0.0.1:4010`: leave it out, or set `mode: live`',
    )
  }
  if (mode !== 'simulated' && place !== undefined && place !== 'elsewhere') {
    report(
      ['aws', 'endpoint'],
      `must not be on this machine in ${mode} mode: leave it out for AWS's own, or set \`mode: simulated\``,
    )
  }
  if (mode !== 'simulated' && endpoint && endpoint.protocol !== 'https:') {
    report(['aws', 'endpoint'], `must begin with \`https://\` in ${mode} mode`)
  }
  if (mode === 'simulated' && aws.assumeRole !== undefined) {
    report(['aws', 'assumeRole'], 'must be left out in simulated mode, which reads no AWS credentials')
  }
  if (mode !== 'simulated' && file.events.email !== undefined && file.events.email.smtpUrl === undefined) {
    report(['events', 'email'], `must say \`smtpUrl\` in ${mode} mode: mail has to go somewhere`)
  }
  if (mode === 'simulated' && file.events.email?.smtpUrl !== undefined) {
    const server = parseUrl(file.events.email.smtpUrl)
    if (server === undefined || whereIs(server) !== 'loopback')
      report(
        ['events', 'email', 'smtpUrl'],
        'must be on this machine in simulated mode: leave it out, and mail is kept in the mailbox page',
      )
  }
  for (const [index, queue] of file.notifications.sqsQueues.entries()) {
    const where = parseUrl(queue)
    if (where === undefined || (mode === 'simulated') !== (whereIs(where) === 'loopback')) {
      report(
        ['notifications', 'sqsQueues', index],
        mode === 'simulated'
          ? 'must be on this machine in simulated mode'
          : `must not be on this machine in ${mode} mode`,
      )
    }
  }
  for (const [index, webhook] of file.events.webhooks.entries()) {
    const url = parseUrl(webhook.url)
    const pointer = ['events', 'webhooks', index, 'url']
    if (url === undefined) report(pointer, 'must be a URL: this one cannot be read')
    else if (mode === 'simulated' && whereIs(url) !== 'loopback')
      report(pointer, 'must be on this machine in simulated mode: nothing leaves it')
    else if (mode !== 'simulated' && url.protocol !== 'https:' && !webhook.allowPrivate)
      report(pointer, `must begin with \`https://\` in ${mode} mode, unless \`allowPrivate\` is set`)
    if (webhook.product !== undefined && !file.products.some(({ id }) => id === webhook.product))
      report(['events', 'webhooks', index, 'product'], 'must be the id of a product')
    for (const [position, type] of webhook.types.entries())
      if (!DOMAIN_EVENT_TYPES.some((known) => known === type))
        report(
          ['events', 'webhooks', index, 'types', position],
          notOneOf('a type of event', type, DOMAIN_EVENT_TYPES),
        )
    if (file.events.webhooks.findIndex(({ id }) => id === webhook.id) !== index)
      report(['events', 'webhooks', index, 'id'], 'must be unique: deliveries are kept under it')
  }
  if (mode === 'live' && aws.accountId === undefined) {
    report(['aws', 'accountId'], "is missing: live mode needs the seller's AWS account id, 12 digits")
  }
  const connector = file.connectors.marketplace
  if (mode === 'live' && connector?.enabled && !connector.write_actions.includes('emit_meter_usage')) {
    report(
      ['connectors', 'marketplace', 'write_actions'],
      'must have `emit_meter_usage` in live mode: add it, or set `mode: shadow`, which sends nothing',
    )
  }
  return problems
}

function checkUrls(file: ConfigFile, source: Source): ConfigProblem[] {
  const urls = [
    [['aws', 'endpoint'], file.aws.endpoint],
    [['server', 'publicUrl'], file.server.publicUrl],
  ] as const
  return urls.flatMap(([pointer, url]) =>
    url === undefined || parseUrl(url)
      ? []
      : [problemAt(source, pointer, 'must be a URL: this one cannot be read')],
  )
}

function parseUrl(url: string): URL | undefined {
  return URL.parse(url) ?? undefined
}

function toNotifications({ notifications }: ConfigFile): Config['notifications'] {
  const { sqsQueues, snsTopics, relaySecret, relayToleranceSeconds, receivesMax } = notifications
  return {
    sqsQueues,
    snsTopics,
    receivesMax,
    relay:
      relaySecret === undefined
        ? undefined
        : { secret: relaySecret, toleranceMs: relayToleranceSeconds * 1000 },
  }
}

function toEvents({ events, aws, mode }: ConfigFile): Config['events'] {
  const { eventBridge, webhooks, email } = events
  return {
    eventBridge: eventBridge && {
      bus: eventBridge.bus,
      region: eventBridge.region ?? regionOf(eventBridge.bus) ?? aws.region,
      source: eventBridge.source,
    },
    webhooks: webhooks.map((webhook) => ({
      id: webhook.id,
      url: webhook.url,
      secret: webhook.secret,
      product: webhook.product,
      types: webhook.types,
      allowPrivate: webhook.allowPrivate || mode === 'simulated',
    })),
    email: email && { smtpUrl: email.smtpUrl, from: email.from, sellerTo: email.sellerTo },
  }
}

/** The ARN of a bus says where it is. */
function regionOf(bus: string): string | undefined {
  return /^arn:[^:]+:events:([a-z0-9-]+):/.exec(bus)?.[1]
}

function checkStore(store: StoreConfig | string, { mode }: ConfigFile, source: Source): ConfigProblem[] {
  const pointer = ['store', 'url']
  if (typeof store === 'string') return [problemAt(source, pointer, store)]
  if (mode !== 'simulated' || isOnThisMachine(store)) return []
  return [
    problemAt(source, pointer, 'must be on this machine: simulated mode opens no connection beyond loopback'),
  ]
}

function toDeployment({ file }: MarketplaceListings): Deployment {
  const { region, environment, retainResources } = file.deploymentSettings
  return {
    region,
    environment,
    retainResources: retainResources ?? true,
    listings: Object.entries(file.marketplaceListings).map(([key, listing]) => ({
      path: listing.path ?? key,
      name: listing.name,
      description: listing.description,
      enabled: listing.enabled,
    })),
  }
}

/** @returns undefined where there is no such file */
function readText(file: string, cwd: string): string | undefined {
  const name = nameOf(file, cwd)
  try {
    if (statSync(file).size > FILE_BYTES_MAX) {
      throw new ConfigError([
        wholeFile(name, `is larger than ${FILE_BYTES_MAX} bytes: a configuration is smaller`),
      ])
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (error) {
    if (error instanceof ConfigError) throw error
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    const why =
      code === 'EISDIR'
        ? 'is a directory: name the file in it'
        : code === 'EACCES' || code === 'EPERM'
          ? 'cannot be read: give this user permission to read it'
          : code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
            ? 'is not text in UTF-8: save it as UTF-8'
            : `cannot be read (${String(code)})`
    throw new ConfigError([wholeFile(name, why)], { cause: error })
  }
}

function wholeFile(file: string, message: string): ConfigProblem {
  return { file, line: 0, column: 0, path: '', message }
}

/** As a person would name it from where they are. */
function nameOf(file: string, cwd: string): string {
  const path = relative(resolve(cwd), file)
  return path === '' ? basename(file) : path.startsWith('..') || isAbsolute(path) ? file : path
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const item of Object.values(value)) deepFreeze(item)
  }
  return value
}
