import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'

export interface RedisServer {
  readonly port: number
  stop(): Promise<void>
}

const START_TRIES_MAX = 100

/**
 * A Redis of this run alone, in memory and on whichever core is free.
 *
 * @returns undefined where the machine has no `redis-server`
 */
export async function startRedis(): Promise<RedisServer | undefined> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined
  const port = await freePort()
  const options = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no']
  const child = spawn('redis-server', options, { stdio: 'ignore' })
  await untilItAnswers(child, port)
  return {
    port,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function untilItAnswers(child: ChildProcess, port: number): Promise<void> {
  const client = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => null })
  client.on('error', () => {}) // not yet
  try {
    for (let tries = 0; tries < START_TRIES_MAX && child.exitCode === null; tries++) {
      const answer = await client.connect().then(
        () => client.ping(),
        () => undefined,
      )
      if (answer === 'PONG') return
      await pause(50)
    }
  } finally {
    client.disconnect()
  }
  child.kill('SIGKILL')
  throw new Error(`redis-server does not answer on port ${port}`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
