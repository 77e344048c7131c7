import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { barePath } from './bare-machine.ts'
import { marketplaceAt } from './marketplace.ts'
import { ask, eventually, NODE, type Place, ROOT, run, start } from './processes.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-packages-'))
const app = join(folder, 'app')
/** A product's own folder, with nothing but the SDK. */
const product = join(folder, 'product')
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
  for (const [name, path] of Object.entries({ app, product })) {
    mkdirSync(path)
    writeFileSync(join(path, 'package.json'), `{"name":"${name}","private":true,"type":"module"}\n`)
  }
  const PATH = barePath(folder)
  place = { cwd: app, env: { PATH, HOME: homedir() } }

  const built = await run(NODE, [join(ROOT, 'scripts/build.ts')], { cwd: ROOT })
  expect(built.code, built.err).toBe(0)
  const tarballs = []
  for (const directory of built.out.trim().split('\n')) {
    const packed = await npm(['pack', '--json', '--pack-destination', folder], { ...place, cwd: directory })
    tarballs.push(join(folder, fileNameOf(JSON.parse(packed))))
  }
  const isSdk = (tarball: string) => tarball.includes('tollkeeper-sdk-')
  await npm(['install', '--no-audit', '--no-fund', ...tarballs.filter((each) => !isSdk(each))], place)
  await npm(['install', '--no-audit', '--no-fund', ...tarballs.filter(isSdk)], { ...place, cwd: product })
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
    await typecheck(app, 'typed.ts', [...WITH_NODE])
  })
})

/** Types of Node.js, or those of a browser, which are what Workers, Deno and Bun have as well. */
const WITH_NODE = ['--typeRoots', join(ROOT, 'node_modules/@types'), '--types', 'node']
const WITHOUT_NODE = ['--lib', 'es2024,dom,dom.iterable', '--types', '']

async function typecheck(cwd: string, file: string, types: readonly string[]): Promise<void> {
  const tsc = join(dirname(NODE), '../../typescript/bin/tsc')
  const options = [
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--module',
    'nodenext',
    '--target',
    'es2024',
    '--skipLibCheck',
    'false',
  ]
  const { code, out } = await run(NODE, [tsc, ...options, ...types, file], { ...place, cwd })
  expect(code, out).toBe(0)
}

