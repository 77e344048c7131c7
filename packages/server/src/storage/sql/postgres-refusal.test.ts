import pg from 'pg'
import { expect, it } from 'vitest'
import { isRefused } from './postgres-refusal.ts'

/** As a server says it that speaks German. */
function anError(severity: string, code: string): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('nein', 1, 'error'), { severity, code })
}

it.each([
  ['FEHLER', '40001'],
  ['FEHLER', '23505'],
  ['FEHLER', 'P0001'],
  ['FATAL', '25P03'],
])('knows for certain that a commit was refused, in any language: %s %s', (severity, code) => {
  expect(isRefused(anError(severity, code))).toBe(true)
})

it.each([
  ['FATAL', '57P01'],
  ['FATALE', '57P02'],
  ['PANIK', '58030'],
  ['PANIK', 'XX000'],
  ['FEHLER', '08006'],
])('knows not whether a commit was done where the server ended the session: %s %s', (severity, code) => {
  expect(isRefused(anError(severity, code))).toBe(false)
})

it('knows not whether a commit was done whose answer was lost', () => {
  expect(isRefused(new Error('Connection terminated unexpectedly'))).toBe(false)
})
