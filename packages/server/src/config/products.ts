import assert from 'node:assert/strict'
import Value from 'typebox/value'
import { checkPlans } from '../domain/plans/check-plans.ts'
import type { Plan } from '../domain/plans/plan.ts'
import type { Dimension, LandingPage, Product } from '../domain/products/product.ts'
import type { LedgerMode } from '../domain/stores.ts'
import { MINUTE_MS } from '../domain/usage/hour.ts'
import { BASE_UNITS_PER_UNIT_MAX } from '../domain/usage/quantity.ts'
import { expected, problemAt } from './check-schema.ts'
import type { ConfigProblem } from './config-error.ts'
import { checkEndpoints, toEndpoint } from './endpoints.ts'
import { ENVIRONMENT, type Environment, readEnvironment } from './environment.ts'
import type { MarketplaceListings } from './marketplace-file.ts'
import { toPlan } from './plans.ts'
import { ProductSchema } from './schema/products.ts'
import type { ConfigFile, DimensionSection, ProductSection } from './schema.ts'
import { asNode } from './schema-node.ts'
import type { Pointer, Source } from './source.ts'

/** Id of the product that `MP_PRODUCT_CODE` and `connectors.marketplace` make where none is declared. */
const CONNECTOR_PRODUCT = 'marketplace'

/** A product on its way from the files to the domain. */
export interface Draft {
  section: ProductSection
  /** Of its listing in `marketplace-config.json`. */
  description?: string | undefined
  readonly source: Source
  readonly pointer: Pointer
}

/** A product of which only these things are known. */
function newSection(known: Pick<ProductSection, 'id' | 'title' | 'productCode' | 'listing'>): ProductSection {
  const section = Value.Default(ProductSchema, known)
  assert(Value.Check(ProductSchema, section), 'the parts of a product are checked before they are joined')
  return section
}

export type Report = (source: Source, pointer: Pointer, message: string) => void

/**
 * The products of `tollkeeper.yaml`, the enabled listings of `marketplace-config.json` (which join a product of the
 * same code or path, or become one) and the environment's product code, checked against each other.
 */
export function resolveProducts(
  file: ConfigFile,
  source: Source,
  listings: MarketplaceListings | undefined,
  env: Environment,
): { products: Product[]; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = []
  const report: Report = (where, pointer, message) => problems.push(problemAt(where, pointer, message))

  const drafts: Draft[] = file.products.map((section, index) => ({
    section,
    source,
    pointer: ['products', index],
  }))
  if (listings) joinListings(drafts, listings, report)
  takeProductCode(drafts, file, source, env, problems)

  for (const draft of drafts) {
    if (draft.section.productCode === undefined) {
      const hint = "AWS's product code of the listing, or set MP_PRODUCT_CODE where there is one product"
      report(draft.source, [...draft.pointer, 'productCode'], `is missing: ${hint}`)
    }
  }
  checkUnique(drafts, report)
  const products = drafts.map((draft) =>
    toProduct(draft, { region: file.aws.region, mode: file.mode }, report),
  )
  return { products, problems }
}

function joinListings(drafts: Draft[], { file, source }: MarketplaceListings, report: Report): void {
  for (const [key, listing] of Object.entries(file.marketplaceListings)) {
    if (!listing.enabled) continue
    const pointer = ['marketplaceListings', key]
    const path = listing.path ?? key
    const byCode = drafts.find(
      ({ section }) => listing.productCode !== undefined && section.productCode === listing.productCode,
    )
    const byPath = drafts.find(({ section }) => (section.listing ?? section.id) === path)
    if (byCode && byPath && byCode !== byPath) {
      const ids = `\`${byCode.section.id}\` by its code and \`${byPath.section.id}\` by its path`
      report(source, pointer, `fits two products, ${ids}: make it one`)
      continue
    }
    const product = byCode ?? byPath
    if (!product) {
      const section = newSection({
        id: path,
        listing: path,
        ...(listing.name === undefined ? {} : { title: listing.name }),
        ...(listing.productCode === undefined ? {} : { productCode: listing.productCode }),
      })
      drafts.push({ section, source, pointer, description: listing.description })
      continue
    }
    product.description ??= listing.description
    const { section } = product
    const productCode = section.productCode ?? listing.productCode
    if (listing.productCode !== undefined && listing.productCode !== productCode) {
      const other = `product \`${section.id}\` on the same path says \`${productCode}\``
      report(source, [...pointer, 'productCode'], `must be the same everywhere: ${other}`)
    }
    if (section.listing !== undefined && section.listing !== path) {
      const other = `product \`${section.id}\` with the same code is on \`${section.listing}\``
      report(source, [...pointer, 'path'], `must be the same everywhere: ${other}`)
    }
    product.section = {
      ...section,
      title: section.title ?? listing.name ?? section.id,
      listing: section.listing ?? path,
      ...(productCode === undefined ? {} : { productCode }),
    }
  }
}