describe('the SDK, installed alone into a product', () => {
  it('brings nothing else along', () => {
    const { packages } = JSON.parse(readFileSync(join(product, 'package-lock.json'), 'utf8'))
    expect(Object.keys(packages)).toEqual(['', 'node_modules/@tollkeeper/sdk'])
    const manifest = readFileSync(join(product, 'node_modules/@tollkeeper/sdk/package.json'), 'utf8')
    expect(JSON.parse(manifest)).toMatchObject({
      sideEffects: false,
      type: 'module',
      engines: { node: '>=20' },
    })
  })

  it('carries types, also for what has no Node.js', async () => {
    writeFileSync(
      join(product, 'anywhere.ts'),
      `import { createClient, createUsageBuffer, type QuotaAnswer, verifyWebhook } from '@tollkeeper/sdk'
import { admittedOf, fetchGate } from '@tollkeeper/sdk/fetch'
const client = createClient({ url: 'https://tollkeeper.example.com', key: 'tk_x' })
export const answer: QuotaAnswer = await client.validateQuota({ key: 'tka_x', dimension: 'calls' })
// @ts-expect-error: a dimension is needed
await client.validateQuota({ key: 'tka_x' })
// @ts-expect-error: somebody has to be told
await createUsageBuffer({ client })
export const { event } = await verifyWebhook({ body: '', headers: new Headers(), secret: 'whsec_' })
if (event.type === 'key.created') console.log(event.data.key.hint)
export default { fetch: fetchGate({ client, dimension: 'calls' }, (request) => Response.json(admittedOf(request)?.answer?.plan)) }
`,
    )
    await typecheck(product, 'anywhere.ts', WITHOUT_NODE)
    await typecheck(product, 'anywhere.ts', WITH_NODE)
    writeFileSync(
      join(product, 'on-node.ts'),
      `import { createServer } from 'node:http'
import { createClient, createSettlements, createUsageBuffer } from '@tollkeeper/sdk'
import { expressGate } from '@tollkeeper/sdk/express'
import { fastifyGate } from '@tollkeeper/sdk/fastify'
import { fileJournal } from '@tollkeeper/sdk/file-journal'
import { closeOnSignal } from '@tollkeeper/sdk/node'
const client = createClient({ url: 'http://127.0.0.1:4000', key: 'tk_x' })
const buffer = await createUsageBuffer({ client, journal: fileJournal({ path: 'usage.ndjson' }), onRefused: console.error })
// @ts-expect-error: usage is in another file than settlements
await createSettlements({ client, journal: fileJournal<import('@tollkeeper/sdk').UsageEvent>({ path: 'x' }), onUnsettled: console.error })
const settlements = await createSettlements({ client, journal: fileJournal({ path: 'settlements.ndjson' }), onUnsettled: console.error })
const gate = expressGate({ client, dimension: 'calls', reserve: true, settlements })
const server = createServer((request, response) => gate(request, response, () => response.end()))
closeOnSignal(buffer)
closeOnSignal([buffer, settlements], { server })
export const hook = fastifyGate({ client, dimension: ({ url }) => url })
`,
    )
    await typecheck(product, 'on-node.ts', WITH_NODE)
  })

  it('runs on an older Node.js', async () => {
    writeFileSync(
      join(product, 'program.js'),
      `import { hash } from 'node:crypto'
import { createServer } from 'node:http'
import { createClient, createUsageBuffer } from '@tollkeeper/sdk'
import { expressGate } from '@tollkeeper/sdk/express'
import '@tollkeeper/sdk/fastify'
import { fetchGate } from '@tollkeeper/sdk/fetch'
import { fileJournal } from '@tollkeeper/sdk/file-journal'
import '@tollkeeper/sdk/node'
const random = hash('sha256', 'good', 'base64url')
const good = 'tka_' + random + '_' + hash('sha256', random, 'hex').slice(0, 6)
const answers = { '/usage': (events) => ({ outcomes: events.map((event) => ({ id: event.correlationId, status: 'accepted' })) }),
  '/quota/validate': ({ key }) => ({ allowed: key === good, reason: 'key_unknown', dimension: 'calls', quantity: 1, limits: [] }) }
const server = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(answers[request.url](JSON.parse(body))))
}).listen(0, '127.0.0.1', async () => {
  const client = createClient({ url: 'http://127.0.0.1:' + server.address().port, key: 'tk_x' })
  const buffer = await createUsageBuffer({ client, journal: fileJournal({ path: 'usage.ndjson' }), onRefused: console.error })
  await buffer.add({ dimension: 'calls' })
  const unsent = await buffer.close()
  const handler = fetchGate({ client, dimension: 'calls' }, () => new Response('in'))
  const ask = async (key) => (await handler(new Request('http://product/', { headers: { 'x-api-key': key } }))).status
  const gate = expressGate({ client, dimension: 'calls' })
  const product = createServer((request, response) => gate(request, response, () => response.end('in'))).listen(0, '127.0.0.1', async () => {
    const { status } = await fetch('http://127.0.0.1:' + product.address().port)
    console.log(JSON.stringify({ unsent, good: await ask(good), bad: await ask('tka_bad'), without: status }))
    process.exit()
  })
})
`,
    )
    const { code, out, err } = await run('node', ['program.js'], { ...place, cwd: product })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(JSON.parse(out)).toEqual({ unsent: [], good: 200, bad: 401, without: 401 })
  })

  it.each([
    ['verifyWebhook', '@tollkeeper/sdk', ['webhook/verify-webhook.js']],
    ['planFeatures', '@tollkeeper/sdk', ['features/plan-features.js']],
  ])('leaves out of a bundle with %s what else there is', async (name, from, expected) => {
    const { files, imports } = await bundled(name, from)
    expect(files).toEqual(expected)
    expect(imports).toEqual([])
  })

  it.each([
    ['createUsageBuffer', '@tollkeeper/sdk'],
    ['createSettlements', '@tollkeeper/sdk'],
    ['createClient', '@tollkeeper/sdk'],
    ['fetchGate', '@tollkeeper/sdk/fetch'],
  ])('bundles %s without a module of Node.js', async (name, from) => {
    const { files, imports } = await bundled(name, from)
    expect(imports).toEqual([])
    expect(files.filter((file) => /^(journal|webhook|health)|^node|express|fastify/.test(file))).toEqual([])
  })
})

/** @returns the files of the SDK of which something is in the bundle, and the modules that are not */
async function bundled(name: string, from: string) {
  const input = join(product, `${name}.js`)
  writeFileSync(input, `export { ${name} } from '${from}'\n`)
  const bundle = await rolldown({ input, cwd: product, platform: 'neutral', logLevel: 'silent' })
  const { output } = await bundle.generate({ format: 'esm' })
  await bundle.close()
  const [{ imports, modules }] = output
  const files = Object.entries(modules)
    .filter(([, { renderedLength }]) => renderedLength > 0)
    .map(([path]) => relative(join(product, 'node_modules/@tollkeeper/sdk/dist'), path))
    .filter((path) => !path.startsWith('..'))
  return { files, imports }
}
