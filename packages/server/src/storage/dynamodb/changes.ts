import assert from 'node:assert'
import type { AttributeValue, TransactWriteItem } from '@aws-sdk/client-dynamodb'
import { fromWire, toAttributeValue, toWire, type Wire, wireKey } from './attributes.ts'
import { type Addition, AdditionRefused, type Item, type Key, type Refusal } from './table.ts'

/**
 * What the table keeps in each item beside the store's own attributes.
 *
 * - `v`: the commit that wrote it last. Never the same twice, so that an unchanged `v` is an unchanged item.
 * - `lock`: the journal that is about to change it; until that is decided, the rest is as it was
 * - `ghost`: there is no item yet, only its lock
 */
export const VERSION = 'v'
export const LOCK = 'lock'
export const GHOST = 'ghost'

/** The version that an item must have. `missing`: there must be none. Undefined: whatever is there. */
export type Expected = { readonly version: string } | 'missing' | undefined

/** What an addition makes of an item, whatever that is like. */
export type Increase = Pick<Addition, 'amounts' | 'initial' | 'set'>

/** What a step does to one item. */
export type Change =
  | { readonly kind: 'put'; readonly item: Item }
  | { readonly kind: 'delete' }
  | { readonly kind: 'add'; readonly addition: Increase }
  | { readonly kind: 'check' }

export interface Planned {
  readonly key: Key
  readonly expected: Expected
  readonly refuseIf: readonly Refusal[]
  /** Refused where the item is missing. */
  readonly mustExist: boolean
  readonly change: Change
}

/** An expression's parts as the API takes them: every name and value by a placeholder, since many names are reserved. */
export interface Expression {
  name(name: string): string
  value(value: AttributeValue): string
  parts(): {
    ExpressionAttributeNames?: Record<string, string>
    ExpressionAttributeValues?: Record<string, AttributeValue>
  }
}

export function createExpression(): Expression {
  const names = new Map<string, string>()
  const values: Record<string, AttributeValue> = {}
  let count = 0
  return {
    name(name) {
      const known = names.get(name) ?? `#n${names.size}`
      names.set(name, known)
      return known
    },
    value(value) {
      const placeholder = `:v${count++}`
      values[placeholder] = value
      return placeholder
    },
    parts: () => ({
      ...(names.size > 0 && {
        ExpressionAttributeNames: Object.fromEntries(
          [...names].map(([name, placeholder]) => [placeholder, name]),
        ),
      }),
      ...(count > 0 && { ExpressionAttributeValues: values }),
    }),
  }
}

/** Nobody's lock, the version that was read, and nothing that refuses. */
export function conditionOf(
  { expected, refuseIf, mustExist }: Omit<Planned, 'change'>,
  expression: Expression,
): string {
  const { name, value } = expression
  // A lock without an item is a ghost, which has a key.
  if (expected === 'missing') return `attribute_not_exists(${name('pk')})`
  const conditions = [`attribute_not_exists(${name(LOCK)})`]
  if (expected !== undefined) conditions.push(`${name(VERSION)} = ${value({ S: expected.version })}`)
  if (mustExist) conditions.push(`attribute_exists(${name('pk')})`)
  return [...conditions, ...refuseIf.map((refusal) => toCondition(refusal, expression))].join(' AND ')
}

function toCondition(refusal: Refusal, { name, value }: Expression): string {
  const attribute = name(refusal.attribute)
  if ('isPresent' in refusal) return `attribute_not_exists(${attribute})`
  if ('isAbove' in refusal) {
    return `(attribute_not_exists(${attribute}) OR ${attribute} <= ${value(toValue(refusal.isAbove))})`
  }
  return `(attribute_not_exists(${attribute}) OR ${attribute} = ${value(toValue(refusal.isNot))})`
}

/** Does a plan refuse an item as it is? */
export function isRefused(
  { refuseIf, mustExist }: Pick<Planned, 'refuseIf' | 'mustExist'>,
  item: Item | undefined,
): boolean {
  if (item === undefined) return mustExist
  return refuseIf.some((refusal) => {
    const attribute = item[refusal.attribute]
    if (attribute === undefined) return false
    if ('isPresent' in refusal) return true
    if ('isAbove' in refusal) return (attribute as bigint) > BigInt(refusal.isAbove)
    return JSON.stringify(toValue(attribute)) !== JSON.stringify(toValue(refusal.isNot))
  })
}

function toValue(attribute: NonNullable<Item[string]>): AttributeValue {
  const value = toAttributeValue(attribute)
  assert(value !== undefined, 'an empty set is no value to compare with')
  return value
}

