/**
 * At hand, or still to come: what stands before every request of a product makes no promise of what nobody has to wait for. It may
 * throw as well as reject: `await` is the same for both.
 */
export type Prompt<T> = T | Promise<T>

/** What comes next, at once where the value is at hand. */
export function whenKnown<T, R>(value: Prompt<T>, next: (value: T) => Prompt<R>): Prompt<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}
