const heard = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Told when the signal is aborted, if it is not yet. All have one listener of the signal’s together: many at once are no leak.
 *
 * @returns lets go of it
 */
export function onAborted(signal: AbortSignal, tell: () => void): () => void {
  const all = heard.get(signal) ?? listen(signal)
  const mine = () => tell()
  all.add(mine)
  return () => void all.delete(mine)
}

function listen(signal: AbortSignal): Set<() => void> {
  const all = new Set<() => void>()
  heard.set(signal, all)
  const tellAll = () => {
    for (const tell of all) tell()
  }
  signal.addEventListener('abort', tellAll, { once: true })
  return all
}

/** Waits until the signal and no longer: then it rejects with the signal's reason, whatever becomes of what was waited for. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => {})
    throw signal.reason
  }
  let letGo = () => {}
  const aborted = new Promise<never>((_, reject) => {
    letGo = onAborted(signal, () => reject(signal.reason))
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    letGo()
  }
}
