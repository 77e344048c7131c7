import { describe, expect, it } from 'vitest'
import { isLossless, LOSS_FAULTS, measureLoss } from '../bench/loss/loss.ts'

const SMALL = { customers: 40, hours: 3, cleanHours: 3 }

describe('what AWS bills is what was used', () => {
  it.each([[], ...LOSS_FAULTS.map((fault) => [fault]), [...LOSS_FAULTS]])(
    'under %s %s %s %s %s %s',
    async (...faults) => {
      const result = await measureLoss(new Set(faults.filter((fault) => fault !== undefined)), SMALL)
      expect(result).toMatchObject({ percent: 0, wrong: 0, balanced: true })
      expect(isLossless(result)).toBe(true)
      expect(result.deaths).toBe(faults.includes('diesAfterAccept') ? SMALL.hours : 0)
    },
  )

  it('keeps and shows usage of a dimension that the listing lacks, and bills it once it is there', async () => {
    const result = await measureLoss(new Set(['undefinedDimension']), SMALL)
    expect(result.undefinedUsed).toBeGreaterThan(0)
    expect(result.undefinedKept).toBe(result.undefinedUsed)
    expect(result.undefinedBilled).toBe(result.undefinedUsed)
  })
})
