import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/** Where the measured process runs, and where all that measures it runs. */
export type Core = 'server' | 'client'

const ANSWER_TIMEOUT_MS = 600_000
const ROOT = join(import.meta.dirname, '..')

/** Words that put a command on one core; none where the system has no `taskset` or only one core. */
export function pinned(core: Core): readonly string[] {
  return canPin ? ['taskset', '-c', core === 'server' ? '0' : '1'] : []
}

export const canPin: boolean =
  availableParallelism() >= 2 && spawnSync('taskset', ['-c', '0', 'true']).status === 0

/** A process of this benchmark that answers one question at a time. */
export interface Child {
  /** @throws {Error} what went wrong in the child, or that it died */
  ask<Answer>(name: string, given?: unknown): Promise<Answer>
  stop(): Promise<void>
}

/**
 * Starts a script of `bench/` that calls `answerQuestions`, on one core.
 *
 * @param given - what its `start` is called with
 */
export async function startChild(script: string, core: Core, given: unknown): Promise<Child> {
  const profile = core === 'server' ? process.env.BENCH_CPU_PROF : undefined
  const child = fork(join(ROOT, script), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`],
  })
  if (canPin && child.pid !== undefined) {
    // All threads that exist so far; later ones inherit.
    spawnSync('taskset', ['-a', '-c', '-p', core === 'server' ? '0' : '1', String(child.pid)])
  }
  const started: Child = {
    ask: (name, question) => ask(child, script, name, question),
    stop: () => stop(child),
  }
  await started.ask('start', given)
  return started
}

interface Answered {
  readonly answer?: unknown
  readonly error?: string
}

function ask<Answer>(child: ChildProcess, script: string, name: string, given: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => end(() => reject(new Error(`${script}: no answer to ${name}`))),
      ANSWER_TIMEOUT_MS,
    )
    const onExit = () => end(() => reject(new Error(`${script} ended while it was asked to ${name}`)))
    const onMessage = (message: Answered) =>
      end(() =>
        message.error === undefined
          ? resolve(message.answer as Answer)
          : reject(new Error(`${script}: ${message.error}`)),
      )
    const end = (then: () => void) => {
      clearTimeout(timer)
      child.off('exit', onExit)
      child.off('message', onMessage)
      then()
    }
    child.once('exit', onExit)
    child.once('message', onMessage)
    child.send({ name, given })
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.disconnect()
  const tooLong = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await ended
  clearTimeout(tooLong)
}

type Question = (given: never) => unknown

/** The child's side: answers until its parent is gone. */
export function answerQuestions(questions: Readonly<Record<string, Question>>): void {
  process.on('message', async ({ name, given }: { name: string; given: unknown }) => {
    try {
      const question = questions[name]
      if (question === undefined) throw new Error(`it has no answer to ${name}`)
      process.send?.({ answer: await question(given as never) })
    } catch (error) {
      process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
  // By exit, not by signal: `--cpu-prof` writes its file only then.
  process.on('disconnect', () => process.exit(0))
}
