/** What a plan has besides limits. */
export interface PlanFeatures {
  /** Is it on? A number is where it is more than zero, a text where it is not empty. */
  has(name: string): boolean
  /** Undefined where the plan has no such number. */
  number(name: string): number | undefined
  /** Undefined where the plan has no such text. */
  text(name: string): string | undefined
  readonly all: Readonly<Record<string, unknown>>
}

/** @param answer - of `validateQuota`, `getQuota`, `reserveQuota` or `checkAccess` */
export function planFeatures(answer: {
  readonly features?: Readonly<Record<string, unknown>> | undefined
}): PlanFeatures {
  const all = answer.features ?? {}
  // A plan’s own names only: `constructor` is no feature.
  const featureOf = (name: string) => (Object.hasOwn(all, name) ? all[name] : undefined)
  return {
    all,
    has(name) {
      const value = featureOf(name)
      return (
        value === true ||
        (typeof value === 'number' && value > 0) ||
        (typeof value === 'string' && value !== '')
      )
    },
    number(name) {
      const value = featureOf(name)
      return typeof value === 'number' ? value : undefined
    },
    text(name) {
      const value = featureOf(name)
      return typeof value === 'string' ? value : undefined
    },
  }
}
