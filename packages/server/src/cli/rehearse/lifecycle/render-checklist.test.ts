import { describe, expect, it } from 'vitest'
import { displayWidth } from '../terminal-text.ts'
import type { ItemResult } from './play-checklist.ts'
import type { LifecycleReport } from './rehearse-lifecycle.ts'
import { renderChecklist } from './render-checklist.ts'

const PASSED: ItemResult = { id: '1.1', title: 'It answers', durationMs: 3, outcome: 'passed', note: 'twice' }
const NOT_ASKED: ItemResult = {
  id: '1.2',
  title: 'It sings',
  durationMs: 0,
  outcome: 'notAsked',
  why: 'mute',
}
const FAILED: ItemResult = {
  id: '2.10',
  title: 'It dances',
  durationMs: 7,
  outcome: 'failed',
  expected: 'three steps to the left and, as every dancer knows, three steps to the right, at the same pace',
  seen: 'two \u001b[31msteps',
  look: 'the floor',
}

function aReport(groups: readonly (readonly ItemResult[])[]): LifecycleReport {
  const items = groups.flat()
  const count = (outcome: ItemResult['outcome']) => items.filter((item) => item.outcome === outcome).length
  return {
    passed: count('passed'),
    failed: count('failed'),
    durationMs: 12_340,
    products: [
      {
        product: { id: 'demo', title: 'Demo', metering: 'license', pricing: 'usage' },
        groups: groups.map((group, index) => ({ title: `Point ${index + 1}`, items: group })),
      },
    ],
  }
}

const render = (report: LifecycleReport, options: { width?: number; color?: boolean } = {}) =>
  renderChecklist(report, { color: false, ...options })

describe('the checklist for a person', () => {
  it('has one line for what passes, and says why something was not asked', () => {
    const text = render(aReport([[PASSED, NOT_ASKED]]))
    expect(text).toContain('✓ 1.1   It answers  twice\n')
    expect(text).toContain('– 1.2   It sings (mute)\n')
    expect(text).toContain('✓ All 1 items pass  1 product, 12.3 s')
  })

  it('says of what failed what was expected, what was seen and where to look', () => {
    const text = render(aReport([[PASSED], [FAILED]]), { width: 60 })
    expect(text).toContain('✗ 2.10  It dances')
    expect(text).toMatch(/expected +three steps to the left/)
    expect(text).toMatch(/look at +the floor/)
    expect(text).toContain('✗ 1 of 2 items failed  1 product, 12.3 s')
    for (const line of text.split('\n').filter((each) => /^ {12}/.test(each)))
      expect(displayWidth(line)).toBeLessThanOrEqual(60)
  })

  it('takes one line for a point that is not asked at all', () => {
    expect(render(aReport([[NOT_ASKED]]))).toContain('  1  Point 1: mute\n')
  })

  it('lets nothing that was seen steer the terminal, and has colour only where it is wanted', () => {
    expect(render(aReport([[FAILED]]))).not.toContain('\u001b')
    expect(render(aReport([[FAILED]]))).toContain('two \\x1b[31msteps')
    expect(render(aReport([[PASSED]]), { color: true })).toContain('\u001b[32m✓\u001b[0m')
  })
})
