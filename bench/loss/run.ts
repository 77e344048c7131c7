import { isLossless, LOSS_FAULTS, type LossFault, type LossResult, measureLoss } from './loss.ts'

/**
 * Billed against used, in percent, under each fault and under all of them: `npm run bench:loss [-- --json]`.
 * 200 customers, 3 dimensions, 6 hours with the fault, then 6 clean ones. Exits 1 unless every row is 0.00.
 *
 * AWS's own figures are of its reference metering under the same faults: two Lambdas, unmodified.
 */
interface Row {
  readonly name: string
  readonly faults: readonly LossFault[]
  /** AWS's sample of June 2025 and its reference of August 2026, as measured. */
  readonly sample: string
  readonly reference: string
}

const ROWS: readonly Row[] = [
  { name: 'none', faults: [], sample: '0.00', reference: '0.00' },
  { name: '2 % of records unprocessed', faults: ['unprocessed'], sample: '-2.0 to -2.3', reference: '-2.7' },
  { name: 'AWS refuses for one hour', faults: ['refusedHour'], sample: '-16.7', reference: '-16.7' },
  {
    name: 'process dies after AWS accepted, 5 % redelivered',
    faults: ['diesAfterAccept'],
    sample: '+0.7 to +0.9',
    reference: 'not run',
  },
  {
    name: '5 % of customers with an undefined dimension',
    faults: ['undefinedDimension'],
    sample: '-5.0',
    reference: '-5.0',
  },
  { name: '26 dimensions', faults: ['manyDimensions'], sample: '-100', reference: 'not run' },
  { name: '5 % of answers lost', faults: ['lostAnswers'], sample: 'not run', reference: 'not run' },
  { name: 'the six together', faults: LOSS_FAULTS, sample: 'not run', reference: 'not run' },
]

const results: (Row & LossResult & { lossless: boolean })[] = []
for (const row of ROWS) {
  const result = await measureLoss(new Set(row.faults))
  results.push({ ...row, ...result, lossless: isLossless(result) })
}

const print = (...columns: string[]) =>
  process.stdout.write(
    `${columns.map((text, index) => (index === 0 ? text.padEnd(50) : text.padStart(13))).join('')}\n`,
  )
if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(results, undefined, 2)}\n`)
else {
  print('fault', 'used', 'billed', 'billed/used', 'wrong bills', 'AWS 2025', 'AWS 2026')
  for (const { name, used, billed, percent, wrong, sample, reference } of results)
    print(name, String(used), String(billed), `${percent.toFixed(2)} %`, String(wrong), sample, reference)
  process.stdout.write(
    '\nUsage of the undefined dimension is no part of used and billed: AWS cannot bill it yet. It stays in the ledger, shown\nas waiting, and is billed once when the listing has the dimension:\n',
  )
  for (const { name, undefinedUsed, undefinedKept, undefinedBilled } of results) {
    if (undefinedUsed > 0)
      process.stdout.write(
        `  ${name}: ${undefinedUsed} used, ${undefinedKept} waiting, ${undefinedBilled} billed after the listing was mended\n`,
      )
  }
}
process.exitCode = results.every(({ lossless }) => lossless) ? 0 : 1
