/**
 * Measures the product against its own limits, and prints one table. `node bench/run.ts [NAME…] [--json]`; see
 * `bench/README.md`. None of it is a test: figures differ between machines, and from minute to minute on one.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { canPin } from './harness/child.ts'
import { makeDirectory, removeDirectory } from './harness/disk.ts'
import { ROUNDS } from './harness/rounds.ts'
import { type Benchmark, isReached, type Row } from './harness/row.ts'
import { renderTable } from './harness/table.ts'
import { check } from './rows/check.ts'
import { growth, growthTen } from './rows/growth.ts'
import { meter, meterPostgres, usage, usagePostgres } from './rows/ingest.ts'
import { usageDynamo } from './rows/ingest-dynamo.ts'
import { keys } from './rows/keys.ts'
import { quota } from './rows/quota.ts'
import { seal } from './rows/seal.ts'
import { simulator } from './rows/simulator.ts'
import { start } from './rows/start.ts'
import { submit, submitDynamo, submitPostgres } from './rows/submit.ts'

const BENCHMARKS: readonly Benchmark[] = [
  meter,
  usage,
  meterPostgres,
  usagePostgres,
  usageDynamo,
  check,
  keys,
  quota,
  growth,
  growthTen,
  submit,
  submitPostgres,
  submitDynamo,
  seal,
  simulator,
  start,
]

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean' }, help: { type: 'boolean' } },
  })
  if (values.help) return print(usageText())
  const unknown = positionals.find((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name))
  if (unknown !== undefined) throw new Error(`no benchmark ${unknown}\n${usageText()}`)
  const chosen = BENCHMARKS.filter(({ name, byDefault }) =>
    positionals.length === 0 ? byDefault : positionals.includes(name),
  )

  const directory = makeDirectory()
  // A run that is interrupted must not leave gigabytes behind.
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  process.once('exit', () => removeDirectory(directory))

  const rows: Row[] = []
  for (const benchmark of chosen) {
    process.stderr.write(`${benchmark.name}: ${benchmark.about}\n`)
    const progress = (text: string) => void process.stderr.write(`  ${text}\n`)
    rows.push(...(await benchmark.run({ directory, progress })))
  }
  const machine = {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    node: process.version,
    pinned: canPin,
    rounds: ROUNDS,
  }
  if (values.json)
    print(
      JSON.stringify(
        { machine, rows: rows.map((row) => ({ ...row, reached: isReached(row) })) },
        undefined,
        2,
      ),
    )
  else {
    print(renderTable(rows))
    print(
      `\n${machine.cores} × ${machine.cpu}, Node.js ${machine.node}; ${canPin ? 'server on one core, client on another' : 'not pinned: no taskset or one core'}; medians of ${ROUNDS} interleaved rounds`,
    )
  }
}

function usageText(): string {
  const lines = BENCHMARKS.map(
    ({ name, about, byDefault }) => `  ${name.padEnd(15)} ${about}${byDefault ? '' : ' (only by name)'}`,
  )
  return `node bench/run.ts [NAME…] [--json]\n${lines.join('\n')}`
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exitCode = 1
}
