import { isUtf8 } from 'node:buffer'
import { DomainError } from '../error.ts'

/** Could the text hold a number that loses digits when it is read? Strings may match too: then it is only slower. */
const LONG_NUMBER = /[:,[]\s*-?\d[\d.]{15}/

/**
 * A JSON body as it was meant: text that is not UTF-8 is refused, since its repair would make two ids one, and
 * a number of more than 15 digits becomes `NaN`, so that whoever expects a quantity refuses it instead of billing
 * its rounded neighbour.
 *
 * @throws {DomainError} `request.invalid`
 */
export function readJson(body: Buffer): unknown {
  return parseJson(readText(body), 'the body')
}

/** @throws {DomainError} `request.invalid` */
export function readText(body: Buffer): string {
  if (!isUtf8(body)) throw new DomainError('request.invalid', 'the body is not UTF-8')
  return body.toString('utf8')
}

/**
 * @param what - names the text in the error
 * @throws {DomainError} `request.invalid`
 */
export function parseJson(text: string, what: string): unknown {
  try {
    return LONG_NUMBER.test(text) ? JSON.parse(text, withoutLostDigits) : JSON.parse(text)
  } catch {
    throw new DomainError('request.invalid', `${what} is not JSON`)
  }
}

function withoutLostDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value
  const digits = context.source
    .replace(/[eE].*$/, '')
    .replace(/[-.]/g, '')
    .replace(/^0+/, '')
  return digits.length > 15 ? Number.NaN : value
}
