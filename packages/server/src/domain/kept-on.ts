/**
 * Keeps what was worked out of an object on the object itself, out of sight: before every request of a product, a look-up by
 * object in a `WeakMap` costs more than all that it saves from being worked out again.
 *
 * @param slot - a constant symbol of the place that keeps it
 */
export function keepOn<Value>(object: object, slot: symbol, value: Value): Value {
  Object.defineProperty(object, slot, { value, writable: true, configurable: true })
  return value
}
