import { expect, it } from 'vitest'
import { createCounterSheet, createLoadedCounters } from './counters.ts'

const limit = { window: 'hour', start: 0, end: 3_600_000, max: 10, blocks: true } as const
const key = { holder: 'sub_1', dimension: 'calls', window: 'hour', start: 0 } as const
const asked = { gate: { holder: 'sub_1', limits: [limit] }, dimension: 'calls' }

it('counts in what was read, be it zero, and refuses to overwrite what was not', () => {
  const loaded = createLoadedCounters()
  loaded.add([key], new Map())
  const sheet = createCounterSheet(loaded.get)
  sheet.add(asked, { held: 2 })
  expect(sheet.changes()).toMatchObject([{ now: { used: 0, held: 2 } }])
  const next = { ...asked, gate: { ...asked.gate, limits: [{ ...limit, start: 3_600_000 }] } }
  expect(() => sheet.add(next, { held: -2 })).toThrow('not read')
})
