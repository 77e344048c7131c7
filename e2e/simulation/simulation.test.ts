import { expect, it } from 'vitest'
import { playSeeds, replayCommand } from './play-seeds.ts'
import { simulate } from './simulation.ts'

const SEEDS = 300

it(`bills every unit once in ${SEEDS} runs, whatever fails and whoever dies`, async () => {
  const { failed, seeds, crashes } = await playSeeds({ from: 1, seeds: SEEDS, threads: 2 })
  expect(failed.map((result) => `${result.error?.message} (again: ${replayCommand(result)})`)).toEqual([])
  expect(seeds).toBe(SEEDS)
  expect(crashes).toBeGreaterThan(SEEDS / 2)
})

it('plays a seed again to the letter', async () => {
  const [one, other] = [await simulate(7), await simulate(7)]
  expect(one.trace).toEqual(other.trace)
})
