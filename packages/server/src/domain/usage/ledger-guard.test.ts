import { expect, it } from 'vitest'
import { utc } from '../../storage/contract/fixtures.ts'
import { hourOf } from './hour.ts'
import { mergeDoubt } from './ledger-guard.ts'

const NOW = utc('2026-11-21T12:30')
const fresh = { from: hourOf(NOW) - 1, to: hourOf(NOW) }

it('keeps an earlier doubt for as long as AWS takes any of its hours', () => {
  const to = hourOf(utc('2026-11-20T12:00'))
  expect(mergeDoubt({ from: to - 3, to }, fresh, NOW)).toEqual({ from: to - 3, to: fresh.to })
  expect(mergeDoubt({ from: to - 3, to: to - 1 }, fresh, NOW)).toEqual(fresh)
})

it('never ends a doubt sooner, nor begins it later, than it was', () => {
  const known = { from: fresh.from + 1, to: fresh.to + 2 }
  expect(mergeDoubt(known, fresh, NOW)).toEqual({ from: fresh.from, to: fresh.to + 2 })
  expect(mergeDoubt(undefined, fresh, NOW)).toEqual(fresh)
})
