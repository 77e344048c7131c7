import { resolve } from 'node:path'
import Value from 'typebox/value'
import { whereIsHost } from '../marketplace/loopback.ts'
import { type ConfigFile, ConfigSchema } from './schema.ts'

/** Where the ledger is. `url` may carry a password; `name` never does: it is what people and logs are shown. */
export type StoreConfig = SqliteStoreConfig | PostgresStoreConfig | DynamoStoreConfig

export interface SqliteStoreConfig {
  readonly kind: 'sqlite'
  readonly url: string
  readonly name: string
  /** An absolute path, or `:memory:`. */
  readonly file: string
}

export interface PostgresStoreConfig {
  readonly kind: 'postgres'
  readonly url: string
  readonly name: string
  /** Connections of one process at most. */
  readonly poolMax: number
  readonly connectTimeoutMs: number
  readonly statementTimeoutMs: number
}

export interface DynamoStoreConfig {
  readonly kind: 'dynamodb'
  readonly url: string
  readonly name: string
  readonly region: string
  readonly table: string
  /** Undefined: AWS's own. */
  readonly endpoint: string | undefined
  /** Items in one `TransactWriteItems` at most. */
  readonly transactionItems: number
  /** Items that share the counters of one bucket; fixed with the ledger. */
  readonly shards: number
}

const TABLE = /^[A-Za-z0-9_.-]{3,255}$/

/**
 * Reads `store.url`: `sqlite:PATH`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE` or `dynamodb://REGION/TABLE`.
 *
 * @param directory - what a relative path starts from
 * @returns a text where the URL cannot be read: what it must be
 */
export function readStore(
  { url, postgres, dynamodb }: ConfigFile['store'],
  directory: string,
): StoreConfig | string {
  if (url.startsWith('sqlite:')) {
    const path = url.slice('sqlite:'.length)
    return sqliteStore(path === ':memory:' ? path : resolve(directory, path))
  }
  const parsed = URL.parse(url)
  if (parsed === null) return 'must be a URL: this one cannot be read'
  if (parsed.protocol === 'dynamodb:') {
    const table = parsed.pathname.slice(1)
    if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(parsed.hostname) || !TABLE.test(table))
      return 'must name a region and a table, such as `dynamodb://us-east-1/tollkeeper`'
    const endpoint = parsed.searchParams.get('endpoint') ?? undefined
    const region = parsed.hostname
    const isAws = endpoint === undefined
    return {
      kind: 'dynamodb',
      url,
      name: `dynamodb://${region}/${table}${isAws ? '' : `?endpoint=${URL.parse(endpoint)?.host ?? 'unreadable'}`}`,
      region,
      table,
      endpoint,
      transactionItems: dynamodb.transactionItems ?? (isAws ? 100 : 10),
      shards: dynamodb.shards ?? (isAws ? 4 : 2),
    }
  }
  const hasHost = parsed.hostname !== '' || parsed.searchParams.has('host')
  if (!hasHost || parsed.pathname.length < 2)
    return 'must name a host and a database, such as `postgres://tollkeeper@127.0.0.1:5432/tollkeeper`'
  const host = parsed.host || parsed.searchParams.get('host')
  return {
    kind: 'postgres',
    url,
    name: `postgres://${host}${parsed.pathname}`,
    poolMax: postgres.poolMax,
    connectTimeoutMs: postgres.connectTimeoutSeconds * 1000,
    statementTimeoutMs: postgres.statementTimeoutSeconds * 1000,
  }
}

/** As `readStore`, with every setting's default. */
export function readStoreUrl(url: string, directory: string): StoreConfig | string {
  const { store } = Value.Default(ConfigSchema, { store: { url } }) as ConfigFile
  return readStore(store, directory)
}

/** @param file - an absolute path, or `:memory:` */
export function sqliteStore(file: string): SqliteStoreConfig {
  return { kind: 'sqlite', url: `sqlite:${file}`, name: `sqlite:${file}`, file }
}

/** Simulated mode opens no connection beyond this machine, to its store neither. */
export function isOnThisMachine(store: StoreConfig): boolean {
  if (store.kind === 'sqlite') return true
  if (store.kind === 'dynamodb') {
    const endpoint = store.endpoint === undefined ? null : URL.parse(store.endpoint)
    return endpoint !== null && whereIsHost(endpoint.hostname) === 'loopback'
  }
  const { hostname, searchParams } = new URL(store.url)
  const host = searchParams.get('host') ?? decodeURIComponent(hostname)
  return host.startsWith('/') || whereIsHost(host) === 'loopback'
}
