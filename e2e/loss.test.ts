import { describe, expect, it } from 'vitest'
import { isLossless, LOSS_FAULTS, type LossFault, measureLoss } from '../bench/loss/loss.ts'

const SMALL = { customers: 40, hours: 3, cleanHours: 3 }
const CASES: readonly { name: string; faults: readonly LossFault[] }[] = [
  { name: 'nothing', faults: [] },
  ...LOSS_FAULTS.map((fault) => ({ name: fault, faults: [fault] })),
  { name: 'all of them together', faults: LOSS_FAULTS },
]

describe('what AWS bills is what was used', () => {
  it.each(CASES)('under $name', async ({ faults }) => {
    const result = await measureLoss(new Set(faults), SMALL)
    expect(result).toMatchObject({ percent: 0, wrong: 0, balanced: true })
    expect(isLossless(result)).toBe(true)
    // In the first hour there is nothing to send yet.
    expect(result.deaths).toBe(faults.includes('diesAfterAccept') ? SMALL.hours - 1 : 0)
  })

  it('keeps and shows usage of a dimension that the listing lacks, and bills it once it is there', async () => {
    const result = await measureLoss(new Set(['undefinedDimension']), SMALL)
    expect(result.undefinedUsed).toBeGreaterThan(0)
    expect(result.undefinedKept).toBe(result.undefinedUsed)
    expect(result.undefinedBilled).toBe(result.undefinedUsed)
  })
})
