/**
 * Writes `packages/server/openapi.gen.json` from the routes' schemas. With `--check` it writes nothing and exits
 * with 1 if the file is not current.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeApi } from '../packages/server/src/http/describe-api.ts'

const SERVER = join(import.meta.dirname, '../packages/server')
const FILE = join(SERVER, 'openapi.gen.json')

const { version } = JSON.parse(readFileSync(join(SERVER, 'package.json'), 'utf8'))
const text = `${JSON.stringify(await describeApi(version), undefined, 2)}\n`
const current = existsSync(FILE) ? readFileSync(FILE, 'utf8') : undefined

if (!process.argv.includes('--check')) writeFileSync(FILE, text)
else if (text !== current) {
  console.error(
    'not current: packages/server/openapi.gen.json: run `node scripts/generate-openapi.ts` and commit',
  )
  process.exitCode = 1
}
