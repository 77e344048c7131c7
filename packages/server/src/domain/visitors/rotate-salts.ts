import { randomBytes } from 'node:crypto'
import { isLivingSalt, SALT_BYTES, type VisitorSalt } from './visitor.ts'

/** What becomes of the salts of a ledger. */
export interface SaltRotation {
  /** To be kept; undefined: the newest still serves. */
  readonly made: VisitorSalt | undefined
  /** Newest first; every older one is to be destroyed. */
  readonly living: readonly VisitorSalt[]
}

/**
 * One salt serves for `lifeMs`; the one before it lives on for as long, to find again whoever was seen under it.
 *
 * @param known - newest first
 */
export function rotateSalts(known: readonly VisitorSalt[], now: number, lifeMs: number): SaltRotation {
  const [newest] = known
  const isCurrent = newest !== undefined && now < newest.since + lifeMs
  const made: VisitorSalt | undefined = isCurrent
    ? undefined
    : { number: (newest?.number ?? 0) + 1, secret: Uint8Array.from(randomBytes(SALT_BYTES)), since: now }
  const all = made === undefined ? known : [made, ...known]
  const living = all.filter((salt, index) => index === 0 || (index === 1 && isLivingSalt(salt, now, lifeMs)))
  return { made, living }
}

/** Is there nothing to be made and nothing to be destroyed? */
export function isRotated(known: readonly VisitorSalt[], { made, living }: SaltRotation): boolean {
  return made === undefined && living.length === known.length
}
