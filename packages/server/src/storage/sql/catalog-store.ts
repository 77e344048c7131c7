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
import type { Row, Sql, SqlDatabase } from './database.ts'
import { int, text } from './rows.ts'

/** The row of a product itself, apart from its plans. */
const PRODUCT = ''

export function createSqlCatalogStore(database: SqlDatabase): CatalogStore {
  return {
    revision: async () => revisionOf(await database.get(REVISION)),
    load: () =>
      database.read(async (sql) => ({
        revision: revisionOf(await sql.get(REVISION)),
        versions: await readVersions(sql),
      })),
    change: (decide) =>
      database.transaction(async (sql) => {
        const revision = revisionOf(await sql.get(REVISION))
        const { products, plans, audit } = decide(await readVersions(sql))
        if (products.length + plans.length === 0) return
        for (const version of products) await insertProduct(sql, version)
        for (const version of plans) await insertPlan(sql, version)
        for (const entry of audit) await appendAudit(sql, entry)
        await sql.run(
          `INSERT INTO ledger (name, value) VALUES ('catalog', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
          String(revision + 1),
        )
      }),
  }
}

const REVISION = `SELECT value FROM ledger WHERE name = 'catalog'`

function revisionOf(row: Row | undefined): number {
  return row === undefined ? 0 : Number(row.value)
}

async function readVersions(sql: Sql): Promise<CatalogVersions> {
  const rows = await sql.all('SELECT * FROM catalog_version ORDER BY product, plan, version')
  return {
    products: rows.filter(({ plan }) => plan === PRODUCT).map(toProductVersion),
    plans: rows.filter(({ plan }) => plan !== PRODUCT).map(toPlanVersion),
  }
}

function versionOf(row: Row) {
  return {
    product: text(row.product),
    version: int(row.version),
    origin: text(row.origin) as CatalogOrigin,
    actor: text(row.actor),
    at: int(row.at),
  }
}

function toProductVersion(row: Row): ProductVersion {
  return { ...versionOf(row), body: productFromJson(text(row.body)), isRetired: row.retired === 1n }
}

function toPlanVersion(row: Row): PlanVersion {
  return {
    ...versionOf(row),
    from: int(row.from_ms),
    position: int(row.position),
    body: { ...planFromJson(text(row.body)), isRetired: row.retired === 1n },
  }
}

function insertProduct(sql: Sql, version: ProductVersion): Promise<unknown> {
  const { at, body, isRetired } = version
  return insert(sql, version, { plan: PRODUCT, from: at, position: 0, isRetired, json: productToJson(body) })
}

function insertPlan(sql: Sql, version: PlanVersion): Promise<unknown> {
  const { from, position, body } = version
  return insert(sql, version, {
    plan: body.id,
    from,
    position,
    isRetired: body.isRetired,
    json: planToJson(body),
  })
}

function insert(
  sql: Sql,
  { product, version, origin, actor, at }: ProductVersion | PlanVersion,
  row: { plan: string; from: number; position: number; isRetired: boolean; json: string },
): Promise<unknown> {
  return sql.run(
    `INSERT INTO catalog_version (product, plan, version, from_ms, position, origin, retired, body, actor, at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    product,
    row.plan,
    version,
    row.from,
    row.position,
    origin,
    row.isRetired ? 1 : 0,
    row.json,
    actor,
    at,
  )
}
