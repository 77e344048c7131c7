/**
 * At hand, or still to come. What stands before every request of a product does not wait for what nobody has to wait for: a
 * promise for each step of it costs more than the step. It may throw as well as reject: `await` is the same for both.
 */
export type Prompt<T> = T | Promise<T>

/** What comes next, at once where the value is at hand. */
export function whenKnown<T, R>(value: Prompt<T>, next: (value: T) => Prompt<R>): Prompt<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}
