import { expect, it } from 'vitest'
import { playLifecycle } from './lifecycle.ts'

const SEEDS = 60

it(`lets in whom AWS says, and bills every unit once, in ${SEEDS} lives told in any order`, async () => {
  const failed: string[] = []
  let crashes = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const result = await playLifecycle(seed)
    crashes += result.crashes
    if (result.error !== undefined) failed.push(`seed ${seed}: ${result.error.message}`)
  }
  expect(failed).toEqual([])
  expect(crashes).toBeGreaterThan(SEEDS / 2)
}, 120_000)
