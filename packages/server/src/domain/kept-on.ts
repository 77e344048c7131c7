/**
 * Keeps what was worked out of an object on the object itself, out of sight. For what is read before every request of a product:
 * it is one load there, where a `WeakMap` is a look-up.
 *
 * @param slot - a constant symbol of the place that keeps it
 */
export function keepOn<Value>(object: object, slot: symbol, value: Value): Value {
  Object.defineProperty(object, slot, { value, writable: true, configurable: true })
  return value
}