/** `MP_PRODUCT_CODE` and its like: the code of the one product that has none. */
function takeProductCode(
  drafts: Draft[],
  file: ConfigFile,
  source: Source,
  env: Environment,
  problems: ConfigProblem[],
): void {
  const given = ENVIRONMENT.filter(({ sets }) => sets === 'products[].productCode').flatMap(({ name }) => {
    const code = readEnvironment(env, name)
    return code === undefined ? [] : [{ name, code }]
  })
  const [first] = given
  if (!first) return
  const missing = drafts.filter(({ section }) => section.productCode === undefined)
  const connector = file.connectors.marketplace?.enabled === true
  const [only] = missing
  const used = drafts.length === 0 ? connector : missing.length === 1
  if (!used || drafts.some(({ section }) => section.productCode === first.code)) return

  const other = given.find(({ code }) => code !== first.code)
  if (other) {
    const message = `must be the same as ${first.name}: set one of the two`
    problems.push({ file: 'environment', line: 0, column: 0, path: other.name, message })
    return
  }
  if (!Value.Check(ProductSchema.properties.productCode, first.code)) {
    const message = `must be ${expected(asNode(ProductSchema.properties.productCode))}`
    problems.push({ file: 'environment', line: 0, column: 0, path: first.name, message })
    return
  }
  if (only) only.section = { ...only.section, productCode: first.code }
  else {
    const section = newSection({ id: CONNECTOR_PRODUCT, productCode: first.code })
    drafts.push({ section, source, pointer: ['connectors', 'marketplace'] })
  }
}

/** Callers name a product by id or by code, and buyers come in by listing: each must mean one product. */
function checkUnique(drafts: readonly Draft[], report: Report): void {
  const names = new Map<string, Draft>()
  const listings = new Map<string, Draft>()
  for (const draft of drafts) {
    const { id, productCode, listing = id } = draft.section
    for (const [key, name] of [
      ['id', id],
      ['productCode', productCode],
    ] as const) {
      const other = name === undefined ? undefined : names.get(name)
      if (other && other !== draft) {
        const rule = `must be unique, but \`${name}\` names product \`${other.section.id}\` too: change one`
        report(draft.source, [...draft.pointer, key], rule)
      } else if (name !== undefined) names.set(name, draft)
    }
    const other = listings.get(listing)
    if (other && other.section.id !== id) {
      const rule = `must be unique, but \`${listing}\` is the path of product \`${other.section.id}\` too: change one`
      report(draft.source, [...draft.pointer, 'listing'], rule)
    }
    listings.set(listing, draft)
  }
}

/** What a product does not say of itself. */
export interface Surroundings {
  /** Of products that name none. */
  readonly region: string
  readonly mode: LedgerMode
  /** Plans that the product has and that are not said here. */
  readonly otherPlans?: readonly Plan[]
}

