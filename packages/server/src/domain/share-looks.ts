/**
 * All who ask within one turn of the event loop share a look that is taken at its end: it is not older than any of
 * their questions, and costs as much as one.
 */
export function shareLooks<T>(look: () => Promise<T>): () => Promise<T> {
  let looking: Promise<T> | undefined
  return () => {
    looking ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      looking = undefined
      return look()
    })
    return looking
  }
}
