import { DomainError } from '../error.ts'
import type { Plan } from '../plans/plan.ts'
import { choosablePlans } from '../plans/plan-version.ts'
import type { Product, ProductCatalog } from '../products/product.ts'
import type { Holder } from '../quotas/quota-answer.ts'
import type { Visitor } from './visitor.ts'

const DAY_MS = 86_400_000
const PREFIX = 'vis_'

const NOTHING: ReadonlySet<string> = new Set()

/** Of a look at what a new visitor would have: nothing is ever counted for it. */
const UNSEEN = `${PREFIX}unseen`

/** Is what holds a quota a visitor, and no subscription? */
export function isVisitorId(holder: string): boolean {
  return holder.startsWith(PREFIX)
}

/** Nobody is on a retired one: a visitor gets what visitors get now. Undefined: the product is for nobody without a key. */
function anonymousPlan(product: Pick<Product, 'plans'>): Plan | undefined {
  return choosablePlans(product).find(({ audience }) => audience === 'anonymous')
}

/** Is it one who has not been seen? Nothing may be counted for it. */
export function isUnseen({ id }: Pick<Holder, 'id'>): boolean {
  return id === UNSEEN
}

/**
 * @param visitor - undefined: one who has not been seen
 * @param now - the first day of such a one, ms
 * @param paysThroughAws - of the buyer whom the visitor became
 */
export function visitorHolder(
  product: Product,
  visitor: Pick<Visitor, 'id' | 'firstSeenAt'> | undefined,
  now: number,
  paysThroughAws = false,
): Holder {
  const plan = anonymousPlan(product)
  const anchor = visitor?.firstSeenAt ?? now
  return {
    id: visitor?.id ?? UNSEEN,
    product,
    plan,
    anchor,
    trialEndsAt: plan?.trial && anchor + plan.trial.days * DAY_MS,
    subscription: undefined,
    canBeBilled: false,
    granted: NOTHING,
    paysThroughAws,
  }
}

/** Shown to the product's backend, so that it can tell its visitors apart without an address. */
export function visitorIdOf(holder: Holder): string | undefined {
  return holder.subscription === undefined && !isUnseen(holder) ? holder.id : undefined
}

/**
 * @param asked - its id
 * @throws {DomainError} `product.not_found`; `request.invalid` where there are several and none is named
 */
export function productOfVisitor(catalog: ProductCatalog, asked: string | undefined): Product {
  const products = catalog.list()
  const product = asked === undefined && products.length === 1 ? products[0] : asked && catalog.find(asked)
  if (product) return product
  if (asked !== undefined) throw new DomainError('product.not_found', 'no such product here')
  throw new DomainError('request.invalid', 'product: there are several; say which one the visitor uses')
}
