#!/usr/bin/env node
// Plain JavaScript, since it must start on any Node.js: finds one that runs the rest, which is the one that npm
// installed beside us where the system's is older.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 24
/** Tells the one we start that it lives and dies with us. */
const STARTED_BY_SHIM = 'TOLLKEEPER_STARTED_BY_SHIM'
const self = fileURLToPath(import.meta.url)
const here = dirname(self)

// npm runs us by way of a shell that passes no signal on: it would go, and leave us with the port.
if (process.env.npm_lifecycle_event !== undefined) endWithParent(process.ppid)
if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR_MIN) {
  if (process.env[STARTED_BY_SHIM] !== undefined) liveWithParent()
  const source = join(here, '../src/cli/main.ts')
  const built = join(here, '../dist/cli/main.js')
  // Under node_modules Node.js runs no TypeScript, so the published package carries JavaScript.
  await import(existsSync(source) && !here.includes('node_modules') ? source : built)
} else {
  const node = findNode()
  if (node === undefined) giveUp()
  else startOn(node)
}

/** @param {string} node */
function startOn(node) {
  const child = spawn(node, [self, ...process.argv.slice(2)], {
    // The channel tells the child when we are gone, even by SIGKILL, so that it never lives on alone.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [STARTED_BY_SHIM]: '1' },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', giveUp) // a binary that does not fit this system
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (signal ? constants.signals[signal] : 0)))
}

function liveWithParent() {
  delete process.env[STARTED_BY_SHIM]
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel?.unref()
}

/** @param {number} parent */
function endWithParent(parent) {
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    process.kill(process.pid, 'SIGTERM')
  }, 500)
  watch.unref()
}

function giveUp() {
  console.error(
    `tollkeeper: needs Node.js ${NODE_MAJOR_MIN}, this is ${process.version} and npm installed none that runs here: install Node.js ${NODE_MAJOR_MIN} or later`,
  )
  process.exit(1)
}

function findNode() {
  const { resolve } = createRequire(import.meta.url)
  const system = process.platform === 'win32' ? 'win' : process.platform
  const binary = process.platform === 'win32' ? 'bin/node.exe' : 'bin/node'
  for (const name of ['node', `node-${system}-${process.arch}`]) {
    try {
      const path = join(dirname(resolve(`${name}/package.json`)), binary)
      if (existsSync(path)) return path
    } catch {
      // Not installed: the other may be.
    }
  }
  return undefined
}