export function toProduct(
  draft: Draft,
  { region, mode, otherPlans = [] }: Surroundings,
  report: Report,
): Product {
  const { section, source, pointer } = draft
  const dimensions = section.dimensions.map((dimension, index) =>
    toDimension(dimension, (key, message) =>
      report(source, [...pointer, 'dimensions', index, ...(key === '' ? [] : [key])], message),
    ),
  )
  checkDimensionNames(section, (path, message) => report(source, [...pointer, ...path], message))
  const plans = section.plans.map(toPlan)
  const { pricing } = section
  checkPlans({ pricing, dimensions, plans: [...plans, ...otherPlans] }, (path, message) => {
    if (Number(path[1]) < plans.length) report(source, [...pointer, ...path], message)
  })
  checkEndpoints(section, mode, (path, message) => report(source, [...pointer, ...path], message))
  return {
    id: section.id,
    title: section.title ?? section.id,
    productCode: section.productCode ?? '',
    productId: section.productId,
    pricing,
    landing: toLanding(section, draft.description),
    metering: section.metering,
    region: section.region ?? region,
    listing: section.listing ?? section.id,
    graceMs: section.graceMinutes * MINUTE_MS,
    goodbyeSettleMs: section.goodbyeSettleMinutes * MINUTE_MS,
    dimensions,
    plans,
    planVersions: [],
    upgradeUrl: { aws: section.upgradeUrl.aws, direct: section.upgradeUrl.direct },
    endpoints: section.endpoints.map(toEndpoint),
  }
}

function toLanding({ landing }: ProductSection, description: string | undefined): LandingPage {
  return {
    description: landing.description ?? description,
    logoUrl: landing.logoUrl,
    accentColor: landing.accentColor,
    supportEmail: landing.supportEmail,
    supportUrl: landing.supportUrl,
    loginUrl: landing.loginUrl,
    nextSteps: landing.nextSteps,
    fields: landing.fields,
  }
}

function toDimension(section: DimensionSection, report: (key: string, message: string) => void): Dimension {
  const { aggregation, per, scale, holdAbove } = section
  const unitSize = BigInt(section.unitSize)
  const ofPeriod = aggregation === 'max' || aggregation === 'unique'
  if (ofPeriod && per === undefined) {
    report(
      'per',
      `is missing: say \`per: hour\`, \`day\` or \`month\`, the period that \`${aggregation}\` is taken over`,
    )
  }
  if (!ofPeriod && per !== undefined) {
    report('per', `must be left out: only \`max\` and \`unique\` have a period, this is \`${aggregation}\``)
  }
  if ((aggregation === 'count' || aggregation === 'unique') && scale > 0) {
    report('scale', `must be 0: \`${aggregation}\` has no quantity that could have decimals`)
  }
  if (section.meteredBy === 'gate' && aggregation !== 'sum') {
    report(
      'meteredBy',
      `must be \`product\`: the gate counts quantities, so it meters \`sum\` alone, not \`${aggregation}\``,
    )
  }
  if (unitSize * 10n ** BigInt(scale) > BASE_UNITS_PER_UNIT_MAX) {
    report('unitSize', `must be smaller: unitSize × 10^scale is at most ${BASE_UNITS_PER_UNIT_MAX}`)
  }
  return {
    key: section.key,
    name: section.name ?? section.key,
    aggregation,
    per: per ?? 'hour',
    scale,
    unitSize,
    holdAbove:
      holdAbove?.units !== undefined
        ? { units: BigInt(holdAbove.units) }
        : holdAbove?.times !== undefined
          ? { times: holdAbove.times }
          : undefined,
    onDeadline: section.onDeadline,
    remainder: section.remainder,
    reportZero: section.reportZero,
    price: section.price,
    metrics: section.metrics,
    meteredBy: section.meteredBy,
  }
}

/** Events name a dimension by its key or a metric's name: each must mean one. */
function checkDimensionNames(
  section: ProductSection,
  report: (path: Pointer, message: string) => void,
): void {
  const owners = new Map<string, string>()
  section.dimensions.forEach(({ key }, index) => {
    if (owners.has(key))
      report(['dimensions', index, 'key'], `must be unique in its product, but \`${key}\` is there twice`)
    owners.set(key, key)
  })
  section.dimensions.forEach(({ key, metrics }, index) => {
    metrics.forEach((metric, position) => {
      const owner = owners.get(metric)
      if (owner !== undefined && owner !== key) {
        const rule = `must be unique in its product, but \`${metric}\` means dimension \`${owner}\` too`
        report(['dimensions', index, 'metrics', position], rule)
      }
      owners.set(metric, key)
    })
  })
}
