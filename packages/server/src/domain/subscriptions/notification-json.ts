import { DomainError } from '../error.ts'
import { readTime } from '../usage/read-time.ts'

/** An object of a JSON text that somebody else wrote: read it with the functions here. */
export type Json = Readonly<Record<string, unknown>>

/** Characters of an id, a name or an ARN of AWS's: the longest it has, with room. */
const TEXT_LENGTH_MAX = 2_048
/** Not every store can keep the rest, and two ids must not become one. */
const PRINTABLE = /^[^\p{Cc}\p{Cs}]+$/u
const NOTHING: Json = {}

/**
 * A text that should be a JSON object.
 *
 * @param what - names the text in the error
 * @throws {DomainError} `notification.unreadable`
 */
export function readJsonObject(text: string, what: string): Json {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw unreadable(`${what} is not JSON`)
  }
  if (!isObject(value)) throw unreadable(`${what} is not a JSON object`)
  return value
}

/** Never what an object inherits: a message may have a field `constructor`, or none. */
export function own<T>(of: Readonly<Record<string, T>>, field: string): T | undefined {
  return Object.hasOwn(of, field) ? of[field] : undefined
}

/** A field's text; undefined for anything that is no printable text of that length. */
export function textOf(of: Json, field: string, lengthMax = TEXT_LENGTH_MAX): string | undefined {
  const value = own(of, field)
  return typeof value === 'string' && value.length <= lengthMax && PRINTABLE.test(value) ? value : undefined
}

/** A field's RFC 3339 time, ms. */
export function timeOf(of: Json, field: string): number | undefined {
  const text = textOf(of, field, 64)
  return text === undefined ? undefined : readTime(text)
}

/** A field's object; an empty one for anything else. */
export function objectOf(of: Json, field: string): Json {
  const value = own(of, field)
  return isObject(value) ? value : NOTHING
}

export function unreadable(message: string): DomainError {
  return new DomainError('notification.unreadable', message)
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
