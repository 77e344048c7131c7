import { AwsError } from './aws-error.ts'

/**
 * Readers of untrusted request members. A wrong JSON type is a `SerializationException`, a broken constraint a
 * `ValidationException`; the texts follow AWS's framework, whose exact wording for these services is UNVERIFIED.
 */
export type JsonObject = Readonly<Record<string, unknown>>

export function readObject(value: unknown, path: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(path, 'an object')
  return value as JsonObject
}

export function readList(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongType(path, 'a list')
  return value
}

/** `null` counts as absent, as in AWS's JSON protocols. */
export function readOptionalString(value: unknown, path: string): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw wrongType(path, 'a string')
  return value
}

export function readOptionalInteger(value: unknown, path: string): number | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(path, 'an integer')
  return value
}

/** @returns epoch milliseconds; the wire carries seconds, whole or with decimals */
export function readTimestamp(value: unknown, path: string): number {
  if (value === undefined || value === null) throw isRequired(path)
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrongType(path, 'a number of epoch seconds')
  const epochMs = Math.floor(value * 1000 + 5e-4)
  if (Math.abs(epochMs) > 8.64e15) throw wrongType(path, 'a number of epoch seconds')
  return epochMs
}

export function isRequired(path: string): AwsError {
  return invalid(`Value null at '${path}' failed to satisfy constraint: Member must not be null`)
}

export function violates(path: string, constraint: string): AwsError {
  return invalid(`Value at '${path}' failed to satisfy constraint: ${constraint}`)
}

function wrongType(path: string, expected: string): AwsError {
  return new AwsError('SerializationException', `Member '${path}' is not ${expected}`)
}

function invalid(detail: string): AwsError {
  return new AwsError('ValidationException', `1 validation error detected: ${detail}`)
}