/** A planned change as one item of a `TransactWriteItems`. */
export function toTransactItem(table: string, planned: Planned, token: string): TransactWriteItem {
  const { key, change } = planned
  const expression = createExpression()
  const UpdateExpression = change.kind === 'add' ? updateOf(change.addition, token, expression) : ''
  const common = {
    TableName: table,
    ConditionExpression: conditionOf(planned, expression),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
    ...expression.parts(),
  }
  if (change.kind === 'put') return { Put: { ...common, Item: itemOf(change.item, token) } }
  if (change.kind === 'delete') return { Delete: { ...common, Key: wireKey(key) } }
  if (change.kind === 'check') return { ConditionCheck: { ...common, Key: wireKey(key) } }
  return { Update: { ...common, Key: wireKey(key), UpdateExpression } }
}

/** @param token - the commit, which becomes the item's version */
export function itemOf(item: Item, token: string): Wire {
  return { ...toWire(item), [VERSION]: { S: token } }
}

/** The update expression of an addition, but for its lock. */
export function updateOf(
  addition: Increase,
  token: string,
  expression: Expression,
  remove: readonly string[] = [],
): string {
  const { name, value } = expression
  const sets = [`${name(VERSION)} = ${value({ S: token })}`]
  const set = toWire(addition.set ?? {})
  for (const [attribute, fixed] of Object.entries(set)) sets.push(`${name(attribute)} = ${value(fixed)}`)
  for (const [attribute, initial] of Object.entries(toWire(addition.initial ?? {}))) {
    if (set[attribute] !== undefined) continue
    sets.push(`${name(attribute)} = if_not_exists(${name(attribute)}, ${value(initial)})`)
  }
  const overlap = Object.keys(addition.amounts).find(
    (amount) => addition.initial?.[amount] !== undefined || set[amount] !== undefined,
  )
  assert(overlap === undefined, `${overlap} is both set and added to`)
  const adds = Object.entries(addition.amounts).map(
    ([attribute, amount]) => `${name(attribute)} ${value(toValue(amount))}`,
  )
  return [
    `SET ${sets.join(', ')}`,
    ...(adds.length > 0 ? [`ADD ${adds.join(', ')}`] : []),
    ...(remove.length > 0 ? [`REMOVE ${remove.map(name).join(', ')}`] : []),
  ].join(' ')
}

/** Why a change was not made to an item, from what the item is like. */
export type Verdict =
  | { readonly kind: 'committed' }
  /** What was read is no longer so: the step must run again. */
  | { readonly kind: 'changed'; readonly key: Key }
  | { readonly kind: 'refused'; readonly error: AdditionRefused }
  /** Another step's journal is at it. */
  | { readonly kind: 'locked'; readonly key: Key; readonly lock: string }

/** @param wire - as it was when the condition did not hold */
export function judge(planned: Planned, wire: Wire | undefined): Exclude<Verdict, { kind: 'committed' }> {
  const { key, expected } = planned
  const { item, expected: actual, lock } = toFound(wire)
  if (lock !== undefined) return { kind: 'locked', key, lock }
  if (expected === undefined || isSame(expected, actual)) {
    if (isRefused(planned, item)) return { kind: 'refused', error: new AdditionRefused(key, item) }
  }
  return { kind: 'changed', key }
}

export function isSame(one: Expected, other: Expected): boolean {
  return typeof one === 'object' && typeof other === 'object' ? one.version === other.version : one === other
}

/** An item as its stores see it, and what the table knows about it. */
export interface Found {
  /** Undefined: there is none, whatever lock is kept in its place. */
  readonly item: Item | undefined
  readonly expected: Exclude<Expected, undefined>
  readonly lock: string | undefined
}

export function toFound(wire: Wire | undefined): Found {
  if (wire === undefined) return { item: undefined, expected: 'missing', lock: undefined }
  const { [VERSION]: version, [LOCK]: lock, [GHOST]: ghost, ...rest } = wire
  if (ghost !== undefined) return { item: undefined, expected: 'missing', lock: lock?.S }
  return { item: fromWire(rest), expected: { version: version?.S ?? '' }, lock: lock?.S }
}

/** What an addition makes of an item, for a step that reads what it has written. */
export function added(key: Key, item: Item | undefined, { amounts, initial, set }: Increase): Item {
  const grown: Record<string, Item[string]> = {
    ...initial,
    ...withoutUndefined(item ?? {}),
    ...set,
    pk: key.pk,
    sk: key.sk,
  }
  for (const [name, amount] of Object.entries(amounts)) {
    grown[name] = BigInt((grown[name] as bigint | number | undefined) ?? 0) + BigInt(amount)
  }
  return grown as Item
}

function withoutUndefined(item: { readonly [name: string]: Item[string] }) {
  return Object.fromEntries(Object.entries(item).filter(([, value]) => value !== undefined))
}
