import { execFile } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const CONFIG = '.dependency-cruiser.cjs'
const DEPCRUISE = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs')
const SERVER = 'packages/server/src'

/** Imports that must not be, each written as TypeScript writes it. */
const FORBIDDEN: readonly [rule: string, from: string, statement: string][] = [
  ['domain-stays-pure', 'domain/usage/a.ts', "import { store } from '../../storage/sql/store.ts'\nstore()"],
  ['domain-stays-pure', 'domain/usage/b.ts', "import { readFileSync } from 'node:fs'\nreadFileSync('x')"],
  [
    'domain-stays-pure',
    'domain/usage/c.ts',
    "import type { Config } from '../../config.ts'\nexport type C = Config",
  ],
  ['domain-stays-pure', 'domain/usage/d.ts', "export const d = () => import('../../http/app.ts')"],
  ['adapters-know-only-the-domain', 'storage/sql/a.ts', "export { app } from '../../http/app.ts'"],
  [
    'adapters-know-only-the-domain',
    'marketplace/a.ts',
    "import { store } from '../storage/sql/store.ts'\nstore()",
  ],
  ['adapters-know-only-the-domain', 'sinks/a.ts', "import { store } from '../storage/sql/store.ts'\nstore()"],
  ['doors-know-only-the-domain', 'http/a.ts', "import { store } from '../storage/sql/store.ts'\nstore()"],
  ['doors-know-only-the-domain', 'jobs/a.ts', "import { app } from '../http/app.ts'\napp()"],
  ['doors-know-only-the-domain', 'http/b.ts', "import { compose } from '../compose.ts'\ncompose()"],
  ['cli-goes-through-compose', 'cli/a.ts', "import { store } from '../storage/sql/store.ts'\nstore()"],
  ['cli-goes-through-compose', 'cli/b.ts', "import { gate } from '../compose/gate.ts'\ngate()"],
  ['only-compose-picks-a-store', 'metrics.ts', "import { store } from './storage/sql/store.ts'\nstore()"],
  [
    'only-the-cli-runs-the-simulator',
    'config/a.ts',
    "import { simulate } from '@tollkeeper/simulator'\nsimulate()",
  ],
  [
    'simulator-imports-nothing-of-ours',
    '../../simulator/src/a.ts',
    "import { hour } from '../../server/src/domain/hour.ts'\nhour()",
  ],
  [
    'sdk-imports-nothing-of-ours',
    '../../sdk/src/a.ts',
    "import type { Ring } from '../../server/src/domain/ring.ts'\nexport type R = Ring",
  ],
  ['sdk-runs-anywhere', '../../sdk/src/b.ts', "import { readFileSync } from 'node:fs'\nreadFileSync('x')"],
  [
    'sdk-has-no-dependencies',
    '../../sdk/src/journal/c.ts',
    "import { elsewhere } from 'elsewhere'\nelsewhere()",
  ],
  ['no-cycles', 'domain/gnir.ts', "import type { Ring } from './ring.ts'\nexport type Gnir = Ring | 1"],
  ['resolvable', 'domain/lost.ts', "import { gone } from './gone.ts'\ngone()"],
]

/** What they import, and what may be imported. */
const ALLOWED: Readonly<Record<string, string>> = {
  'domain/hour.ts': "import { hash } from 'node:crypto'\nexport const hour = () => hash('sha256', '')",
  'domain/ring.ts': "import type { Gnir } from './gnir.ts'\nexport type Ring = Gnir",
  'storage/sql/store.ts': "import { hour } from '../../domain/hour.ts'\nexport const store = hour",
  'storage/sql/store.test.ts': "import { app } from '../../http/app.ts'\napp()",
  'http/app.ts':
    "import { hour } from '../domain/hour.ts'\nexport const app = hour\nexport type App = typeof app",
  'config.ts': 'export interface Config { readonly mode: string }',
  'compose.ts': "import { gate } from './compose/gate.ts'\nexport const compose = gate",
  'compose/gate.ts': "import { store } from '../storage/sql/store.ts'\nexport const gate = store",
  'cli/main.ts':
    "import { compose } from '../compose.ts'\nimport { simulate } from '@tollkeeper/simulator'\ncompose(), simulate()",
  '../../sdk/src/journal/file.ts': "import { readFileSync } from 'node:fs'\nreadFileSync('x')",
  '../../sdk/src/gate.int.test.ts': "import { app } from '../../server/src/http/app.ts'\napp()",
  '../../simulator/src/index.ts': 'export const simulate = () => 1',
}

