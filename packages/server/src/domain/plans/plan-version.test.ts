import { describe, expect, it } from 'vitest'
import { PLAIN_PLAN } from './plan.ts'
import { type PlanVersion, planAt, versionsThatHold } from './plan-version.ts'

const [NOV, DEC, JAN, JUN] = ['2026-11-21', '2026-12-01', '2027-01-01', '2027-06-01'].map((day) =>
  Date.parse(day),
) as [number, number, number, number]

/** Versions as they were written, one after the other. */
const written = (...versions: readonly (readonly [title: string, at: number, from: number])[]) =>
  versions.map(
    ([title, at, from], index): PlanVersion => ({
      product: 'demo',
      version: index + 1,
      actor: 'test',
      at,
      origin: 'api',
      from,
      position: 0,
      body: { ...PLAIN_PLAN, id: 'pro', title },
    }),
  )
const titlesAt = (versions: readonly PlanVersion[], ...times: readonly number[]) =>
  times.map((time) => planAt({ plans: [], planVersions: versionsThatHold(versions) }, 'pro', time)?.title)

describe('a plan through time', () => {
  it('is the one that was decided on last, where a change was put off before it came', () => {
    const versions = written(['One', NOV, 0], ['Two', NOV, JAN], ['Three', DEC, JUN])
    expect(titlesAt(versions, NOV, JAN, JUN - 1, JUN)).toEqual(['One', 'One', 'One', 'Three'])
  })

  it('is not there before its day, where its first day was put off', () => {
    expect(titlesAt(written(['One', NOV, JAN], ['Two', DEC, JUN]), JAN, JUN)).toEqual([undefined, 'Two'])
  })

  it('was what it was, where it is changed after that had come', () => {
    const versions = written(['One', NOV, 0], ['Two', NOV, DEC], ['Three', DEC, JAN], ['Four', JAN + 1, JUN])
    expect(titlesAt(versions, NOV, DEC, JAN, JUN)).toEqual(['One', 'Two', 'Three', 'Four'])
  })

  it('is what was written at once, also where the clock behind the next change is a little slow', () => {
    const versions = written(['One', NOV, 0], ['Two', DEC, DEC], ['Three', DEC - 2_000, JUN])
    expect(titlesAt(versions, NOV, DEC, JUN)).toEqual(['One', 'Two', 'Three'])
  })

  it('is told apart from others that are decided on beside it', () => {
    const [first] = written(['One', NOV, JAN])
    const others = written(['Other', DEC, DEC]).map((version) => ({
      ...version,
      body: { ...version.body, id: 'team' },
    }))
    const elsewhere = written(['Elsewhere', DEC, DEC]).map((version) => ({ ...version, product: 'other' }))
    expect(versionsThatHold([first!, ...others, ...elsewhere])).toHaveLength(3)
  })
})
