import { Command, Option } from 'commander'
import {
  type DynamoStoreConfig,
  isOnThisMachine,
  type PostgresStoreConfig,
  readStoreUrl,
} from '../../config/store.ts'
import { configOf } from '../context.ts'
import { CliError, guarded, print } from '../output.ts'
import { FAULT_PRESETS, type FaultPreset } from '../rehearse/faults.ts'
import { LOG_FORMATS, type LogFormat } from '../rehearse/log-reader.ts'

interface RehearseOptions {
  readonly lifecycle?: true
  readonly product?: string
  readonly config?: string
  readonly format: LogFormat
  readonly buyer?: string
  readonly dimension?: string[]
  readonly price?: string[]
  readonly scale?: string[]
  readonly id?: string
  readonly time?: string
  readonly faults?: true | string
  readonly keep?: string
  readonly store?: string
  readonly json?: boolean
}

/** The demo, the backtest and the main job in one. */
export function rehearseCommand(): Command {
  return new Command('rehearse')
    .description(
      'replay a real usage or access log through server, ledger and simulated AWS, and print the bill; or with --lifecycle play AWS’s integration checklist',
    )
    .argument('[log]', 'a file, plain or gzip; - reads standard input')
    .option('--lifecycle', 'play what AWS’s Seller Operations would test, and say what passes')
    .option('--product <id>', 'with --lifecycle: play this product of the configuration, not the demo’s')
    .option('--config <file>', 'with --product: configuration file (default: tollkeeper.yaml)')
    .addOption(new Option('--format <format>', 'what the log is').choices(LOG_FORMATS).default('combined'))
    .option('--buyer <field>', 'the field that names the buyer')
    .option('--dimension <spec...>', 'NAME=count|sum:FIELD|max:FIELD|unique:FIELD[/UNIT]; may be given again')
    .option('--price <spec...>', 'NAME=0.002, US dollars for one unit')
    .option('--scale <spec...>', 'NAME=2, decimals of a quantity (default: as many as the log has)')
    .option('--id <field>', 'the field of the event’s id (default: id; for combined the line itself)')
    .option('--time <field>', 'the field of the event’s time (default: time)')
    .option('--faults [preset]', `order faults: ${FAULT_PRESETS.join(' (default), ')}`)
    .option('--keep <directory>', 'leave ledger and simulator there, to look at with `tollkeeper dev`')
    .option(
      '--store <url>',
      'make the ledger in a database or table of its own beside this one (postgres://… or dynamodb://…); it is removed at the end, but for --keep',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  tollkeeper rehearse access.log.gz --buyer remote_addr --dimension requests=count --dimension egress_mb=sum:bytes/1000000 --price requests=0.002\n  tollkeeper rehearse --lifecycle --product my-product',
    )
    .action(guarded(run))
}

async function run(file: string | undefined, options: RehearseOptions): Promise<void> {
  if (options.lifecycle) return playLifecycle(file, options)
  const { buyer, dimension } = options
  if (options.product !== undefined || options.config !== undefined)
    throw new CliError('--product and --config belong to --lifecycle')
  if (file === undefined || buyer === undefined || dimension === undefined)
    throw new CliError(
      'name a log, --buyer and --dimension to rehearse a log, or --lifecycle for AWS’s integration checklist; see tollkeeper rehearse --help',
    )
  await replayLog(file, { ...options, buyer, dimension })
}

async function playLifecycle(
  file: string | undefined,
  { product, config, json, ...options }: RehearseOptions,
): Promise<void> {
  const ofLogs = ['buyer', 'dimension', 'price', 'scale', 'id', 'time', 'faults', 'keep', 'store'] as const
  const given = ofLogs.find((name) => options[name] !== undefined)
  if (file !== undefined || given !== undefined)
    throw new CliError(`${given === undefined ? 'a log' : `--${given}`} does not go with --lifecycle`)
  if (config !== undefined && product === undefined)
    throw new CliError('--config needs --product: which of its products is to be played')
  const { lifecycleDemo, productOf, rehearseLifecycle } = await import(
    '../rehearse/lifecycle/rehearse-lifecycle.ts'
  )
  const { createProgress } = await import('../rehearse/progress.ts')
  const played =
    product === undefined ? lifecycleDemo() : configOf({ ...(config !== undefined && { config }) })
  const report = await rehearseLifecycle({
    config: played,
    products: product === undefined ? played.products : [productOf(played, product)],
    progress: createProgress({ stream: process.stderr, json: json === true }),
  })
  const { renderChecklist } = await import('../rehearse/lifecycle/render-checklist.ts')
  const { wantsColor } = await import('../rehearse/terminal-text.ts')
  print(json, report, () =>
    renderChecklist(report, {
      width: process.stdout.columns,
      color: wantsColor(process.stdout, process.env),
    }).trimEnd(),
  )
  if (report.failed > 0) process.exitCode = 2
}

/** @throws {CliError} for what is no store, or none of this machine */
function storeOf(url: string | undefined): DynamoStoreConfig | PostgresStoreConfig | undefined {
  if (url === undefined) return undefined
  const store = readStoreUrl(url, process.cwd())
  if (typeof store === 'string') throw new CliError(`--store ${store}`)
  if (!isOnThisMachine(store))
    throw new CliError('--store must be on this machine: a rehearsal opens no connection beyond loopback')
  return store.kind === 'sqlite' ? undefined : store
}

async function replayLog(
  file: string,
  options: RehearseOptions & { readonly buyer: string; readonly dimension: string[] },
): Promise<void> {
  const faults = options.faults === true ? 'all' : options.faults
  if (faults !== undefined && !(FAULT_PRESETS as readonly string[]).includes(faults)) {
    throw new CliError(`--faults=${faults} is no preset: use ${FAULT_PRESETS.join(' or ')}`)
  }
  const { parseDimensionPlan } = await import('../rehearse/dimension-spec.ts')
  const plan = parseDimensionPlan({
    dimensions: options.dimension,
    ...(options.price && { prices: options.price }),
    ...(options.scale && { scales: options.scale }),
  })
  const { openLog } = await import('../rehearse/log-reader.ts')
  const { createProgress } = await import('../rehearse/progress.ts')
  const { rehearse } = await import('../rehearse/rehearse.ts')
  const log = await openLog({ file, format: options.format })
  const progress = createProgress({ stream: process.stderr, json: options.json === true })
  try {
    const { report, summary, specs, directory } = await rehearse({
      ...options,
      id: options.id,
      time: options.time,
      log,
      plan,
      faults: faults as FaultPreset | undefined,
      keep: options.keep,
      store: storeOf(options.store),
      progress,
    })
    if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
    else {
      const { renderReport } = await import('../rehearse/render-report.ts')
      const { wantsColor } = await import('../rehearse/terminal-text.ts')
      const keep =
        options.keep === undefined
          ? undefined
          : [
              `tollkeeper dev --config ${directory}/tollkeeper.yaml --data ${directory}`,
              `tollkeeper usage status --config ${directory}/tollkeeper.yaml`,
            ]
      const dimensions = specs.map(({ dimension }) => dimension)
      const view = { log: log.name, report, summary, dimensions, ...(keep && { keep }) }
      process.stdout.write(
        `${renderReport(view, { ...(process.stdout.columns !== undefined && { width: process.stdout.columns }), color: wantsColor(process.stdout, process.env) })}\n`,
      )
    }
    if (!report.audit.balanced) process.exitCode = 2
  } finally {
    await log.close()
  }
}
