import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { aFolder } from './a-folder.ts'
import { marketplaceAt } from './marketplace.ts'
import { ask, startTollkeeper, tollkeeper } from './processes.ts'

const PRODUCTS =
  'products: [{ id: demo, productCode: demoapi0tollkeeper0000000, dimensions: [{ key: requests }] }]'
const CONFIG = `mode: simulated\nstore: { url: "sqlite:./ledger.db" }\n${PRODUCTS}\n`
const SHADOW = CONFIG.replace('simulated', 'shadow')
const LOG = '{"id":"1","time":"2026-11-01T10:00:00Z","buyer":"acme","bytes":1}\n'

type Files = Readonly<Record<string, string>>

interface Mistake {
  readonly args: readonly string[]
  readonly files?: Files
  readonly env?: Readonly<Record<string, string>>
  /** All of standard error. */
  readonly says: RegExp
}

let taken: Server
let takenPort = 0

beforeAll(async () => {
  taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  const address = taken.address()
  takenPort = typeof address === 'object' && address !== null ? address.port : 0
})
afterAll(() => taken.close())

/** What a person does wrong on the command line or in the configuration. */
const MISTAKES: Readonly<Record<string, () => Mistake>> = {
  'a setting that there is not': () => ({
    args: ['serve'],
    files: { 'tollkeeper.yaml': `mode: simulated\nserver:\n  prot: 4000\n${PRODUCTS}\n` },
    says: /^tollkeeper: tollkeeper\.yaml:3:3: server\.prot is not a setting: did you mean `port`\?$/,
  }),
  'a setting of the wrong type': () => ({
    args: ['serve'],
    files: { 'tollkeeper.yaml': `mode: simulated\nserver:\n  port: many\n${PRODUCTS}\n` },
    says: /^tollkeeper: tollkeeper\.yaml:3:9: server\.port must be a whole number from 0 to 65535/,
  }),
  'a file that is not YAML': () => ({
    args: ['usage', 'status'],
    files: { 'tollkeeper.yaml': 'mode: simulated\n  port: [\n' },
    says: /^tollkeeper: tollkeeper\.yaml:\d+:\d+: /,
  }),
  'a secret that the environment lacks': () => ({
    args: ['serve'],
    files: { 'tollkeeper.yaml': `mode: simulated\nstore: { url: "\${LEDGER_URL}" }\n${PRODUCTS}\n` },
    says: /tollkeeper\.yaml:2:15: store\.url needs LEDGER_URL, which is not set/,
  }),
  'a bad port': () => ({
    args: ['dev', '--port', '99999'],
    says: /--port must be a whole number from 0 to 65535/,
  }),
  'a bad port of the simulator': () => ({
    args: ['dev', '--simulator-port', 'x'],
    says: /--simulator-port must be/,
  }),
  'a bad port in the environment': () => ({
    args: ['dev'],
    env: { TOLLKEEPER_PORT: 'abc' },
    says: /environment: TOLLKEEPER_PORT must be a whole number/,
  }),
  'a port in use': () => ({
    args: ['serve', '--port', String(takenPort)],
    files: { 'tollkeeper.yaml': CONFIG },
    says: /127\.0\.0\.1:\d+ is in use: .*--port$/,
  }),
  'a port in use, for dev': () => ({
    args: ['dev', '--simulator-port', '0', '--port', String(takenPort)],
    says: /127\.0\.0\.1:\d+ is in use: .*--port$/,
  }),
  'a port of the simulator in use': () => ({
    args: ['dev', '--port', '0', '--simulator-port', String(takenPort)],
    says: /--simulator-port$/,
  }),
  'an address of another machine': () => ({
    args: ['serve', '--host', '203.0.113.9', '--port', '0'],
    files: { 'tollkeeper.yaml': CONFIG },
    says: /203\.0\.113\.9 is not an address of this machine/,
  }),
  'no configuration': () => ({
    args: ['serve'],
    says: /tollkeeper\.yaml: does not exist: run `tollkeeper init`/,
  }),
  'a missing configuration': () => ({ args: ['dev', '--config', 'x.yaml'], says: /x\.yaml: does not exist/ }),
  'a missing log': () => ({
    args: ['rehearse', 'none.log', '--buyer', 'a', '--dimension', 'a=count'],
    says: /cannot read none\.log: there is no such file/,
  }),
  'a missing file of events': () => ({
    args: ['usage', 'import', 'none.ndjson'],
    files: { 'tollkeeper.yaml': CONFIG },
    says: /none\.ndjson/,
  }),
  'a dimension that cannot be read': () => ({
    args: [
      'rehearse',
      'log.ndjson',
      '--format',
      'ndjson',
      '--buyer',
      'buyer',
      '--dimension',
      'gb=median:bytes',
    ],
    files: { 'log.ndjson': LOG },
    says: /gb=median:bytes/,
  }),
  'no ledger yet': () => ({
    args: ['usage', 'audit'],
    says: /there is no ledger at .*: start `tollkeeper dev`/,
  }),
  'an unknown command': () => ({ args: ['srve'], says: /unknown command 'srve'.*serve.*--help$/ }),
  'an unknown command of usage': () => ({
    args: ['usage', 'stats'],
    says: /unknown command 'stats'.*--help$/,
  }),
  'an unknown option': () => ({ args: ['dev', '--prot', '1'], says: /unknown option '--prot'.*--help$/ }),
  'an option left out': () => ({
    args: ['key', 'create'],
    says: /required option '--name <name>' not specified/,
  }),
  'an unknown fault': () => ({ args: ['simulator', 'fault', 'explode'], says: /'explode' is invalid/ }),
  'a file that is no ledger': () => ({
    args: ['serve', '--port', '0'],
    files: { 'tollkeeper.yaml': CONFIG, 'ledger.db': 'a shopping list, and no database at all\n' },
    says: /the file that store\.url names is not a ledger: give it another path/,
  }),
  'a folder in the place of the ledger': () => ({
    args: ['serve', '--port', '0'],
    files: { 'tollkeeper.yaml': CONFIG, 'ledger.db/is-a-folder': '' },
    says: /the ledger that store\.url names cannot be opened: it must be a file/,
  }),
  'live mode without an account': () => ({
    args: ['serve', '--port', '0'],
    files: { 'tollkeeper.yaml': CONFIG.replace('simulated', 'live') },
    says: /tollkeeper\.yaml:1:1: aws\.accountId is missing/,
  }),
  'a demo of what is not simulated': () => ({
    args: ['dev', '--port', '0'],
    files: { 'tollkeeper.yaml': SHADOW },
    says: /`tollkeeper dev` pretends, and the configuration says `mode: shadow`/,
  }),
}

