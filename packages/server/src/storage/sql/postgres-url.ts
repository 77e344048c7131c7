import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'

/** Where a database is, and how to reach it. */
export interface PostgresAddress {
  readonly host: string
  readonly port: number
  readonly database: string
  /** Undefined: as the environment (`PGUSER`) or the system says. */
  readonly user: string | undefined
  readonly password: string | undefined
  readonly ssl: ConnectionOptions | false
  /** For messages: without credentials. */
  readonly name: string
}

const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const
const PARAMETERS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'host', 'user']
/** This machine, by its network or by a socket's folder. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1|\/.*)$/

/**
 * Reads `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=ca.pem`, or of a socket
 * `postgres:///database?host=/var/run/postgresql&user=tollkeeper`.
 *
 * The modes mean what they mean to libpq: `require` encrypts, and believes any certificate unless a root is named;
 * `verify-ca` checks who signed it; `verify-full` also the host's name. Without a mode: `verify-full`, and on loopback `disable`.
 *
 * @throws {TypeError} whose message has nothing of the password
 */
export function parsePostgresUrl(text: string): PostgresAddress {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new TypeError(
      'the address of the PostgreSQL database is not a URL; special characters in its password must be percent-encoded',
    )
  }
  const database = decodeURIComponent(url.pathname.slice(1))
  for (const name of url.searchParams.keys())
    if (!PARAMETERS.includes(name))
      throw new TypeError(
        `${name} in the address of the PostgreSQL database is unknown; there are ${PARAMETERS.join(', ')}`,
      )
  const host = url.searchParams.get('host') ?? url.hostname.replace(/^\[|\]$/g, '')
  if (host === '' || database === '')
    throw new TypeError('the address of a PostgreSQL database is postgres://user:password@host:port/database')
  const port = url.port === '' ? 5432 : Number(url.port)
  return {
    host,
    port,
    database,
    user:
      url.username === '' ? (url.searchParams.get('user') ?? undefined) : decodeURIComponent(url.username),
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
    ssl: tlsOf(host, url.searchParams),
    name: `postgres://${url.hostname === '' ? host : `${url.hostname}:${port}`}/${database}`,
  }
}

function tlsOf(host: string, parameters: URLSearchParams): ConnectionOptions | false {
  const mode = parameters.get('sslmode') ?? (LOOPBACK.test(host) ? 'disable' : 'verify-full')
  if (!SSL_MODES.includes(mode as (typeof SSL_MODES)[number]))
    throw new TypeError(
      `sslmode=${mode} in the address of the PostgreSQL database is unknown or would fall back to plain text; there are ${SSL_MODES.join(', ')}`,
    )
  if (mode === 'disable') return false
  const file = (name: string) => {
    const path = parameters.get(name)
    return path === null ? undefined : readFileSync(path, 'utf8')
  }
  const [ca, cert, key] = [file('sslrootcert'), file('sslcert'), file('sslkey')]
  const isBelieved = mode === 'require' && ca === undefined
  return {
    rejectUnauthorized: !isBelieved,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(mode !== 'verify-full' && { checkServerIdentity: () => undefined }),
  }
}
