import type { Attribute } from './table.ts'

/** Attributes as the stores wrote them. An integer is a `bigint` when it is read back, and may be a `number` before. */
export function text(value: Attribute | undefined): string {
  return value as string
}

export function optionalText(value: Attribute | undefined): string | undefined {
  return value as string | undefined
}

export function int(value: Attribute | undefined): number {
  return Number(value)
}

export function optionalInt(value: Attribute | undefined): number | undefined {
  return value === undefined ? undefined : Number(value)
}

export function big(value: Attribute | undefined): bigint {
  return BigInt(value as bigint | number)
}

/** A list of texts, in its order; missing: none. */
export function texts(value: Attribute | undefined): readonly string[] {
  return (value as readonly string[] | undefined) ?? []
}

/** A set of texts; DynamoDB has no empty one: it is left out. */
export function textSet(value: Attribute | undefined): ReadonlySet<string> {
  return (value as ReadonlySet<string> | undefined) ?? new Set()
}
