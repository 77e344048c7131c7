import assert from 'node:assert/strict'
import pg from 'pg'

/** What PostgreSQL is asked to do by this process, seen from below the product. */
export interface PostgresWatch {
  /** Transactions that were committed since the start, but for reads. */
  commits(): number
  /** @throws where the server could lose what it acknowledged */
  assertDurable(url: string): Promise<void>
}

const DURABLE = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }

/** Call before the first connection is opened. */
export function watchPostgres(): PostgresWatch {
  let commits = 0
  const { query } = pg.Client.prototype
  pg.Client.prototype.query = function (this: pg.Client, ...given: Parameters<typeof query>) {
    if ((given as readonly unknown[])[0] === 'COMMIT') commits++
    return query.apply(this, given)
  } as typeof query
  return {
    commits: () => commits,
    async assertDurable(url) {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      try {
        for (const [name, value] of Object.entries(DURABLE)) {
          const { rows } = await client.query<Record<string, string>>(`SHOW ${name}`)
          assert.equal(rows[0]?.[name], value, `PostgreSQL could lose what it acknowledged: ${name}`)
        }
      } finally {
        await client.end()
      }
    },
  }
}
