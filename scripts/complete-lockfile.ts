/**
 * Names in `package-lock.json` the optional packages of other systems that npm left out. Where the registry is a mirror
 * without them, `npm install` writes a lock file that `npm ci` then refuses, there and everywhere else (npm 11.19).
 * With `--check` it writes nothing and exits with 1 if one is missing.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FILE = join(import.meta.dirname, '../package-lock.json')

interface Locked {
  readonly version?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly [more: string]: unknown
}

const SYSTEMS = ['linux', 'darwin', 'win32', 'android', 'freebsd', 'openbsd']
const PROCESSORS: Readonly<Record<string, string>> = { gnueabihf: 'arm', musleabihf: 'arm' }

const text = readFileSync(FILE, 'utf8')
const lock = JSON.parse(text) as { packages: Record<string, Locked> }
const missing: string[] = []
for (const [path, { optionalDependencies = {} }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const places = [`node_modules/${name}`, `${path}/node_modules/${name}`]
    if (places.some((place) => place in lock.packages)) continue
    missing.push(name)
    lock.packages[`node_modules/${name}`] = { version, dev: true, optional: true, ...platformOf(name) }
  }
}

if (missing.length === 0) process.exit()
if (process.argv.includes('--check')) {
  console.error(
    `package-lock.json lacks ${missing.join(', ')}: run \`node scripts/complete-lockfile.ts\` and commit`,
  )
  process.exit(1)
}
const { packages } = lock
const sorted = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en')))
writeFileSync(FILE, `${JSON.stringify({ ...lock, packages: sorted }, undefined, 2)}\n`)
console.log(`added: ${missing.join(', ')}`)

/** As these packages spell it: `@biomejs/cli-linux-x64-musl`, `@swc/core-linux-arm-gnueabihf`. */
function platformOf(name: string): { os: string[]; cpu: string[]; libc?: string[] } {
  const parts = name.split('/').at(-1)!.split('-')
  const at = parts.findIndex((part) => SYSTEMS.includes(part))
  const [system, processor, abi] = parts.slice(at)
  if (at === -1 || processor === undefined || system === undefined) {
    throw new Error(`${name} does not say what it is for: add it to package-lock.json by hand`)
  }
  const libc = abi?.startsWith('musl') ? 'musl' : abi?.startsWith('gnu') ? 'glibc' : undefined
  return {
    os: [system],
    cpu: [PROCESSORS[processor] ?? processor],
    ...(libc !== undefined && { libc: [libc] }),
  }
}