function write(folder: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    if (path.includes('/')) mkdirSync(join(folder, path, '..'))
    writeFileSync(join(folder, path), text)
  }
}

/** Each file with its content. */
function contents(folder: string): Files {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  return Object.fromEntries(
    paths.map((path) => {
      const at = join(folder, path)
      return [path, statSync(at).isFile() ? readFileSync(at, 'latin1') : '/']
    }),
  )
}

/** One line on standard error that says what to do, an exit code, and nothing else. */
async function expectOneLine(
  folder: string,
  { args, env = {}, says }: Mistake,
  as: { uid?: number } = {},
): Promise<void> {
  const before = contents(folder)
  const { code, out, err } = await tollkeeper(args, { cwd: folder, env, ...as })
  expect(err).toMatch(/^tollkeeper: [^\n]+\n$/)
  expect(err.trimEnd()).toMatch(says)
  expect(code).toBeGreaterThan(0)
  expect(out).toBe('')
  expect(contents(folder), 'nothing was written').toEqual(before)
}

describe('one line, an exit code and nothing written for', () => {
  it.each(Object.keys(MISTAKES))('%s', async (name) => {
    const folder = aFolder()
    const mistake = MISTAKES[name]!()
    write(folder, mistake.files ?? {})
    await expectOneLine(folder, mistake)
  })

  it('a ledger of another mode', async () => {
    const folder = aFolder()
    write(folder, { 'tollkeeper.yaml': CONFIG })
    expect((await tollkeeper(['db', 'migrate'], { cwd: folder })).code).toBe(0)
    write(folder, { 'tollkeeper.yaml': SHADOW })
    const says = /is simulated for good; set `mode: simulated`, or give `store\.url` another file for shadow$/
    await expectOneLine(folder, { args: ['serve', '--port', '0'], says })
  })

  it('a folder that it may not write', async () => {
    const folder = aFolder()
    write(folder, { 'tollkeeper.yaml': CONFIG })
    chmodSync(folder, 0o555)
    onTestFinished(() => chmodSync(folder, 0o755))
    // Root may write everywhere: be nobody.
    const as = process.getuid?.() === 0 ? { uid: 65_534 } : {}
    const says = /the ledger that store\.url names cannot be opened: .* that this user may write$/
    await expectOneLine(folder, { args: ['serve', '--port', '0'], says }, as)
  })
})

describe('a running server', () => {
  it('answers a wrong key and an unknown dimension with a problem, and writes nothing', async () => {
    const folder = aFolder()
    const args = ['dev', '--port', '0', '--simulator-port', '0', '--json']
    const server = await startTollkeeper(args, { cwd: folder })
    onTestFinished(() => server.stop())
    const { url, storefront, key } = server.ready as { url: string; storefront: string; key: string }
    await marketplaceAt(storefront).subscribe('Acme')
    const usageTime = new Date(await marketplaceAt(storefront).now()).toISOString()
    const meter = async (body: object, secret: string) => {
      const response = await fetch(`${url}/meter`, {
        method: 'POST',
        headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
        body: JSON.stringify({ usageTime, correlationId: 'one', ...body }),
      })
      const problem = (await response.json()) as { code: string; detail: string }
      return { ...problem, status: response.status }
    }
    const wrongKey = await meter({ dimension: 'api_requests' }, `${key.slice(0, -6)}000000`)
    expect(wrongKey).toMatchObject({ status: 401, code: 'key.unknown' })
    expect(wrongKey.detail).toMatch(/^this service key is not known here/)
    const wrongDimension = await meter({ dimension: 'api_request' }, key)
    expect(wrongDimension).toMatchObject({ status: 422, code: 'usage.dimension_unknown' })
    expect(wrongDimension.detail).toMatch(/no dimension "api_request"/)
    expect(await ask(`${url}/usage/buckets`, { key })).toEqual({ items: [] })
  })
})
