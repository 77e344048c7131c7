import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

export const ROOT = join(import.meta.dirname, '..')
export const MAIN = join(ROOT, 'packages/server/src/cli/main.ts')

/** The Node.js that the product runs on, also where the tests run on another. */
export const NODE = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin/node')

const START_MS_MAX = 60_000
const OUTPUT_KEPT_MAX = 200_000

type Environment = Readonly<Record<string, string>>

/** Only what a program needs to run: no settings of the person who runs the tests. */
export const BARE_ENVIRONMENT: Environment = { PATH: process.env.PATH ?? '', HOME: tmpdir() }

export interface Place {
  readonly cwd: string
  readonly env?: Environment
  /** Run as this user. */
  readonly uid?: number
  /** Signal it with all that it started: `npm start` passes no signal on. */
  readonly isGroup?: boolean
}

export interface Finished {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a `tollkeeper` command to its end. */
export function tollkeeper(args: readonly string[], place: Place): Promise<Finished> {
  return run(NODE, [MAIN, ...args], place)
}

/** Runs a program to its end, whatever its exit code. */
export function run(file: string, args: readonly string[], { cwd, env, uid }: Place): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      env: { ...BARE_ENVIRONMENT, ...env },
      maxBuffer: 64_000_000,
      ...(uid !== undefined && { uid }),
    }
    const child = execFile(file, args, options, (error, out, err) => {
      const code = child.exitCode
      if (code === null) reject(error ?? new Error(`${file} was killed`))
      else resolve({ code, out, err })
    })
    child.stdin?.end()
  })
}

/** A program that runs until it is told to stop. */
export interface Running {
  /** What it printed when it was ready. */
  readonly ready: Readonly<Record<string, string>>
  readonly process: ChildProcess
  /** All that it wrote, both streams, the newest end of it. */
  output(): string
  /** @returns when it has gone */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Starts `tollkeeper …` (with `--json`) and waits until it is ready. */
export function startTollkeeper(args: readonly string[], place: Place): Promise<Running> {
  return start(NODE, [MAIN, ...args], place)
}

/**
 * Starts a program and waits for the JSON line with its `url`.
 *
 * @param onSpawn - is given the process before it is ready
 */
export async function start(
  file: string,
  args: readonly string[],
  { cwd, env, isGroup = false }: Place,
  onSpawn: (child: ChildProcess) => void = () => {},
): Promise<Running> {
  const child = spawn(file, args, {
    cwd,
    detached: isGroup,
    env: { ...BARE_ENVIRONMENT, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onSpawn(child)
  let output = ''
  const keep = (chunk: string) => {
    output = `${output}${chunk}`.slice(-OUTPUT_KEPT_MAX)
  }
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const ready = await new Promise<Record<string, string>>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`${args.join(' ')}: ${why}\n${output}`))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail(`not ready after ${START_MS_MAX} ms`)
    }, START_MS_MAX)
    child.once('error', (error) => fail(error.message))
    child.once('exit', () => fail('ended before it was ready'))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = readyLine(line)
      if (said !== undefined) resolve(said)
      if (said !== undefined) clearTimeout(timer)
    })
  })
  return {
    ready,
    process: child,
    output: () => output,
    stop(signal = 'SIGTERM') {
      if (isGroup && child.pid !== undefined) process.kill(-child.pid, signal)
      else child.kill(signal)
      return exited
    },
  }
}

function readyLine(line: string): Record<string, string> | undefined {
  try {
    const said: unknown = JSON.parse(line)
    return typeof said === 'object' && said !== null && 'url' in said && !('level' in said)
      ? (said as Record<string, string>)
      : undefined
  } catch {
    return undefined // a line of something else
  }
}

/** Asks again and again until there is an answer. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  timeoutMs = 20_000,
): Promise<T> {
  const end = performance.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > end) throw new Error(`not after ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** An answer that is not 2xx. */
export class Refusal extends Error {
  readonly status: number
  constructor(url: string, status: number, text: string) {
    super(`${url}: ${status} ${text}`)
    this.status = status
  }
}

/** One HTTP exchange in JSON. @throws {Refusal} */
export async function ask<T>(
  url: string,
  options: { method?: string; body?: unknown; key?: string } = {},
): Promise<T> {
  const response = await fetch(url, {
    method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(options.body !== undefined && { 'content-type': 'application/json' }),
      ...(options.key !== undefined && { authorization: `Bearer ${options.key}` }),
    },
    ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Refusal(url, response.status, text)
  return JSON.parse(text) as T
}
