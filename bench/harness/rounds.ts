export const ROUNDS = 5

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle]
  if (upper === undefined) throw new Error('no values, no median')
  return sorted.length % 2 === 1 ? upper : (upper + sorted[middle - 1]!) / 2
}

export function spread(values: readonly number[]): [min: number, max: number] {
  return [Math.min(...values), Math.max(...values)]
}

/** Rounds one after the other: what is compared is measured side by side, so that a noisy minute hits both. */
export async function rounds<T>(count: number, round: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let index = 0; index < count; index++) results.push(await round(index))
  return results
}
