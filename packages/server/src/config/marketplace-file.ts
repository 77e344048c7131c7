import { checkSchema, problemAt } from './check-schema.ts'
import type { ConfigProblem } from './config-error.ts'
import { type MarketplaceFile, MarketplaceFileSchema } from './schema/marketplace-file.ts'
import { readSource, type Source } from './source.ts'

/** What `marketplace-config.json` says, with where it says so. */
export interface MarketplaceListings {
  readonly source: Source
  readonly file: MarketplaceFile
}

const LISTING_PATH = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/** Reads `marketplace-config.json`: listings, each with a product code, a path and whether it is sold. */
export function readMarketplaceFile(
  name: string,
  text: string,
): { listings: MarketplaceListings | undefined; problems: readonly ConfigProblem[] } {
  const source = readSource(name, text, undefined, 'json')
  const notJson = jsonError(text)
  if (notJson !== undefined && source.problems.length === 0) {
    source.problems.push({ file: name, line: 1, column: 1, path: '', message: `is not JSON: ${notJson}` })
  }
  if (source.problems.length > 0) return { listings: undefined, problems: source.problems }
  const { value, problems } = checkSchema(MarketplaceFileSchema, source)
  if (problems.length > 0) return { listings: undefined, problems }
  const file = value as MarketplaceFile
  for (const [key, listing] of Object.entries(file.marketplaceListings)) {
    if (listing.enabled && listing.path === undefined && !LISTING_PATH.test(key)) {
      problems.push(
        problemAt(
          source,
          ['marketplaceListings', key],
          'needs a `path`: its name cannot be part of a URL',
          'key',
        ),
      )
    }
  }
  return { listings: problems.length > 0 ? undefined : { source, file }, problems }
}

function jsonError(text: string): string | undefined {
  try {
    JSON.parse(text.replace(/^\uFEFF/, ''))
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
