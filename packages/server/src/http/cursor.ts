import { hash } from 'node:crypto'
import { DomainError } from '../domain/error.ts'

/** A place in a list, for the caller to hand back unread. */
export function writeCursor(place: string): string {
  return Buffer.from(checksum(place) + place).toString('base64url')
}

/** @throws {DomainError} `request.invalid` for what we did not write */
export function readCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined
  const text = Buffer.from(cursor, 'base64url').toString()
  const place = text.slice(8)
  if (text.slice(0, 8) !== checksum(place)) {
    throw new DomainError('request.invalid', 'cursor: pass the `next` of the page before, as it is')
  }
  return place
}

function checksum(place: string): string {
  return hash('sha256', place, 'hex').slice(0, 8)
}
