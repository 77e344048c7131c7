import { type TagSetKey, UNTAGGED } from './tags.ts'

/**
 * Splits an integer among weights by largest remainder; ties go to the smaller key. The parts sum to `total` exactly.
 *
 * @param weights - each 0 or more; all zero gives everything to the first key
 */
export function apportion(total: bigint, weights: ReadonlyMap<TagSetKey, bigint>): Map<TagSetKey, bigint> {
  const sum = [...weights.values()].reduce((a, b) => a + b, 0n)
  const keys = [...weights.keys()].sort()
  if (sum === 0n) return new Map(keys.map((key, index) => [key, index === 0 ? total : 0n]))
  const parts = keys.map((key) => {
    const exact = total * weights.get(key)!
    return { key, part: exact / sum, rest: exact % sum }
  })
  let left = total - parts.reduce((a, { part }) => a + part, 0n)
  for (const entry of [...parts].sort((a, b) =>
    a.rest === b.rest ? (a.key < b.key ? -1 : 1) : a.rest > b.rest ? -1 : 1,
  )) {
    if (left === 0n) break
    entry.part += 1n
    left -= 1n
  }
  return new Map(parts.map(({ key, part }) => [key, part]))
}

/**
 * Splits whole billed units among tag sets, each as near as it can get to what it has: the floor of its own,
 * then one more (or one less) by largest remainder, ties by tag. What a set is billed ahead of its own is carried as a debt.
 *
 * @param units - units to bill, at most the sum of `available` in units
 * @param unitBase - base units in one of them
 * @param available - base units by tag set, carried debts included; may be negative
 */
export function splitUnits(
  units: bigint,
  unitBase: bigint,
  available: ReadonlyMap<TagSetKey, bigint>,
): Map<TagSetKey, bigint> {
  const shares = [...available].map(([key, base]) => {
    const floor = base > 0n ? base / unitBase : 0n
    return { key, units: floor, rest: base - floor * unitBase }
  })
  const whole = shares.reduce((a, share) => a + share.units, 0n)
  // Far fewer than there are (more than AWS takes at once, or debts of others): each set gets its part of them.
  if (whole - units > BigInt(shares.length))
    return apportion(units, new Map(shares.map((share) => [share.key, share.units])))
  let left = units - whole
  const byRest = shares.sort((a, b) =>
    a.rest === b.rest ? (a.key < b.key ? -1 : 1) : a.rest > b.rest ? -1 : 1,
  )
  while (left > 0n) {
    for (const share of byRest) {
      if (left === 0n) break
      share.units += 1n
      left -= 1n
    }
  }
  // Debts of others can make the floors too many: take back where the least is left over.
  while (left < 0n) {
    for (const share of [...byRest].reverse()) {
      if (left === 0n) break
      if (share.units === 0n) continue
      share.units -= 1n
      left += 1n
    }
  }
  return new Map(shares.map((share) => [share.key, share.units]))
}

/** Keeps the largest `setsMax - 1` tag sets; the others, and the smallest first, become untagged. */
export function foldTagSets(
  available: ReadonlyMap<TagSetKey, bigint>,
  setsMax: number,
  bytesMax: number,
): Map<TagSetKey, bigint> {
  let untagged = available.get(UNTAGGED) ?? 0n
  const tagged = [...available]
    .filter(([key]) => key !== UNTAGGED)
    .sort(([a, x], [b, y]) => (x === y ? (a < b ? -1 : 1) : x > y ? -1 : 1))
  const kept = new Map<TagSetKey, bigint>()
  let bytes = 0
  for (const [key, base] of tagged) {
    // A set on the wire is longer than its key: names of members and of each tag's parts.
    const size = Buffer.byteLength(key) + 40 + 20 * key.split('],[').length
    if (kept.size < setsMax - 1 && bytes + size <= bytesMax) {
      kept.set(key, base)
      bytes += size
    } else untagged += base
  }
  if (untagged !== 0n || available.has(UNTAGGED)) kept.set(UNTAGGED, untagged)
  return kept
}
