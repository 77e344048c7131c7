import { text } from './fields.ts'
import type { IndexName, Item, Reader } from './table.ts'

export type ListName = Extract<IndexName, 'ListIndex' | 'SecondListIndex'>

const SORT_KEY = { ListIndex: 'listed', SecondListIndex: 'alsoListed' } as const satisfies Record<
  ListName,
  string
>
const CHUNK_MIN = 50

/** The place that comes just before one in a list, newest first: ends are included. */
export function beforePlace(place: string): string {
  return `${place.slice(0, -1)}${String.fromCharCode(place.charCodeAt(place.length - 1) - 1)}\uffff`
}

/**
 * The first `limit` of a list, newest first, that are wanted. A list follows its table within moments.
 *
 * @param options.before - a place: from the one that is listed after it
 * @param wanted - reads what is listed, a chunk at a time, and leaves out what is not asked for: undefined
 * @returns each with its place
 */
export async function newestFirst<T>(
  reader: Reader,
  index: ListName,
  list: string,
  options: { readonly before?: string | undefined; readonly limit: number },
  wanted: (items: readonly Item[]) => Promise<readonly (T | undefined)[]>,
): Promise<readonly { readonly place: string; readonly item: T }[]> {
  const chunk = Math.max(options.limit, CHUNK_MIN)
  const found: { place: string; item: T }[] = []
  let to = options.before === undefined ? undefined : beforePlace(options.before)
  for (;;) {
    const items = await reader.queryIndex(index, { pk: list, to, reverse: true, limit: chunk })
    const places = items.map((item) => text(item[SORT_KEY[index]]))
    const results = await wanted(items)
    for (const [n, item] of results.entries()) {
      if (item !== undefined) found.push({ place: places[n]!, item })
      if (found.length === options.limit) return found
    }
    if (items.length < chunk) return found
    to = beforePlace(places.at(-1)!)
  }
}

/** A page as the ports give it: `next` where there may be more. */
export function toPage<T>(
  found: readonly { readonly place: string; readonly item: T }[],
  limit: number,
): { items: readonly T[]; next: string | undefined } {
  return {
    items: found.map(({ item }) => item),
    next: found.length === limit ? found.at(-1)?.place : undefined,
  }
}
