#!/usr/bin/env node
// Plain JavaScript, since it must start on any Node.js: finds one that runs the rest (Node 24 runs TypeScript
// directly), which is the npm package `node` next to us where the system's is older.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 24
const here = dirname(fileURLToPath(import.meta.url))
const source = join(here, '../src/cli/main.ts')
const built = join(here, '../dist/cli/main.js')
// Under node_modules Node.js refuses to run TypeScript, so the published package carries built JavaScript.
const main = existsSync(source) && !here.includes('node_modules') ? source : built

if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR_MIN) {
  await import(main)
} else {
  const node = findNode()
  if (node === undefined) {
    console.error(
      `tollkeeper-simulator needs Node.js ${NODE_MAJOR_MIN} and runs on ${process.version}: install it, or run "npm install node@${NODE_MAJOR_MIN}".`,
    )
    process.exit(1)
  }
  // The channel tells the child when we are gone, even by SIGKILL, so that it never lives on alone.
  const child = spawn(node, [main, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (signal ? constants.signals[signal] : 0)))
}

function findNode() {
  try {
    const binary = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin/node')
    return existsSync(binary) ? binary : undefined
  } catch {
    return undefined
  }
}
