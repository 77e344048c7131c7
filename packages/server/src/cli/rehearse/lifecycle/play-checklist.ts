import type { Product } from '../../../domain/products/product.ts'
import type { Progress } from '../progress.ts'
import type { Item, ItemGroup } from './checklist.ts'
import { Finding, type FindingText } from './finding.ts'
import type { World } from './world.ts'

/** What came of one item. */
export type ItemResult = {
  /** Of its group and within it: `7.2`. */
  readonly id: string
  readonly title: string
  /** Of real time. */
  readonly durationMs: number
} & (
  | { readonly outcome: 'passed'; readonly note?: string }
  | ({ readonly outcome: 'failed' } & FindingText)
  | { readonly outcome: 'notAsked'; readonly why: string }
)

export interface GroupResult {
  readonly title: string
  readonly items: readonly ItemResult[]
}

/** One product's checklist, played. */
export interface ProductResult {
  readonly product: Pick<Product, 'id' | 'title' | 'metering' | 'pricing'>
  readonly groups: readonly GroupResult[]
}

/** Plays each item, whatever became of those before it. */
export async function playChecklist(
  world: World,
  checklist: readonly ItemGroup[],
  progress: Progress,
): Promise<ProductResult> {
  const { id, title, metering, pricing } = world.product
  const count = checklist.reduce((sum, { items }) => sum + items.length, 0)
  const groups: GroupResult[] = []
  let done = 0
  for (const [groupIndex, group] of checklist.entries()) {
    const items: ItemResult[] = []
    for (const [index, item] of group.items.entries()) {
      const named = { id: `${groupIndex + 1}.${index + 1}`, title: item.title }
      progress.update(`${title}: ${item.title}`, done++, count)
      const why = item.unless?.(world.product)
      const startedAt = performance.now()
      const result =
        why === undefined ? await resultOf(() => play(item, world)) : ({ outcome: 'notAsked', why } as const)
      items.push({ ...named, ...result, durationMs: Math.round(performance.now() - startedAt) })
    }
    groups.push({ title: group.title, items })
  }
  return { product: { id, title, metering, pricing }, groups }
}

async function play(item: Item, world: World): Promise<string | undefined> {
  try {
    return await item.play(world)
  } finally {
    await world.clear()
  }
}

async function resultOf(play: () => Promise<string | undefined>) {
  try {
    const note = await play()
    return { outcome: 'passed', ...(note !== undefined && note !== '' && { note }) } as const
  } catch (error) {
    if (error instanceof Finding) {
      const { expected, seen, look } = error
      return { outcome: 'failed', expected, seen, look } as const
    }
    const message = error instanceof Error ? error.message : String(error)
    return {
      outcome: 'failed',
      expected: 'to be played to its end',
      seen: process.env.TOLLKEEPER_DEBUG && error instanceof Error ? (error.stack ?? message) : message,
      look: 'this may be the rehearsal’s own fault; TOLLKEEPER_DEBUG=1 shows where',
    } as const
  }
}
