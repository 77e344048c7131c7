import type { CatalogOrigin, PlanVersion } from '../../domain/plans/plan-version.ts'
import {
  planFromJson,
  planToJson,
  productFromJson,
  productToJson,
} from '../../domain/products/catalog-json.ts'
import type { CatalogStore } from '../../domain/products/catalog-store.ts'
import type { CatalogVersions, ProductVersion } from '../../domain/products/catalog-versions.ts'
import { appendAudit } from './audit-trail.ts'
import { int, text } from './fields.ts'
import { catalogPartition, catalogTextPartition, catalogVersionKey, ledgerKey } from './keys.ts'
import type { Item, Key, Reader, Table, Transaction } from './table.ts'
import { readText, type StoredText, storeText } from './usage/stored-text.ts'

/** Of a product itself, apart from its plans. */
const PRODUCT = ''
const BODY_INLINE_MAX = 30_000
const REVISION = ledgerKey('catalog')

export function createDynamoCatalogStore(table: Table): CatalogStore {
  return {
    revision: async () => revisionOf(await table.get(REVISION)),
    async load() {
      // Settled: what is written with it is all there.
      const [known] = await table.getSettled([REVISION])
      return { revision: revisionOf(known), versions: await readVersions(table) }
    },
    change: (decide) =>
      table.transaction(async (tx) => {
        // Whoever changes anything writes it: it vouches for all that is read.
        const known = await tx.get(REVISION)
        const { products, plans, audit } = decide(await readVersions(tx))
        if (products.length + plans.length === 0) return
        for (const version of products) {
          const { at, body, isRetired } = version
          put(tx, version, { plan: PRODUCT, from: at, position: 0, isRetired, json: productToJson(body) })
        }
        for (const version of plans) {
          const { from, position, body } = version
          const json = planToJson(body)
          put(tx, version, { plan: body.id, from, position, isRetired: body.isRetired, json })
        }
        for (const entry of audit) await appendAudit(tx, entry)
        tx.put({ ...REVISION, value: revisionOf(known) + 1 })
      }),
  }
}

function revisionOf(item: Item | undefined): number {
  return item === undefined ? 0 : int(item.value)
}

async function readVersions(reader: Reader): Promise<CatalogVersions> {
  const items = await reader.query({ pk: catalogPartition })
  const bodies = await Promise.all(
    items.map(async (item) => (await readText(reader, item, catalogTextPartition(item), 'body')) ?? '{}'),
  )
  const products: ProductVersion[] = []
  const plans: PlanVersion[] = []
  for (const [index, item] of items.entries()) {
    const json = bodies[index]!
    const isRetired = int(item.retired) === 1
    const version = {
      product: text(item.product),
      version: int(item.version),
      origin: text(item.origin) as CatalogOrigin,
      actor: text(item.actor),
      at: int(item.at),
    }
    if (text(item.plan) === PRODUCT) products.push({ ...version, body: productFromJson(json), isRetired })
    else {
      const body = { ...planFromJson(json), isRetired }
      plans.push({ ...version, from: int(item.fromMs), position: int(item.position), body })
    }
  }
  return { products, plans }
}

/** A product may be described at length: beyond this its body stands in items of its own. */
export function storeCatalogBody(key: Key, json: string): StoredText {
  return storeText(catalogTextPartition(key), 'body', json, BODY_INLINE_MAX)
}

function put(
  tx: Transaction,
  { product, version, origin, actor, at }: ProductVersion | PlanVersion,
  row: { plan: string; from: number; position: number; isRetired: boolean; json: string },
): void {
  const key = catalogVersionKey(product, row.plan, version)
  const { attributes, parts } = storeCatalogBody(key, row.json)
  for (const part of parts) tx.put(part)
  tx.put({
    ...key,
    product,
    plan: row.plan,
    version,
    fromMs: row.from,
    position: row.position,
    origin,
    retired: row.isRetired ? 1 : 0,
    actor,
    at,
    ...attributes,
  })
}
