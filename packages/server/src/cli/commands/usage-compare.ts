import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { compareUsage, type MeteredUsage } from '../../domain/usage/compare-usage.ts'
import { parseJson } from '../../domain/usage/read-json.ts'
import { readTime } from '../../domain/usage/read-time.ts'
import type { UsageRecord } from '../../domain/usage/usage-record.ts'
import type { UsageStore } from '../../domain/usage/usage-store.ts'
import { type CommonOptions, withLedger } from '../context.ts'
import { CliError, guarded, print, table } from '../output.ts'

const PAGE = 1_000
const SHOWN_MAX = 50

/** What a shadow ledger is for: before it takes over, its records and the old metering's must agree. */
export function compareCommand(): Command {
  return new Command('compare')
    .description('compare the records with what another metering sent to AWS, hour by hour')
    .argument(
      '<file>',
      'JSON lines as BatchMeterUsage takes them: LicenseArn or CustomerIdentifier, Dimension, Timestamp, Quantity',
    )
    .option('--product <id>', 'only records of this product')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (file: string, options: CommonOptions & { product?: string }) => {
        const isFile = await stat(file).then(
          (found) => found.isFile(),
          () => false,
        )
        if (!isFile) throw new CliError(`${file} is not a file that can be read`)
        const metered = await readMetered(file)
        const comparison = await withLedger(options, async ({ usage }) =>
          compareUsage(await allRecords(usage, options.product), metered),
        )
        const { equal, differences, oursTotal, theirsTotal } = comparison
        print(options.json, comparison, () =>
          [
            `${equal} hours are equal, ${differences.length} differ. Units here ${oursTotal}, there ${theirsTotal}.`,
            ...(differences.length === 0
              ? []
              : [
                  table(
                    ['identity', 'dimension', 'hour', 'here', 'there'],
                    differences
                      .slice(0, SHOWN_MAX)
                      .map((d) => [
                        d.identity,
                        d.dimension,
                        d.hour,
                        String(d.ours ?? '-'),
                        String(d.theirs ?? '-'),
                      ]),
                  ),
                ]),
            ...(differences.length > SHOWN_MAX
              ? [`and ${differences.length - SHOWN_MAX} more (all with --json)`]
              : []),
          ].join('\n'),
        )
        if (differences.length > 0) process.exitCode = 2
      }),
    )
}

async function allRecords(usage: UsageStore, product: string | undefined): Promise<UsageRecord[]> {
  const records: UsageRecord[] = []
  let cursor: string | undefined
  do {
    const page = await usage.listRecords({ product, limit: PAGE, cursor })
    records.push(...page.items)
    cursor = page.next
  } while (cursor !== undefined)
  return records
}

async function readMetered(file: string): Promise<MeteredUsage[]> {
  const metered: MeteredUsage[] = []
  let number = 0
  for await (const text of createInterface({
    input: createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    number++
    if (text.trim() === '') continue
    const read = readLine(text)
    if (typeof read === 'string') throw new CliError(`${file}:${number}: ${read}`)
    metered.push(read)
  }
  return metered
}

function readLine(text: string): MeteredUsage | string {
  let line: unknown
  try {
    line = parseJson(text, 'the line')
  } catch {
    return 'is not JSON'
  }
  if (typeof line !== 'object' || line === null) return 'is not a JSON object'
  const { LicenseArn, CustomerIdentifier, Dimension, Timestamp, Quantity } = line as Record<string, unknown>
  const identity = LicenseArn ?? CustomerIdentifier
  if (typeof identity !== 'string' || identity === '') return 'LicenseArn or CustomerIdentifier is missing'
  if (typeof Dimension !== 'string' || Dimension === '') return 'Dimension is missing'
  // As on the wire (seconds since 1970), or as people and CloudTrail write it.
  const timestamp =
    typeof Timestamp === 'number'
      ? Timestamp * 1000
      : typeof Timestamp === 'string'
        ? readTime(Timestamp)
        : undefined
  if (timestamp === undefined || !Number.isFinite(timestamp))
    return 'Timestamp must be seconds since 1970 or an RFC 3339 time'
  if (typeof Quantity !== 'number' || !Number.isSafeInteger(Quantity) || Quantity < 0)
    return 'Quantity must be a whole number, 0 or more'
  return { identity, dimension: Dimension, timestamp, quantity: BigInt(Quantity) }
}
