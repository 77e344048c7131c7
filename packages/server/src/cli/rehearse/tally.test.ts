import { describe, expect, it } from 'vitest'
import type { EventStatus } from '../../domain/usage/usage-event.ts'
import { parseDimensionPlan } from './dimension-spec.ts'
import { createTally, eventOutcome, NOTES_MAX, REASONS_MAX } from './tally.ts'
import type { LineUse } from './to-usage-reports.ts'

const { specs } = parseDimensionPlan({ dimensions: ['requests=count', 'egress=sum:bytes'] })
const TIME = Date.UTC(2015, 4, 17, 10, 30)

function aUse(over: Partial<LineUse> = {}): LineUse {
  const at = { id: 'a', time: TIME }
  return {
    kind: 'use',
    line: 1,
    buyer: 'acme',
    reports: [
      { dimension: 'requests', ...at },
      { dimension: 'egress', quantity: '5', ...at },
    ],
    refused: [],
    ...at,
    ...over,
  }
}

describe('an event', () => {
  it.each<[EventStatus[], string]>([
    [['accepted', 'accepted'], 'accepted'],
    [['accepted', 'duplicate'], 'accepted'],
    [['duplicate', 'duplicate'], 'duplicate'],
    [['accepted', 'late'], 'late'],
    [['late', 'refused'], 'refused'],
    [['conflict', 'duplicate'], 'refused'],
    [[], 'refused'],
  ])('of %j is %s', (statuses, outcome) => {
    expect(eventOutcome(statuses)).toBe(outcome)
  })
})

describe('a tally', () => {
  it('counts a line once, whatever the number of dimensions', () => {
    const tally = createTally(specs)
    tally.line({ line: 1, fields: {}, truncated: false })
    tally.use(aUse(), [{ status: 'accepted' }, { status: 'accepted' }])
    tally.line({ line: 2, fields: {}, truncated: true, reason: 'torn', excerpt: 'x' })
    tally.use(aUse({ line: 2 }), [{ status: 'duplicate' }, { status: 'conflict', reason: 'other content' }])
    tally.line({ line: 3, malformed: 'is not JSON', excerpt: '{' })
    tally.line({ line: 4, fields: {}, truncated: false })
    tally.refusedLine({ kind: 'refused', line: 4, reason: 'no field "who"' })

    const summary = tally.summary()
    expect(summary.lines).toEqual({ read: 4, malformed: 1, truncated: 1 })
    expect(summary.events).toEqual({ accepted: 1, duplicate: 0, refused: 2, late: 0 })
    expect(summary.dimensions.get('requests')).toEqual({ accepted: 1, duplicate: 1, refused: 0, late: 0 })
    expect(summary.dimensions.get('egress')).toEqual({ accepted: 1, duplicate: 0, refused: 1, late: 0 })
    expect(summary.expected.get('egress')).toEqual({ counted: 5n, refused: 5n })
    expect(summary.expected.get('requests')).toEqual({ counted: 1n, refused: 0n })
    expect([...summary.hours]).toEqual([[Math.floor(TIME / 3_600_000), 1]])
    expect(summary.damaged).toEqual([
      { line: 2, counted: true, reason: 'torn', excerpt: 'x' },
      { line: 3, counted: false, reason: 'is not JSON', excerpt: '{' },
    ])
    expect(
      summary.refusals.map(({ dimension, reason, firstLine }) => [dimension, reason, firstLine]),
    ).toEqual([
      ['egress', 'other content', 2],
      [undefined, 'no field "who"', 4],
    ])
  })

  it('counts what it could read of a line, and says which dimension it could not', () => {
    const tally = createTally(specs)
    const [requests] = aUse().reports
    const refused = [{ dimension: 'egress', reason: 'field "bytes" is empty' }]
    tally.use(aUse({ reports: [requests!], refused }), [{ status: 'accepted' }])
    const summary = tally.summary()
    expect(summary.events).toEqual({ accepted: 0, duplicate: 0, refused: 1, late: 0 })
    expect(summary.expected.get('requests')).toEqual({ counted: 1n, refused: 0n })
    expect([...summary.hours.values()]).toEqual([1])
  })

  it('does not grow with the number of damaged lines or reasons', () => {
    const tally = createTally(specs)
    for (let line = 1; line <= 1000; line++) {
      tally.line({ line, malformed: 'is not JSON', excerpt: '' })
      tally.refusedLine({ kind: 'refused', line, reason: `reason ${line}` })
    }
    const { damaged, refusals } = tally.summary()
    expect(damaged).toHaveLength(NOTES_MAX)
    expect(refusals).toHaveLength(REASONS_MAX + 1)
    expect(refusals[0]).toMatchObject({ reason: 'other reasons', count: 1000 - REASONS_MAX })
  })
})
