/**
 * Writes what is generated from the configuration's schema, the published JSON Schema and `docs/configuration.md`, and
 * `docs/iam.md` from the list of what the server asks of AWS, and the definition of the table that a ledger on DynamoDB has.
 * With `--check` it writes nothing and exits with 1 if one of them is not current.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configurationPage, publishedSchema } from '../packages/server/src/config/published.ts'
import { iamPage } from '../packages/server/src/marketplace/iam-permissions.ts'
import { tableDefinition } from '../packages/server/src/storage/dynamodb/table-definition.ts'

const ROOT = join(import.meta.dirname, '..')
const FILES: readonly (readonly [path: string, text: () => string])[] = [
  [
    'packages/server/tollkeeper.schema.json',
    () => formatted('tollkeeper.schema.json', JSON.stringify(publishedSchema())),
  ],
  ['docs/configuration.md', configurationPage],
  ['docs/iam.md', iamPage],
  [
    'docs/dynamodb-table.json',
    () => formatted('dynamodb-table.json', JSON.stringify(tableDefinition('tollkeeper'))),
  ],
]

/** As the formatter would have it, so that generating and formatting never take turns. */
function formatted(name: string, text: string): string {
  const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome')
  return execFileSync(process.execPath, [biome, 'format', `--stdin-file-path=${name}`], {
    cwd: ROOT,
    input: text,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  })
}

function current(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8')
  } catch {
    return undefined
  }
}

const stale = FILES.map(([path, text]) => ({ path, text: text() })).filter(
  ({ path, text }) => current(path) !== text,
)
if (process.argv.includes('--check')) {
  if (stale.length > 0) {
    const names = stale.map(({ path }) => path).join(', ')
    console.error(`not current: ${names}: run \`node scripts/generate-schema.ts\` and commit`)
    process.exitCode = 1
  }
} else {
  for (const { path, text } of stale) {
    writeFileSync(join(ROOT, path), text)
    console.log(`written: ${path}`)
  }
}
