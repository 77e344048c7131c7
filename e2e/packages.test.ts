import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { barePath } from './bare-machine.ts'
import { marketplaceAt } from './marketplace.ts'
import { ask, eventually, NODE, type Place, ROOT, run, start } from './processes.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-packages-'))
const app = join(folder, 'app')
/** A user's own empty folder, on a machine without Python, make or a compiler. */
let place: Place

async function npm(args: readonly string[], where: Place): Promise<string> {
  const { code, out, err } = await run('npm', args, where)
  expect(code, `npm ${args.join(' ')}\n${out}\n${err}`).toBe(0)
  return out
}

function bin(name: string): string {
  return join(app, 'node_modules/.bin', name)
}

beforeAll(async () => {
  mkdirSync(app)
  writeFileSync(join(app, 'package.json'), '{"name":"app","private":true,"type":"module"}\n')
  const PATH = barePath(folder)
  place = { cwd: app, env: { PATH, HOME: homedir() } }

  const built = await run(NODE, [join(ROOT, 'scripts/build.ts')], { cwd: ROOT })
  expect(built.code, built.err).toBe(0)
  const tarballs = []
  for (const directory of built.out.trim().split('\n')) {
    const packed = await npm(['pack', '--json', '--pack-destination', folder], { ...place, cwd: directory })
    tarballs.push(join(folder, fileNameOf(JSON.parse(packed))))
  }
  await npm(['install', '--no-audit', '--no-fund', ...tarballs], place)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** npm 11 answers a list, later ones an object by name. */
function fileNameOf(packed: Readonly<Record<string, { filename: string }>>): string {
  return Object.values(packed)[0]!.filename
}

describe('the packages, installed into an empty folder on a machine that cannot compile', () => {
  it('run no install script, so that none has to be allowed', () => {
    const lock = JSON.parse(readFileSync(join(app, 'package-lock.json'), 'utf8'))
    const packages = Object.entries<{ hasInstallScript?: boolean }>(lock.packages)
    expect(packages.length).toBeGreaterThan(50)
    expect(packages.filter(([, { hasInstallScript }]) => hasInstallScript).map(([name]) => name)).toEqual([])
  })

  it('install again by `npm ci` from the lock file', async () => {
    await npm(['ci', '--no-audit', '--no-fund', '--ignore-scripts=false'], place)
    expect((await run(bin('tollkeeper'), ['--version'], place)).out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('start with `npx tollkeeper`, on an older Node.js too', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'packages/server/package.json'), 'utf8'))
    const { code, out } = await run('npx', ['tollkeeper', '--version'], place)
    expect({ code, out }).toEqual({ code: 0, out: `${version}\n` })
  })

  it('meter a registered buyer’s usage until both sides show the accepted record', async () => {
    const server = await start(
      bin('tollkeeper'),
      ['dev', '--port', '0', '--simulator-port', '0', '--json'],
      place,
    )
    try {
      const { url, storefront, key } = server.ready as { url: string; storefront: string; key: string }
      const marketplace = marketplaceAt(storefront)
      const { accountId } = await marketplace.subscribe('Acme')
      await marketplace.advance('2m')
      const usageTime = new Date(await marketplace.now()).toISOString()
      const event = { dimension: 'api_requests', usageTime, correlationId: 'one' }
      expect(await ask(`${url}/meter`, { body: event, key })).toMatchObject({ status: 'accepted' })
      await marketplace.advance('2h')
      const records = await eventually('the record is accepted', async () => {
        const { items } = await ask<{ items: object[] }>(`${url}/usage/records?state=accepted`, { key })
        return items.length > 0 && items
      })
      expect(records).toMatchObject([{ dimension: 'api_requests', quantity: 1 }])
      expect(await marketplace.ledger()).toMatchObject([
        { accountId, dimension: 'api_requests', quantity: 1 },
      ])
      expect((await fetch(`${url}/docs`)).status).toBe(200)
      expect(await ask(`${url}/openapi.json`)).toMatchObject({ openapi: expect.stringMatching(/^3\.1/) })
    } finally {
      await server.stop()
    }
  })

  it('rehearse a log', async () => {
    writeFileSync(
      join(app, 'log.ndjson'),
      [1, 2, 3]
        .map((n) => `{"id":"${n}","time":"2026-11-0${n}T10:00:00Z","buyer":"acme","bytes":${n}}\n`)
        .join(''),
    )
    const args = ['rehearse', 'log.ndjson', '--format', 'ndjson', '--buyer', 'buyer', '--json']
    const { code, out, err } = await run(bin('tollkeeper'), [...args, '--dimension', 'gb=sum:bytes'], place)
    expect(code, err).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ dimensions: { gb: { billed: 6 } }, audit: { balanced: true } })
  })

  it('start the simulator alone', async () => {
    const simulator = await start(bin('tollkeeper-simulator'), ['start', '--port', '0', '--json'], place)
    try {
      expect(await ask(`${simulator.ready.url}/health`)).toEqual({ status: 'ok' })
    } finally {
      await simulator.stop()
    }
  })

  it.each([
    ['by hand is killed', (): string => bin('tollkeeper'), [], 'SIGKILL'],
    ['by npx is ended', (): string => 'npx', ['tollkeeper'], 'SIGTERM'],
  ] as const)(
    'leave no server behind when the process that started it %s',
    async (_, program, before, signal) => {
      const args = ['dev', '--port', '0', '--simulator-port', '0', '--json', '--data', join(folder, signal)]
      const server = await start(program(), [...before, ...args], place)
      await server.stop(signal)
      await eventually('nobody answers', async () =>
        fetch(`${server.ready.url}/health`).then(
          () => false,
          () => true,
        ),
      )
    },
  )

  it('carry types', async () => {
    writeFileSync(
      join(app, 'typed.ts'),
      `import { createSimulator, type Simulator } from '@tollkeeper/simulator'
const simulator: Simulator = await createSimulator({ seed: 1 })
// @ts-expect-error: there is no such option
await createSimulator({ sead: 1 })
console.log(simulator.clock.now())
`,
    )
    const tsc = join(dirname(NODE), '../../typescript/bin/tsc')
    const options = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--skipLibCheck',
      'false',
    ]
    const types = ['--typeRoots', join(ROOT, 'node_modules/@types'), '--types', 'node']
    const { code, out } = await run(NODE, [tsc, ...options, ...types, 'typed.ts'], place)
    expect(code, out).toBe(0)
  })
})
