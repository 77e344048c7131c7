import { type Config, parseConfig } from '../../../config.ts'
import type { Product } from '../../../domain/products/product.ts'
import { CliError } from '../../output.ts'
import type { Progress } from '../progress.ts'
import { CHECKLIST } from './checklist-items.ts'
import { LIFECYCLE_DEMO } from './demo-products.ts'
import { type ProductResult, playChecklist } from './play-checklist.ts'
import { createLifecycleWorld, type World } from './world.ts'

/** What Seller Operations would find. */
export interface LifecycleReport {
  readonly passed: number
  readonly failed: number
  readonly durationMs: number
  readonly products: readonly ProductResult[]
}

export interface LifecycleOptions {
  readonly config: Config
  readonly products: readonly Product[]
  readonly progress: Progress
  /** Before anything is played: to break something, in a test. */
  readonly prepare?: (world: World) => void
}

/** The demo's own configuration. */
export function lifecycleDemo(): Config {
  return parseConfig(LIFECYCLE_DEMO, { name: 'the demo', directory: '/', env: {} })
}

/** @throws {CliError} where there is no such product */
export function productOf(config: Config, id: string): Product {
  const product = config.products.find((candidate) => candidate.id === id || candidate.productCode === id)
  if (product !== undefined) return product
  const known = config.products.map((candidate) => candidate.id).join(', ') || 'none'
  throw new CliError(`there is no product ${id} in the configuration: --product takes one of ${known}`)
}

/** Plays AWS's integration checklist for each product, each in a world of its own. */
export async function rehearseLifecycle(options: LifecycleOptions): Promise<LifecycleReport> {
  const startedAt = performance.now()
  const results: ProductResult[] = []
  for (const product of options.products) {
    const world = await createLifecycleWorld(options.config, product)
    try {
      options.prepare?.(world)
      results.push(await playChecklist(world, CHECKLIST, options.progress))
    } finally {
      options.progress.end()
      await world.close()
    }
  }
  const items = results.flatMap(({ groups }) => groups.flatMap((group) => group.items))
  const count = (outcome: string) => items.filter((item) => item.outcome === outcome).length
  return {
    passed: count('passed'),
    failed: count('failed'),
    durationMs: Math.round(performance.now() - startedAt),
    products: results,
  }
}
