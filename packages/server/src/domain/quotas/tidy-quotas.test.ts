import { expect, it } from 'vitest'
import { aClock } from '../../storage/contract/fixtures.ts'
import { REMEMBERED_MS, tidyQuotas } from './tidy-quotas.ts'

it('goes on while there is more, and stops when it is told to', async () => {
  const now = aClock(10 * REMEMBERED_MS).now()
  const calls: string[] = []
  const left = { expire: [500, 500, 3], purge: [500, 0] }
  const quotas = {
    expire: async (at: number) => {
      expect(at).toBe(now)
      calls.push('expire')
      return left.expire.shift()!
    },
    purge: async (before: number) => {
      expect(before).toBe(now - REMEMBERED_MS)
      calls.push('purge')
      return left.purge.shift()!
    },
  }
  await tidyQuotas(quotas, now, new AbortController().signal)
  expect(calls).toEqual(['expire', 'expire', 'expire', 'purge', 'purge'])
  await tidyQuotas(quotas, now, AbortSignal.abort())
  expect(calls).toHaveLength(5)
})
