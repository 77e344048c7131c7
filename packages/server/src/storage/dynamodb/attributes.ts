import assert from 'node:assert'
import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import type { Attribute, Item, Key } from './table.ts'

/** An item as DynamoDB's API writes it. */
export type Wire = Record<string, AttributeValue>

export function toWire(attributes: { readonly [name: string]: Attribute | undefined }): Wire {
  const wire: Wire = {}
  for (const [name, attribute] of Object.entries(attributes)) {
    const value = attribute === undefined ? undefined : toAttributeValue(attribute)
    if (value !== undefined) wire[name] = value
  }
  return wire
}

/** @returns undefined for an empty set, which DynamoDB has no way to keep */
export function toAttributeValue(attribute: Attribute): AttributeValue | undefined {
  // Versions of DynamoDB Local before May 2020 refuse empty text.
  if (attribute === '') return { NULL: true }
  if (typeof attribute === 'string') return { S: attribute }
  if (typeof attribute === 'bigint') return { N: attribute.toString() }
  if (typeof attribute === 'number') {
    assert(Number.isSafeInteger(attribute), `${attribute} is not an integer that is kept exactly`)
    return { N: String(attribute) }
  }
  if (typeof attribute === 'boolean') return { BOOL: attribute }
  if (attribute instanceof Uint8Array) return { B: attribute }
  if (attribute instanceof Set) return attribute.size === 0 ? undefined : { SS: [...attribute] }
  if (Array.isArray(attribute)) {
    return { L: attribute.map(toAttributeValue).filter((value) => value !== undefined) }
  }
  return { M: toWire(attribute as { readonly [name: string]: Attribute | undefined }) }
}

export function fromWire(wire: Wire): Item {
  return fromMap(wire) as Item
}

function fromMap(wire: Wire): { [name: string]: Attribute } {
  return Object.fromEntries(Object.entries(wire).map(([name, value]) => [name, fromAttributeValue(value)]))
}

function fromAttributeValue(value: AttributeValue): Attribute {
  if (value.S !== undefined) return value.S
  if (value.N !== undefined) return BigInt(value.N)
  if (value.BOOL !== undefined) return value.BOOL
  if (value.B !== undefined) return value.B
  if (value.SS !== undefined) return new Set(value.SS)
  if (value.L !== undefined) return value.L.map(fromAttributeValue)
  if (value.M !== undefined) return fromMap(value.M)
  if (value.NULL === true) return ''
  throw new Error(`an attribute that no store writes: ${Object.keys(value).join()}`)
}

export function wireKey({ pk, sk }: Key): Wire {
  return { pk: { S: pk }, sk: { S: sk } }
}

/**
 * Bytes of an item as AWS counts them: names and values in UTF-8, numbers by two digits a byte and one more, three for a
 * list or map and one for each of its elements.
 *
 * @see {@link https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html | Item sizes and formats}
 */
export function sizeOf(wire: Wire): number {
  let bytes = 0
  for (const [name, value] of Object.entries(wire)) bytes += Buffer.byteLength(name) + sizeOfValue(value)
  return bytes
}

function sizeOfValue(value: AttributeValue): number {
  if (value.S !== undefined) return Buffer.byteLength(value.S)
  if (value.N !== undefined)
    return Math.ceil(value.N.replace(/^-|0+$/g, '').length / 2) + 1 + (value.N.startsWith('-') ? 1 : 0)
  if (value.B !== undefined) return value.B.byteLength
  if (value.SS !== undefined) return value.SS.reduce((sum, part) => sum + Buffer.byteLength(part), 0)
  if (value.L !== undefined) return value.L.reduce((sum, part) => sum + 1 + sizeOfValue(part), 3)
  if (value.M !== undefined) return 3 + sizeOf(value.M) + Object.keys(value.M).length
  return 1
}
