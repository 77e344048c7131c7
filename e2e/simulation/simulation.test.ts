import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  describeOnDynamo,
  dynamoEndpoint,
} from '../../packages/server/src/storage/dynamodb/dynamodb.fixture.ts'
import {
  type PostgresServer,
  startPostgresServer,
} from '../../packages/server/src/storage/sql/postgres-server.fixture.ts'
import { playSeeds, replayCommand } from './play-seeds.ts'
import { simulate } from './simulation.ts'

const SEEDS = 300
/** On a server a run takes seconds. */
const SEEDS_ON_POSTGRES = 4
const SEEDS_ON_DYNAMO = 2
const FIRST_ON_DYNAMO = 1

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgresServer()
})
afterAll(() => server?.stop())

it(`bills every unit once in ${SEEDS} runs, whatever fails and whoever dies`, async () => {
  const { failed, seeds, crashes } = await playSeeds({ from: 1, seeds: SEEDS, threads: 2 })
  expect(failed.map((result) => `${result.error?.message} (again: ${replayCommand(result)})`)).toEqual([])
  expect(seeds).toBe(SEEDS)
  expect(crashes).toBeGreaterThan(SEEDS / 2)
})

it(`bills every unit once in ${SEEDS_ON_POSTGRES} runs on PostgreSQL`, async () => {
  const store = server.url('postgres')
  const { failed, seeds } = await playSeeds({ from: 1, seeds: SEEDS_ON_POSTGRES, threads: 2, store })
  expect(failed.map((result) => `${result.error?.message} (again: ${replayCommand(result, store)})`)).toEqual(
    [],
  )
  expect(seeds).toBe(SEEDS_ON_POSTGRES)
})

describeOnDynamo('on DynamoDB', () => {
  it(`bills every unit once in ${SEEDS_ON_DYNAMO} runs`, async () => {
    const store = `dynamodb://us-east-1/simulation?endpoint=${await dynamoEndpoint()}`
    const { failed, seeds, crashes } = await playSeeds({
      from: FIRST_ON_DYNAMO,
      seeds: SEEDS_ON_DYNAMO,
      threads: 2,
      store,
    })
    expect(
      failed.map((result) => `${result.error?.message} (again: ${replayCommand(result, store)})`),
    ).toEqual([])
    expect(seeds).toBe(SEEDS_ON_DYNAMO)
    expect(crashes).toBeGreaterThan(0)
  })
})

it('plays a seed again to the letter', async () => {
  const [one, other] = [await simulate(7), await simulate(7)]
  expect(one.trace).toEqual(other.trace)
})
