/**
 * One DynamoDB Local for a whole run of tests, started when the first test asks for it. Without Java the tests that need
 * it are left out, which is said at the end; in CI the run fails.
 */
import { globSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { type DynamoLocal, startDynamoLocal, whyNoDynamoLocal } from './dynamodb-local.ts'
import { ROOT } from './processes.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Answers with the engine's address, starting it first; empty: this machine has none. */
    dynamoLocal: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const why = whyNoDynamoLocal()
  if (why !== undefined) {
    if (process.env.CI) throw new Error(`CI needs DynamoDB Local: ${why}`)
    project.provide('dynamoLocal', '')
    return async () => sayWhatIsLeftOut(project.name, why)
  }
  let engine: Promise<DynamoLocal> | undefined
  const server = createServer((_, response) => {
    engine ??= startDynamoLocal()
    engine.then(
      ({ endpoint }) => response.end(endpoint),
      (error) => response.writeHead(500).end(String(error)),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  project.provide('dynamoLocal', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return async () => {
    server.close()
    await (await engine?.catch(() => undefined))?.stop()
  }
}

function sayWhatIsLeftOut(project: string, why: string): void {
  const suites = globSync(project === 'e2e' ? 'e2e/**/*.test.ts' : 'packages/*/src/**/*.int.test.ts', {
    cwd: ROOT,
  })
    .filter((file) => /dynamodb\.fixture|dynamodb-local/.test(readFileSync(join(ROOT, file), 'utf8')))
    .sort()
  if (suites.length === 0) return
  const frame = '!'.repeat(100)
  console.error(
    [
      frame,
      'LEFT OUT: the tests on DynamoDB did not run.',
      `  ${why}`,
      ...suites.map((file) => `  - ${file}`),
      frame,
    ].join('\n'),
  )
}
