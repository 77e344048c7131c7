import { Command, Option } from 'commander'
import { CliError, guarded } from '../output.ts'
import { FAULT_PRESETS, type FaultPreset } from '../rehearse/faults.ts'
import { LOG_FORMATS, type LogFormat } from '../rehearse/log-reader.ts'

interface RehearseOptions {
  readonly format: LogFormat
  readonly buyer: string
  readonly dimension: string[]
  readonly price?: string[]
  readonly scale?: string[]
  readonly id?: string
  readonly time?: string
  readonly faults?: true | string
  readonly keep?: string
  readonly json?: boolean
}

/** The demo, the backtest and the main job in one. */
export function rehearseCommand(): Command {
  return new Command('rehearse')
    .description(
      'replay a real usage or access log through server, ledger and simulated AWS, and print the bill',
    )
    .argument('<log>', 'a file, plain or gzip; - reads standard input')
    .addOption(new Option('--format <format>', 'what the log is').choices(LOG_FORMATS).default('combined'))
    .requiredOption('--buyer <field>', 'the field that names the buyer')
    .requiredOption(
      '--dimension <spec...>',
      'NAME=count|sum:FIELD|max:FIELD|unique:FIELD[/UNIT]; may be given again',
    )
    .option('--price <spec...>', 'NAME=0.002, US dollars for one unit')
    .option('--scale <spec...>', 'NAME=2, decimals of a quantity (default: as many as the log has)')
    .option('--id <field>', 'the field of the event’s id (default: id; for combined the line itself)')
    .option('--time <field>', 'the field of the event’s time (default: time)')
    .option('--faults [preset]', `order faults: ${FAULT_PRESETS.join(' (default), ')}`)
    .option('--keep <directory>', 'leave ledger and simulator there, to look at with `tollkeeper dev`')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExample:\n  tollkeeper rehearse access.log.gz --buyer remote_addr --dimension requests=count --dimension egress_mb=sum:bytes/1000000 --price requests=0.002',
    )
    .action(guarded(run))
}

async function run(file: string, options: RehearseOptions): Promise<void> {
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
