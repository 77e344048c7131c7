import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { aFolder } from './a-folder.ts'
import { marketplaceAt } from './marketplace.ts'
import { ask, eventually, MAIN, NODE, run, startTollkeeper, tollkeeper } from './processes.ts'

const HOOK = join(import.meta.dirname, 'record-connections.ts')
const LOOPBACK = /^(connect|send|lookup) (127(\.\d+){3}|::1|localhost)$/

/** Everything that makes an AWS SDK reach for AWS, a proxy, or the machine's own credentials. */
function temptations(home: string): Record<string, string> {
  mkdirSync(join(home, '.aws'))
  writeFileSync(
    join(home, '.aws/config'),
    '[default]\nendpoint_url = http://192.0.2.10\nregion = eu-west-1\n',
  )
  writeFileSync(
    join(home, '.aws/credentials'),
    '[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n',
  )
  return {
    HOME: home,
    AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    AWS_SESSION_TOKEN: 'a-session',
    AWS_REGION: 'eu-west-1',
    AWS_ENDPOINT_URL: 'http://192.0.2.11',
    AWS_ENDPOINT_URL_MARKETPLACE_METERING: 'http://192.0.2.12',
    AWS_ENDPOINT_URL_STS: 'http://192.0.2.13',
    AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://192.0.2.14/credentials',
    HTTP_PROXY: 'http://192.0.2.15:3128',
    HTTPS_PROXY: 'http://192.0.2.15:3128',
  }
}

/** @returns the environment that records, and what was recorded */
function recording(folder: string) {
  const file = join(folder, 'connections.txt')
  writeFileSync(file, '')
  return {
    env: { ...temptations(folder), NODE_OPTIONS: `--import=${HOOK}`, RECORD_CONNECTIONS: file },
    connections: () => readFileSync(file, 'utf8').trim().split('\n'),
  }
}

const LOG = Array.from(
  { length: 50 },
  (_, n) =>
    `{"id":"${n}","time":"2026-11-01T${String(n % 24).padStart(2, '0')}:30:00Z","buyer":"b${n % 3}","bytes":${n}}\n`,
).join('')
const REHEARSE = [
  'rehearse',
  'log.ndjson',
  '--format',
  'ndjson',
  '--buyer',
  'buyer',
  '--dimension',
  'gb=sum:bytes',
  '--json',
]
const BALANCED = { events: { accepted: 50 }, dimensions: { gb: { billed: 1225 } }, audit: { balanced: true } }

describe('with AWS credentials in the environment, simulated mode', () => {
  it('connects to loopback only, and asks no name, when it rehearses', async () => {
    const folder = aFolder()
    writeFileSync(join(folder, 'log.ndjson'), LOG)
    const { env, connections } = recording(folder)
    const { out, err } = await tollkeeper([...REHEARSE, '--faults'], { cwd: folder, env })
    expect(JSON.parse(out), err).toMatchObject(BALANCED)
    expect(connections().length).toBeGreaterThan(3)
    expect(connections().filter((line) => !LOOPBACK.test(line))).toEqual([])
  })

  it('connects to loopback only, and asks no name, from registration to an accepted record', async () => {
    const folder = aFolder()
    const { env, connections } = recording(folder)
    const args = ['dev', '--port', '0', '--simulator-port', '0', '--json']
    const server = await startTollkeeper(args, { cwd: folder, env })
    onTestFinished(() => server.stop())
    const { url, storefront, key } = server.ready as { url: string; storefront: string; key: string }
    const marketplace = marketplaceAt(storefront)
    await marketplace.subscribe('Acme')
    await marketplace.advance('2m')
    const usageTime = new Date(await marketplace.now()).toISOString()
    await ask(`${url}/meter`, { body: { dimension: 'api_requests', usageTime, correlationId: '1' }, key })
    await marketplace.advance('2h')
    await eventually('AWS has the record', async () => (await marketplace.ledger()).length === 1)
    for (const command of [['doctor'], ['usage', 'status'], ['usage', 'submit']]) {
      await tollkeeper([...command, '--json'], { cwd: folder, env })
    }
    expect(connections().length).toBeGreaterThan(1)
    expect(connections().filter((line) => !LOOPBACK.test(line))).toEqual([])
  })

  it('would be caught if it did', async () => {
    const folder = aFolder()
    const { env, connections } = recording(folder)
    const program = `
      import { lookup, resolve4 } from 'node:dns/promises'
      import { createSocket } from 'node:dgram'
      const socket = createSocket('udp4')
      await Promise.allSettled([
        fetch('http://192.0.2.1', { signal: AbortSignal.timeout(200) }),
        fetch('http://[2001:db8::1]', { signal: AbortSignal.timeout(200) }),
        lookup('one.invalid'),
        Promise.race([resolve4('two.invalid'), new Promise((resolve) => setTimeout(resolve, 200))]),
        new Promise((resolve) => socket.send('x', 53, '192.0.2.2', resolve)),
      ])
      process.exit()`
    await run(NODE, ['--input-type=module', '--eval', program], { cwd: folder, env })
    expect(connections().sort()).toEqual([
      'connect 192.0.2.1',
      'connect 2001:db8::1',
      'lookup one.invalid',
      'lookup two.invalid',
      'send 192.0.2.2',
    ])
  })

  it('needs no network at all', async ({ skip }) => {
    const folder = aFolder()
    writeFileSync(join(folder, 'log.ndjson'), LOG)
    const env = temptations(folder)
    const isolated = (script: string) =>
      run('unshare', ['--map-root-user', '--net', 'sh', '-c', `ip link set lo up && ${script}`], {
        cwd: folder,
        env,
      })
    const possible = await isolated('true').catch(() => undefined)
    if (possible?.code !== 0) skip('this machine lets us make no network namespace')
    expect((await isolated('cat /proc/net/route')).out.trim().split('\n'), 'no way out').toHaveLength(1)
    const { out, err } = await isolated(`exec '${NODE}' '${MAIN}' ${REHEARSE.join(' ')}`)
    expect(JSON.parse(out), err).toMatchObject(BALANCED)
  })
})
