/**
 * Writes `packages/sdk/src/generated/api.gen.ts`, the types and the table of operations of the SDK's client, from
 * `packages/server/openapi.gen.json`. With `--check` it writes nothing and exits with 1 if the file is not current.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateSdk } from './sdk/generate-sdk.ts'

const ROOT = join(import.meta.dirname, '..')
const FILE = 'packages/sdk/src/generated/api.gen.ts'

const text = generateSdk(JSON.parse(readFileSync(join(ROOT, 'packages/server/openapi.gen.json'), 'utf8')))
const current = existsSync(join(ROOT, FILE)) ? readFileSync(join(ROOT, FILE), 'utf8') : undefined

if (!process.argv.includes('--check')) writeFileSync(join(ROOT, FILE), text)
else if (text !== current) {
  console.error(`not current: ${FILE}: run \`node scripts/generate-sdk.ts\` and commit`)
  process.exitCode = 1
}
