import { expect, it } from 'vitest'
import { isRotated, rotateSalts } from './rotate-salts.ts'
import type { VisitorSalt } from './visitor.ts'

const LIFE = 1_000

it('makes the first, keeps it while it serves, and the one before it for as long again', () => {
  const first = rotateSalts([], 0, LIFE)
  expect(first.made).toMatchObject({ number: 1, since: 0 })
  expect(first.made!.secret).toHaveLength(32)
  const one = first.living
  expect(isRotated(one, rotateSalts(one, LIFE - 1, LIFE))).toBe(true)

  const second = rotateSalts(one, LIFE, LIFE)
  expect(second.living.map(({ number }) => number)).toEqual([2, 1])
  expect(second.made!.secret).not.toEqual(one[0]!.secret)
  expect(isRotated(second.living, rotateSalts(second.living, 2 * LIFE - 1, LIFE))).toBe(true)

  // After a long pause nothing of before finds anybody again.
  const late = rotateSalts(second.living, 9 * LIFE, LIFE)
  expect(late.living.map(({ number }) => number)).toEqual([3])
  expect(isRotated(second.living, late)).toBe(false)
})

it('never lets more than two live', () => {
  const salt = (number: number): VisitorSalt => ({ number, secret: new Uint8Array(32), since: number })
  const { made, living } = rotateSalts([salt(3), salt(2), salt(1)], 5, LIFE)
  expect([made, living.map(({ number }) => number)]).toEqual([undefined, [3, 2]])
})
