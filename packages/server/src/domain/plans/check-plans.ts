import { notOneOf } from '../not-one-of.ts'
import type { Product } from '../products/product.ts'
import type { Plan } from './plan.ts'

/** What plans are checked against. */
type PlansOfProduct = Pick<Product, 'dimensions' | 'pricing' | 'plans'>
type Path = readonly (string | number)[]
/** @param path - below the product */
type ReportAt = (path: Path, message: string) => void

/** Rules across the plans of a product. */
export function checkPlans(product: PlansOfProduct, report: ReportAt): void {
  const plans = new Set<string>()
  product.plans.forEach(({ id }, index) => {
    if (plans.has(id))
      report(['plans', index, 'id'], `must be unique in its product, but \`${id}\` is there twice`)
    plans.add(id)
  })
  checkEachPlan(product, report)
  checkLadder(product, report)
}

/** Rules of each plan by itself: what it names is the product's, and sold as the product is. */
export function checkEachPlan(product: PlansOfProduct, report: ReportAt): void {
  const keys = product.dimensions.map(({ key }) => key)
  product.plans.forEach((plan, index) => {
    const { grantedBy, included } = plan
    // Else what a contract grants would never be read, and what it paid for be billed.
    const refuseContract = (path: Path, key: string) =>
      report(
        ['plans', index, ...path],
        `names \`${key}\`, which only a contract grants: say \`pricing: contract\` or \`contract-with-consumption\` of the product`,
      )
    if (product.pricing === 'usage' && grantedBy !== undefined) refuseContract(['grantedBy'], grantedBy)
    const seen = new Set<string>()
    included.forEach(({ dimension, per }, position) => {
      if (product.pricing === 'usage' && per !== undefined) refuseContract(['included', position, 'per'], per)
      const path = ['plans', index, 'included', position, 'dimension']
      if (!keys.includes(dimension)) report(path, notOneOf('a dimension of this product', dimension, keys))
      if (seen.has(dimension))
        report(path, `must be there once in its plan, but \`${dimension}\` is there twice`)
      seen.add(dimension)
    })
    checkLimits(product, plan, (path, message) => report(['plans', index, ...path], message))
  })
}

function checkLimits({ dimensions, pricing }: PlansOfProduct, { limits }: Plan, report: ReportAt): void {
  const seen = new Set<string>()
  limits.forEach(({ dimension, quantity, window, onExceed }, position) => {
    const name = JSON.stringify([dimension, window])
    if (seen.has(name)) {
      const rule = `must be there once in its plan, but \`${dimension}\` has a limit for \`${window}\` twice`
      report(['limits', position, 'window'], rule)
    }
    seen.add(name)
    const counted = dimensions.find(({ key }) => key === dimension)
    const scale = counted?.scale ?? 0
    if (quantity !== 'unlimited' && BigInt(quantity) * 10n ** BigInt(scale) > Number.MAX_SAFE_INTEGER) {
      const rule = `must be smaller: at a scale of ${scale} it is at most ${Number.MAX_SAFE_INTEGER} / 10^${scale}`
      report(['limits', position, 'quantity'], rule)
    }
    if (onExceed !== 'bill') return
    const path = ['limits', position, 'onExceed']
    if (counted === undefined) {
      const keys = dimensions.map(({ key }) => key)
      report(
        path,
        `can be \`bill\` only for ${notOneOf('a dimension of this product', dimension, keys).slice('must be '.length)}`,
      )
    } else if (pricing === 'contract') {
      report(path, 'must be `block`: a product with `pricing: contract` bills no usage')
    }
  })
}

/** Who gets which plan without asking, and which plan comes after which. */
function checkLadder({ plans }: PlansOfProduct, report: ReportAt): void {
  const ids = plans.map(({ id }) => id)
  plans.forEach(({ id, audience, grantedBy, upgradeTo }, index) => {
    const path = ['plans', index]
    const first = plans.findIndex((plan) => plan.audience === audience)
    if (audience !== 'paid' && first < index) {
      const rule = `can be \`${audience}\` of one plan in a product, but \`${plans[first]!.id}\` is it, too`
      report([...path, 'audience'], rule)
    }
    if (audience !== 'paid' && grantedBy !== undefined) {
      const rule = `must be left out: a contract grants what is bought, and this plan is \`${audience}\``
      report([...path, 'grantedBy'], rule)
    }
    if (upgradeTo === undefined) return
    if (!ids.includes(upgradeTo)) {
      report([...path, 'upgradeTo'], notOneOf('a plan of this product', upgradeTo, ids))
    } else if (leadsBack(plans, id)) {
      report([...path, 'upgradeTo'], `must lead up: from \`${upgradeTo}\` one comes back to \`${id}\``)
    }
  })
}

function leadsBack(plans: readonly Plan[], start: string): boolean {
  let at: string | undefined = start
  for (let step = 0; step < plans.length && at !== undefined; step++) {
    at = plans.find(({ id }) => id === at)?.upgradeTo
    if (at === start) return true
  }
  return false
}
