import type { TSchema } from 'typebox'
import { DomainError } from '../domain/error.ts'
import { checkPlans } from '../domain/plans/check-plans.ts'
import type { CatalogReader } from '../domain/products/manage-products.ts'
import type { LedgerMode } from '../domain/stores.ts'
import { checkSchema, problemAt } from './check-schema.ts'
import { type ConfigProblem, problemText } from './config-error.ts'
import { checkAddress, toEndpoint } from './endpoints.ts'
import { toPlan } from './plans.ts'
import { toProduct } from './products.ts'
import { PlanSchema } from './schema/plans.ts'
import { EndpointSchema, ProductSchema } from './schema/products.ts'
import type { EndpointSection, PlanSection, ProductSection } from './schema.ts'
import { readSource, type Source } from './source.ts'

/** Products, plans and endpoints that come by the API: in the words of `tollkeeper.yaml`, by the same rules. */
export function createCatalogReader(region: string, mode: LedgerMode): CatalogReader {
  return {
    product(given, otherPlans = []) {
      const { section, source } = read<ProductSection>(ProductSchema, 'product', given)
      const problems: ConfigProblem[] = []
      if (section.productCode === undefined)
        problems.push(problemAt(source, ['productCode'], "is missing: AWS's product code of the listing"))
      const product = toProduct(
        { section, source, pointer: [] },
        { region, mode, otherPlans },
        (where, pointer, message) => problems.push(problemAt(where, pointer, message)),
      )
      refuse(problems)
      return product
    },
    plan(given, product) {
      const { section, source } = read<PlanSection>(PlanSchema, 'plan', given)
      const plan = toPlan(section)
      const plans = [...product.plans, plan]
      const problems: ConfigProblem[] = []
      checkPlans({ ...product, plans }, ([_, index, ...path], message) => {
        if (index === plans.length - 1) problems.push(problemAt(source, path, message))
      })
      refuse(problems)
      return plan
    },
    endpoint(given) {
      const { section, source } = read<EndpointSection>(EndpointSchema, 'endpoint', given)
      const problems: ConfigProblem[] = []
      checkAddress(section, mode, (key, message) => problems.push(problemAt(source, [key], message)))
      refuse(problems)
      return { ...toEndpoint(section), origin: 'api' }
    },
  }
}

/**
 * A product or plan in a file of its own, YAML or JSON, as it is written there. Digits with decimals are text in quotes.
 *
 * @throws {DomainError} `request.invalid`
 */
export function readDeclaration(name: string, text: string): unknown {
  const { tree, problems } = readSource(name, text, undefined)
  const [first] = problems
  if (first !== undefined) throw new DomainError('request.invalid', problemText(first))
  return tree
}

/** `undefined` for the environment: what comes by a request never reads it. */
function read<T>(schema: TSchema, name: string, given: unknown): { section: T; source: Source } {
  const source = readSource(name, JSON.stringify(given ?? null), undefined, 'json')
  refuse(source.problems)
  const { value, problems } = checkSchema(schema, source)
  refuse(problems)
  return { section: value as T, source }
}

/** @throws {DomainError} `request.invalid` */
function refuse(problems: readonly ConfigProblem[]): void {
  const [first, ...more] = problems
  if (first === undefined) return
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`
  throw new DomainError('request.invalid', `${first.path} ${first.message}${others}`.trim(), {
    details: { problems: problems.map(({ path, message }) => ({ path, message })) },
  })
}
