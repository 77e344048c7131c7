import type { Plan } from './plan.ts'

/** Who says it: configuration, which no call changes, or the API. */
export type CatalogOrigin = 'config' | 'api'

/** What was written of a product, or of one of its plans. Never changed: a change is a new version. */
export interface Version {
  /** The product's id. */
  readonly product: string
  /** 1 for the first. */
  readonly version: number
  /** Who wrote it, and when, ms. */
  readonly actor: string
  readonly at: number
  readonly origin: CatalogOrigin
}

/** A plan as it is from a time on, until a later version holds. */
export interface PlanVersion extends Version {
  /** ms; 0: as far back as it goes. */
  readonly from: number
  /** Its place among the plans of the product. */
  readonly position: number
  readonly body: Plan
}

/** The plans of a product, now and through time. */
export interface Plans {
  /** As they are now, lowest first. */
  readonly plans: readonly Plan[]
  /**
   * As they were, are and are going to be, each in order of its versions, and so of time; without what never came (see
   * `versionsThatHold`). A plan that has none never changed.
   */
  readonly planVersions: readonly PlanVersion[]
}

/**
 * The versions that hold at some time. What was decided last counts: a later version takes the place of one that was dated
 * ahead and had not come when it was written, whatever it is dated to itself.
 *
 * @param versions - of any products and plans, each plan's in order
 */
export function versionsThatHold(versions: readonly PlanVersion[]): readonly PlanVersion[] {
  /** When something later was first written of a plan, ms. */
  const decidedAgain = new Map<string, number>()
  const held: PlanVersion[] = []
  for (const version of versions.toReversed()) {
    const { product, body, at, from } = version
    const name = JSON.stringify([product, body.id])
    const again = decidedAgain.get(name) ?? Number.POSITIVE_INFINITY
    // What holds from when it was written has come, though the clock that wrote the next one be a little behind.
    if (from <= Math.max(at, again)) held.push(version)
    decidedAgain.set(name, Math.min(at, again))
  }
  return held.reverse()
}

/**
 * A plan as it was, is, or is going to be.
 *
 * @returns undefined where there was none yet; a retired one still is, for those who are on it
 */
export function planAt(
  { plans, planVersions }: Plans,
  id: string | undefined,
  time: number,
): Plan | undefined {
  if (id === undefined) return undefined
  let isVersioned = false
  let found: Plan | undefined
  for (const { body, from } of planVersions) {
    if (body.id !== id) continue
    isVersioned = true
    if (from <= time) found = body
  }
  // One that was never written down has always been as it is declared.
  return isVersioned ? found : plans.find((plan) => plan.id === id)
}

/** Plans that can be chosen: all but those that are only kept for whoever is on them. */
export function choosablePlans({ plans }: Pick<Plans, 'plans'>): readonly Plan[] {
  return plans.filter(({ isRetired }) => !isRetired)
}
