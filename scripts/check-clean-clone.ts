/**
 * Shows that a fresh clone runs and passes its unit tests on a bare machine: the system's Node.js, npm, git and a shell,
 * without Python, make or a compiler, and without any settings of npm. `npm run check:clean-clone`; some minutes.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { barePath } from '../e2e/bare-machine.ts'
import { ROOT, run, start } from '../e2e/processes.ts'

const folder = mkdtempSync(join(tmpdir(), 'clean-clone-'))
const HOME = join(folder, 'home')
mkdirSync(HOME)
const PATH = barePath(folder)
const clone = join(folder, 'clone')

async function step(program: string, args: readonly string[], cwd: string): Promise<string> {
  const startedAt = performance.now()
  const { code, out, err } = await run(program, args, { cwd, env: { PATH, HOME } })
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${program} ${args.join(' ')} (${seconds} s)`)
  if (code !== 0) throw new Error(`${out}\n${err}`)
  return out
}

try {
  console.log(`Node.js ${(await step('node', ['--version'], folder)).trim()}`)
  await step('git', ['clone', '--quiet', '--no-hardlinks', ROOT, clone], folder)
  await step('npm', ['ci'], clone)
  console.log(`tollkeeper ${(await step('npx', ['tollkeeper', '--version'], clone)).trim()}`)

  const startedAt = performance.now()
  const options = ['--port', '0', '--simulator-port', '0', '--json']
  const server = await start('npm', ['start', '--', ...options], {
    cwd: clone,
    env: { PATH, HOME },
    isGroup: true,
  })
  const { status } = await fetch(`${server.ready.url}/ready`)
  console.log(
    `${status === 200 ? 'ok    ' : 'FAILED'} npm start (${((performance.now() - startedAt) / 1_000).toFixed(1)} s)`,
  )
  await server.stop()
  if (status !== 200) throw new Error(server.output())

  await step('npm', ['test', '--', '--project', 'unit'], clone)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
