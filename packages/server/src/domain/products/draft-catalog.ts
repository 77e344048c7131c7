import { isDeepStrictEqual } from 'node:util'
import type { AuditEntry } from '../audit/audit-trail.ts'
import type { Plan } from '../plans/plan.ts'
import { type CatalogOrigin, type PlanVersion, versionsThatHold } from '../plans/plan-version.ts'
import { planToJson, productToJson } from './catalog-json.ts'
import type { CatalogChanges } from './catalog-store.ts'
import {
  type CatalogVersions,
  type ProductBody,
  type ProductVersion,
  planVersions,
  productVersions,
} from './catalog-versions.ts'

/** Where a version of a plan belongs. */
export interface PlanPlace {
  readonly position: number
  /** ms; not before now. */
  readonly from: number
  /** Of the plan's first version instead: 0 where it has always been so. */
  readonly first?: number
}

/** Versions that are to be added. What is as it was adds none. */
export interface CatalogDraft {
  setProduct(body: ProductBody): void
  setPlan(product: string, body: Plan, place: PlanPlace): void
  /** Whoever is on it keeps it. */
  retirePlan(product: string, plan: string): void
  retireProduct(product: string): void
  changes(): CatalogChanges
}

export function draftCatalog(
  versions: CatalogVersions,
  { actor, origin, now }: { readonly actor: string; readonly origin: CatalogOrigin; readonly now: number },
): CatalogDraft {
  const products: ProductVersion[] = []
  const plans: PlanVersion[] = []
  const audit: Omit<AuditEntry, 'id'>[] = []
  const note = (action: string, subject: string, before: unknown, after: unknown) =>
    audit.push({ at: now, actor, action, subject, before, after })
  const common = { actor, at: now, origin }
  /** With what is drafted: one plan may get two versions, one for now and one for later. */
  const written = (product: string, plan: string) => [
    ...planVersions(versions, product, plan),
    ...plans.filter((version) => version.product === product && version.body.id === plan),
  ]

  function addProduct(body: ProductBody, isRetired: boolean): void {
    const before = productVersions(versions, body.id).at(-1)
    const isSame =
      before?.origin === origin && before.isRetired === isRetired && isDeepStrictEqual(before.body, body)
    if (isSame) return
    const version = (before?.version ?? 0) + 1
    products.push({ ...common, product: body.id, version, body, isRetired })
    const action = isRetired ? 'product.retire' : before === undefined ? 'product.create' : 'product.change'
    note(action, body.id, before && shownProduct(before), shownProduct({ version, body }))
  }

  function addPlan(product: string, body: Plan, { position, from, first }: PlanPlace): void {
    const before = written(product, body.id).at(-1)
    const isSame =
      before?.origin === origin &&
      // Of what configuration declares, its own order counts.
      (origin === 'config' || before.position === position) &&
      isDeepStrictEqual(before.body, body) &&
      // What is dated ahead is to hold at once, or on another day.
      (before.from <= now || before.from === from)
    if (isSame) return
    const version = (before?.version ?? 0) + 1
    const starts = before === undefined ? (first ?? from) : from
    plans.push({ ...common, product, version, from: starts, position, body })
    const action = body.isRetired ? 'plan.retire' : before === undefined ? 'plan.create' : 'plan.change'
    note(action, `${product}/${body.id}`, before && shownPlan(before), shownPlan(plans.at(-1)!))
  }

  return {
    setProduct: (body) => addProduct(body, false),
    setPlan: addPlan,
    retirePlan(product, plan) {
      const known = written(product, plan)
      const before = known.at(-1)
      if (before === undefined || before.body.isRetired) return
      // What was dated ahead and never came is not what anybody is on.
      const held = versionsThatHold(known).findLast(({ from }) => from <= now) ?? before
      addPlan(product, { ...held.body, isRetired: true }, { position: before.position, from: now })
    },
    retireProduct(product) {
      const before = productVersions(versions, product).at(-1)
      if (before !== undefined && !before.isRetired) addProduct(before.body, true)
    },
    changes: () => ({ products, plans, audit }),
  }
}

/** A body that is longer than this is not said again in the audit trail: the versions have it. */
const AUDITED_CHARS_MAX = 20_000

function shownProduct({ version, body }: Pick<ProductVersion, 'version' | 'body'>): unknown {
  return { version, ...audited(productToJson(body)) }
}

function shownPlan({ version, from, body }: PlanVersion): unknown {
  return { version, from: new Date(from).toISOString(), ...audited(planToJson(body)) }
}

function audited(json: string): object {
  return json.length > AUDITED_CHARS_MAX ? {} : (JSON.parse(json) as object)
}
