import { DomainError } from '../error.ts'
import { checkEachPlan, checkPlans } from '../plans/check-plans.ts'
import type { Plan } from '../plans/plan.ts'
import { choosablePlans } from '../plans/plan-version.ts'
import { type CatalogVersions, type ProductBody, plansAt } from './catalog-versions.ts'
import type { Product } from './product.ts'

/** Plans as they are going to be when all that is decided has come; without those that are retired. */
export function plansToCome(
  { id, plans }: Pick<Product, 'id' | 'plans'>,
  versions: Pick<CatalogVersions, 'plans'>,
): readonly Plan[] {
  const newest = new Map(plans.map((plan) => [plan.id, plan]))
  for (const version of versions.plans) if (version.product === id) newest.set(version.body.id, version.body)
  return choosablePlans({ plans: [...newest.values()] })
}

/**
 * A product may be another than the one that its plans were made for: they must suit it now, and when what is dated ahead has
 * come. Retired plans need not: nobody gets them.
 *
 * @param product - as it is going to be; `plans` are those that it declares
 * @param versions - with those that are going to be written
 * @throws {DomainError} `request.invalid` with each mistake
 */
export function suitPlans(
  product: ProductBody & Pick<Product, 'plans'>,
  versions: CatalogVersions,
  now: number,
): void {
  const toCome = plansToCome(product, versions)
  const problems = new Map<
    string,
    { readonly plan: string; readonly path: string; readonly message: string }
  >()
  const reportOf =
    (plans: readonly Plan[]) =>
    ([_, index, ...path]: readonly (string | number)[], message: string) => {
      const problem = { plan: plans[Number(index)]!.id, path: pathText(path), message }
      problems.set(JSON.stringify(problem), problem)
    }
  checkPlans({ ...product, plans: toCome }, reportOf(toCome))
  const current = choosablePlans({
    plans: [...plansAt(versions, product.id, now).values()].map(({ body }) => body),
  })
  checkEachPlan({ ...product, plans: current }, reportOf(current))
  const [first] = problems.values()
  if (first === undefined) return
  const others = problems.size === 1 ? '' : ` (and ${problems.size - 1} more)`
  throw new DomainError(
    'request.invalid',
    `plan ${first.plan} of ${product.id} stays and does not suit: ${first.path} ${first.message}${others}. Change the plan or retire it first`,
    { details: { problems: [...problems.values()] } },
  )
}

/** As a person would write it: `included[0].dimension`. */
function pathText(path: readonly (string | number)[]): string {
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`))
    .join('')
}
