import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { scanDynamoTable } from '../../compose.ts'
import type { Config } from '../../config.ts'
import { ofItems, readTable, type Table } from '../../domain/subscriptions/import/read-table.ts'
import type { RowProblem, SourceRow } from '../../domain/subscriptions/import/source-row.ts'
import { checkLive } from '../check-live.ts'
import { CliError } from '../output.ts'

/** A table of a hundred thousand subscribers is 100 MB of JSON. */
const BYTES_MAX = 512_000_000
const DATA_FILE = /\.(json|ndjson|jsonl|csv)(\.gz)?$/i
const GZIP = [0x1f, 0x8b]

/**
 * The rows of a source as the command line names it: a file, a folder of files (an export to S3), or
 * `dynamodb://TABLE?region=…`.
 *
 * @throws {CliError}, {DomainError} that say what to do
 */
export async function readSource(name: string, config: Config): Promise<Table> {
  if (name.startsWith('dynamodb:')) return readDynamoTable(name, config)
  const files = filesOf(name)
  const rows: SourceRow[] = []
  const problems: RowProblem[] = []
  for (const file of files) {
    const table = readTable(readText(file), file)
    const prefix = files.length > 1 ? `${basename(file)} ` : ''
    rows.push(...table.rows.map((row) => ({ ...row, where: `${prefix}${row.where}` })))
    problems.push(...table.problems.map((problem) => ({ ...problem, where: `${prefix}${problem.where}` })))
  }
  return { rows, problems }
}

async function readDynamoTable(name: string, config: Config): Promise<Table> {
  const source = parseDynamoUrl(name, config)
  await checkLive(config)
  const rows: SourceRow[] = []
  const problems: RowProblem[] = []
  let from = 1
  for await (const items of scanDynamoTable(config, source)) {
    const table = ofItems(items, 'row', from)
    from += items.length
    rows.push(...table.rows)
    problems.push(...table.problems)
  }
  return { rows, problems }
}

/** `dynamodb://TABLE?region=eu-west-1`; on this machine with `&endpoint=http://127.0.0.1:8000`. */
export function parseDynamoUrl(
  name: string,
  { mode, aws }: Pick<Config, 'mode' | 'aws'>,
): { table: string; region: string; endpoint: string | undefined } {
  const [, table, query] = /^dynamodb:\/\/([A-Za-z0-9_.-]{3,255})\/?(?:\?(.*))?$/.exec(name) ?? []
  const parameters = new URLSearchParams(query ?? '')
  const others = [...parameters.keys()].filter((key) => key !== 'region' && key !== 'endpoint')
  const region = parameters.get('region') ?? aws.region
  const endpoint = parameters.get('endpoint') ?? undefined
  if (table === undefined || others.length > 0 || !/^[a-z]{2,}(-[a-z]+)+-\d$/.test(region))
    throw new CliError(
      `a table is named as dynamodb://TABLE?region=us-east-1, not ${JSON.stringify(name.slice(0, 200))}`,
    )
  if (mode === 'simulated' && endpoint === undefined)
    throw new CliError(
      'simulated mode reads no table of AWS: name one on this machine with &endpoint=http://127.0.0.1:8000, or export the table to a file',
    )
  return { table, region, endpoint }
}

function filesOf(name: string): readonly string[] {
  const found = statSync(name, { throwIfNoEntry: false })
  if (found === undefined || !(found.isFile() || found.isDirectory()))
    throw new CliError(
      `${name} is not there: name a file, a folder of files, dynamodb://TABLE?region=…, or agreements`,
    )
  if (found.isFile()) return [name]
  // An export to S3 keeps its items in `data`, beside manifests.
  const data = join(name, 'data')
  const folder = statSync(data, { throwIfNoEntry: false })?.isDirectory() ? data : name
  const files = readdirSync(folder)
    .filter((file) => DATA_FILE.test(file) && !file.startsWith('manifest-'))
    .sort()
    .map((file) => join(folder, file))
  if (files.length === 0) throw new CliError(`${folder} has no file ending in .json, .csv or .json.gz`)
  return files
}

function readText(file: string): string {
  if (statSync(file).size > BYTES_MAX) throw tooLarge(file)
  const bytes = readFileSync(file)
  if (!GZIP.every((byte, index) => bytes[index] === byte)) return bytes.toString('utf8')
  try {
    return gunzipSync(bytes, { maxOutputLength: BYTES_MAX }).toString('utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw code === 'ERR_BUFFER_TOO_LARGE'
      ? tooLarge(file)
      : new CliError(`${file} cannot be unpacked: it is cut off or no gzip file; fetch it again`)
  }
}

function tooLarge(file: string): CliError {
  return new CliError(`${file} has more than ${BYTES_MAX / 1e6} MB: split it by lines`)
}