interface Report {
  readonly violations: readonly {
    readonly rule: { readonly name: string }
    readonly from: string
    readonly to: string
  }[]
  readonly modules: number
}

/** The import lint as `npm run lint` has it, in the folder given. */
function cruise(cwd: string, folders: readonly string[], outputType: 'err' | 'json'): Promise<Finished> {
  return new Promise((resolve) => {
    const args = [DEPCRUISE, ...folders, '--config', CONFIG, '--output-type', outputType]
    const child = execFile(process.execPath, args, { cwd, maxBuffer: 64_000_000 }, (_, out, err) =>
      resolve({ code: child.exitCode ?? -1, out, err }),
    )
  })
}

interface Finished {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function lint(cwd: string, ...folders: string[]): Promise<Report> {
  const { out, err } = await cruise(cwd, folders, 'json')
  expect(out, err).not.toBe('')
  const { summary } = JSON.parse(out)
  return { violations: summary.violations, modules: summary.totalCruised }
}

describe('the import lint', () => {
  const fixture = mkdtempSync(join(tmpdir(), 'lint-imports-'))
  let found: Report

  beforeAll(async () => {
    const write = (path: string, text: string) => {
      const file = join(fixture, SERVER, path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, `${text}\n`)
    }
    for (const [path, text] of Object.entries(ALLOWED)) write(path, text)
    for (const [, path, text] of FORBIDDEN) write(path, text)
    const manifest = { name: '@tollkeeper/simulator', type: 'module', exports: './src/index.ts' }
    writeFileSync(join(fixture, 'packages/simulator/package.json'), JSON.stringify(manifest))
    mkdirSync(join(fixture, 'node_modules/@tollkeeper'), { recursive: true })
    symlinkSync('../../packages/simulator', join(fixture, 'node_modules/@tollkeeper/simulator'))
    mkdirSync(join(fixture, 'node_modules/elsewhere'))
    writeFileSync(
      join(fixture, 'node_modules/elsewhere/package.json'),
      '{"name":"elsewhere","type":"module"}',
    )
    writeFileSync(join(fixture, 'node_modules/elsewhere/index.js'), 'export const elsewhere = () => 1\n')
    cpSync(join(ROOT, CONFIG), join(fixture, CONFIG))
    found = await lint(fixture, 'packages')
  }, 30_000)
  afterAll(() => rmSync(fixture, { recursive: true }))

  it.each(FORBIDDEN)('%s: refuses %s', (rule, path) => {
    const from = join(SERVER, path)
    expect(
      found.violations.filter((violation) => violation.from === from).map(({ rule }) => rule.name),
    ).toContain(rule)
  })

  it('blames nothing else, and fails', async () => {
    const blamed = [...new Set(found.violations.map(({ from }) => from))]
    expect(blamed.sort()).toEqual(FORBIDDEN.map(([, path]) => join(SERVER, path)).sort())
    expect((await cruise(fixture, ['packages'], 'err')).code).toBeGreaterThan(0)
  })

  it('passes this repository, all of which it reads', async () => {
    const { violations, modules } = await lint(ROOT, 'packages', 'scripts')
    expect(violations).toEqual([])
    expect(modules).toBeGreaterThan(150)
    expect((await cruise(ROOT, ['packages', 'scripts'], 'err')).code).toBe(0)
  }, 60_000)

  // The lint does not see these, so there must be none.
  it('has no type imported by `import()` within a type', () => {
    const sources = readdirSync(join(ROOT, 'packages'), { recursive: true, encoding: 'utf8' }).filter(
      (path) => path.endsWith('.ts') && !/(^|\/)(node_modules|dist)\//.test(path),
    )
    const hidden = sources.filter((path) =>
      /\bimport\(\s*['"][^'"]+['"]\s*\)\.(?!then\b|catch\b)/.test(
        readFileSync(join(ROOT, 'packages', path), 'utf8'),
      ),
    )
    expect(sources.length).toBeGreaterThan(150)
    expect(hidden).toEqual([])
  })
})
