import { DomainError } from '../error.ts'

/** A plan or product that a program changes all the time is a mistake of the program. */
export const VERSIONS_MAX = 1_000

/** @throws {DomainError} `request.invalid` */
export function checkCount(what: string, count: number, max: number): void {
  if (count <= max) return
  throw new DomainError('request.invalid', `there are ${max} ${what}: that is as many as there can be`)
}
