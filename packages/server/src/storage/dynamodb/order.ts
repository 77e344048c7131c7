import { randomBytes } from 'node:crypto'
import { padded } from './keys.ts'

/** Told apart from other processes' places of the same millisecond. */
const process = randomBytes(3).toString('hex')
let count = 0

/**
 * A place in a list that is kept by time: what came later sorts later. Of one process strictly; of several within the same
 * millisecond in any order, always the same.
 *
 * @param at - ms
 */
export function placeAt(at: number): string {
  return `${padded(at)}-${padded(++count, 12)}-${process}`
}
